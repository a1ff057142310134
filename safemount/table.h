/* table.h: lines of fstab(5). */

#ifndef TABLE_H
#define TABLE_H

#include "../idmap/first/step.h"

/* What every message about a line begins with: "line N: ", or nothing. */
static char position[32];

static inline void set_position(unsigned long number) {
  struct line line;

  line.length = 0;
  if (number) {
    put_string(&line, "line ");
    put_number(&line, number);
    put_string(&line, ": ");
  }
  memcpy(position, line.text, line.length);
  position[line.length] = '\0';
}

struct fields {
  char *source, *target, *type, *options; /* type, options may be "" */
};

/* Turns \ooo, which fstab(5) has for blanks, back into bytes, in place. False
 * for a \ that begins no such thing, or a NUL. */
static inline bool unescape(char *text) {
  char *out = text;

  for (; *text; text++, out++) {
    *out = *text;
    if (*text == '\\') {
      int byte = 0, i;
      for (i = 1; i < 4 && text[i] >= '0' && text[i] <= '7'; i++) {
        byte = byte * 8 + text[i] - '0';
      }
      if (i < 4 || byte == 0 || byte > 255) {
        return false;
      }
      *out = byte;
      text += 3;
    }
  }
  *out = '\0';
  return true;
}

static inline bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

/* Takes the next word off *LINE, or "" at its end. */
static inline char *take_field(char **line) {
  char *field = *line, *end;

  while (is_blank(*field)) {
    field++;
  }
  for (end = field; *end && !is_blank(*end); end++) {
  }
  *line = end + (*end != '\0');
  *end = '\0';
  return field;
}

/* Cuts LINE, of LENGTH bytes and a NUL, into FIELDS; the source is "" if it is
 * empty or a comment. Returns NULL, or what is wrong with it. */
static inline const char *parse_line(char *line, size_t length,
                                     struct fields *fields) {
  unsigned long none;

  memset(fields, 0, sizeof(*fields));
  if (strlen(line) != length) {
    return "a NUL byte";
  }
  if (length && line[length - 1] == '\r') {
    return "it ends in a carriage return, as on DOS";
  }
  fields->source = take_field(&line);
  if (*fields->source == '#') {
    *fields->source = '\0';
  }
  if (!*fields->source) {
    return NULL;
  }
  fields->target = take_field(&line);
  fields->type = take_field(&line);
  fields->options = take_field(&line);
  char *frequency = take_field(&line), *pass = take_field(&line);

  if (!*fields->type) {
    return "SOURCE, TARGET and TYPE are needed";
  }
  if ((*frequency && !number(frequency, INT_MAX, &none)) ||
      (*pass && !number(pass, INT_MAX, &none)) || *take_field(&line)) {
    return "more than SOURCE, TARGET, TYPE, OPTIONS and two numbers";
  }
  if (!unescape(fields->source) || !unescape(fields->target) ||
      !unescape(fields->type) || !unescape(fields->options)) {
    return "a \\ that does not begin three octal digits";
  }
  return NULL;
}

#endif
