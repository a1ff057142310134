/* fields.h: files of lines and colons, such as /etc/subuid and /etc/passwd.
 *
 * They are read as they are, without NSS: no library is loaded, and what a
 * network says about users changes nothing.
 */

#ifndef FIELDS_H
#define FIELDS_H

#include "step.h"

struct lines {
  int fd;
  char buffer[8192]; /* the line that was read last, and what follows it */
  size_t next, end;
  bool over;
};

/* Starts to read PATH, which stays open until exec. False if there is none. */
static inline bool open_lines(struct lines *lines, int dir, const char *path) {
  lines->next = lines->end = lines->over = 0;
  lines->fd = CALL(openat, dir, path, O_RDONLY | O_CLOEXEC);
  if (lines->fd < 0 && errno != ENOENT && errno != ESRCH) {
    err(FAILED, "open %s", path);
  }
  return lines->fd >= 0;
}

/* Starts again with a file that is still open. */
static inline bool rewind_lines(struct lines *lines) {
  lines->next = lines->end = lines->over = 0;
  return CALL(lseek, lines->fd, 0, SEEK_SET) == 0;
}

/* The next line without its newline, or NULL at the end. A line that does not
 * fit or holds a NUL is none that we know: it is left out. */
static inline char *next_line(struct lines *lines) {
  bool whole = true;

  while (!lines->over) {
    char *start = lines->buffer + lines->next;
    size_t length = lines->end - lines->next;
    size_t newline = 0;

    while (newline < length && start[newline] != '\n') {
      newline++;
    }
    if (newline < length) {
      lines->next += newline + 1;
      start[newline] = '\0';
      if (whole && strlen(start) == newline) {
        return start;
      }
      whole = true;
      continue;
    }
    memmove(lines->buffer, start, length);
    if (length == sizeof(lines->buffer) - 1) {
      whole = false;
      length = 0;
    }
    lines->next = 0;
    long n = CALL(read, lines->fd, &lines->buffer[length],
                  sizeof(lines->buffer) - 1 - length);
    if (n < 0 && errno != ESRCH) {
      err(FAILED, "read");
    }
    if (n <= 0) { /* ESRCH: a process that has ended has no more lines */
      lines->over = true;
      lines->buffer[length] = '\0';
      whole &= length > 0 && strlen(lines->buffer) == length;
      return whole ? lines->buffer : NULL;
    }
    lines->end = length + n;
  }
  return NULL;
}

/* Cuts LINE at its colons. Returns how many FIELDS of at most MOST it has. */
static inline int split(char *line, char **fields, int most) {
  int count = 0;

  while (line && count < most) {
    fields[count++] = line;
    line = strchr(line, ':');
    if (line) {
      *line++ = '\0';
    }
  }
  return line ? most + 1 : count;
}

#endif
