/* words.h: what the words of a MAP mean for the one who calls.
 *
 * "root", "self", "sub" and "all" depend on who asks, on what /etc/subuid and
 * /etc/subgid delegate, and on what the present user namespace maps at all.
 */

#ifndef WORDS_H
#define WORDS_H

#include "fields.h"
#include "map.h"

#undef pread64 /* musl 1.2.3 has another name for it, which no call has */

/* Where root has no delegated ids of its own: above 65535 times 28672, in what
 * systemd's table of ids leaves to nobody. So no id inside is anyone's outside,
 * and files keep their owners from one run to the next. */
#define BLOCK_FIRST 1879048192UL
#define BLOCK_COUNT 65536UL

/* Opens what has to be there, a file below DIR, which is /proc or in it. */
static inline int open_in(int dir, const char *name) {
  int fd = CALL(openat, dir, name, O_RDONLY | O_CLOEXEC);

  if (fd < 0) {
    err(FAILED, "open %s in /proc", name);
  }
  return fd;
}

struct caller {
  bool gids;            /* whether these are group ids */
  unsigned long uid;    /* the user, who is the key of both files */
  unsigned long id;     /* the effective id that "root" and "self" map */
  struct map parent;    /* what the present user namespace maps */
  const char *file;     /* /etc/subuid or /etc/subgid */
  const char *accounts; /* /etc/passwd or /etc/group */
};

/* Reads a /proc/PID/uid_map or gid_map, from its start. */
static inline void read_map(int fd, struct map *map) {
  char text[33 * MOST_RANGES + 1]; /* a line is three times %10u and a blank */
  unsigned long numbers[3];
  size_t length = 0;
  long n;

  map->length = 0;
  while ((n = CALL(pread64, fd, &text[length], sizeof(text) - 1 - length,
                   length)) > 0) {
    length += n;
  }
  if (n < 0) {
    err(FAILED, "read uid_map or gid_map");
  }
  text[length] = '\0';
  for (const char *at = text; *at; at++) {
    for (int i = 0; i < 3 && at; i++) {
      while (*at == ' ') {
        at++;
      }
      at = digits(at, LAST_ID + 1, &numbers[i]);
    }
    if (!at || *at != '\n' ||
        add_range(map, numbers[0], numbers[1], numbers[2])) {
      errx(FAILED, "uid_map or gid_map of the kernel is not understood");
    }
  }
}

/* /etc/passwd is read for the user's name, and again for those of others. */
static struct {
  bool read;
  char name[256];
  struct lines lines;
} passwd;

/* The user's name, of at most 255 bytes, or "" for one without a line. */
static inline const char *user_name(const struct caller *caller) {
  struct lines *lines = &passwd.lines;
  unsigned long id;
  char *line, *fields[7];

  if (!passwd.read && open_lines(lines, AT_FDCWD, "/etc/passwd")) {
    while (!*passwd.name && (line = next_line(lines))) {
      if (split(line, fields, 7) == 7 && number(fields[2], LAST_ID, &id) &&
          id == caller->uid && strlen(fields[0]) < sizeof(passwd.name)) {
        memcpy(passwd.name, fields[0], strlen(fields[0]));
      }
    }
  }
  passwd.read = true;
  return passwd.name;
}

/* Warns if an account has an id of MAP from its range FIRST on, for the
 * container could act as that user. */
static inline void warn_of_accounts(const struct caller *caller,
                                    const struct map *map, int first) {
  struct lines group, *lines = caller->gids ? &group : &passwd.lines;
  unsigned long id;
  char *line, *fields[7];

  if (first == map->length ||
      !(lines == &passwd.lines && lines->fd > 0
            ? rewind_lines(lines)
            : open_lines(lines, AT_FDCWD, caller->accounts))) {
    return;
  }
  while ((line = next_line(lines))) {
    if (split(line, fields, 7) < 3 || !number(fields[2], LAST_ID, &id) ||
        id == caller->id) {
      continue;
    }
    for (int i = first; i < map->length; i++) {
      if (id - map->ranges[i].outside < map->ranges[i].count) {
        warnx("warning: %s delegates id %ld, which is %s's in %s", caller->file,
              (long)id, fields[0], caller->accounts);
        return;
      }
    }
  }
}

/* Adds what the parent maps of COUNT ids from FIRST on, and MAP does not have.
 * Returns whether the parent maps any. */
static inline bool add_mapped(struct map *map, const struct caller *caller,
                              unsigned long first, unsigned long count) {
  bool any = false;

  for (int i = 0; i < caller->parent.length; i++) {
    const struct range *range = &caller->parent.ranges[i];
    unsigned long start = first > range->inside ? first : range->inside;
    unsigned long end = first + count < range->inside + range->count
                            ? first + count
                            : range->inside + range->count;
    if (start < end) {
      const char *wrong = add_to_free(map, start, end - start);
      if (wrong) {
        errx(FAILED, "%s: %s", caller->file, wrong);
      }
      any = true;
    }
  }
  return any;
}

/* Adds what the user is delegated. Returns whether that is anything. */
static inline bool add_delegated(struct map *map, const struct caller *caller) {
  unsigned long first, count, owner;
  char *line, *fields[3];
  struct lines lines;
  bool any = false;
  int length = map->length;

  if (!open_lines(&lines, AT_FDCWD, caller->file)) {
    return false;
  }
  while ((line = next_line(&lines))) {
    if (split(line, fields, 3) != 3 || !*fields[0] ||
        !number(fields[1], LAST_ID, &first) ||
        !number(fields[2], LAST_ID, &count) || count == 0 ||
        !(number(fields[0], LAST_ID, &owner)
              ? owner == caller->uid
              : strcmp(fields[0], user_name(caller)) == 0)) {
      continue;
    }

    /* A delegated 0 would be the host's root, which nobody means. */

    if (first == 0) {
      warnx("warning: %s delegates id 0: left out", caller->file);
      first++;
      count--;
    }
    any |= add_mapped(map, caller, first, count);
  }
  warn_of_accounts(caller, map, length);
  return any;
}

static inline _Noreturn void fail_delegation(const struct caller *caller) {
  const char *name = user_name(caller);

  warnx("%s delegates no id to user %ld", caller->file, (long)caller->uid);
  if (*name) {
    warnx("hint: usermod --add-sub%s 100000-165535 %s, as root, adds a line",
          caller->gids ? "gids" : "uids", name);
  } else {
    warnx("hint: a line %ld:100000:65536 is what is missing there",
          (long)caller->uid);
  }
  _exit(FAILED);
}

/* Whether NAME is the LENGTH bytes at WORD. */
static inline bool is_word(const char *word, size_t length, const char *name) {
  return strlen(name) == length && memcmp(word, name, length) == 0;
}

/* Reads TEXT, a MAP, into MAP; exits if anything in it is wrong. The word that
 * takes what is free comes after those that say where. */
static inline void parse_map(const char *text, const struct caller *caller,
                             struct map *map) {
  bool sub = false;
  const char *end;

  map->length = 0;
  for (const char *word = text; word; word = *end ? end + 1 : NULL) {
    size_t length = (end = strchrnul(word, ',')) - word;
    const char *wrong = NULL;
    struct range range;

    if (is_word(word, length, "root")) {
      wrong = add_range(map, 0, caller->id, 1);
    } else if (is_word(word, length, "self")) {
      wrong = add_range(map, caller->id, caller->id, 1);
    } else if (is_word(word, length, "all")) {
      for (int i = 0; i < caller->parent.length && !wrong; i++) {
        range = caller->parent.ranges[i];
        wrong = add_range(map, range.inside, range.inside, range.count);
      }
    } else if (is_word(word, length, "sub")) {
      sub = true;
    } else if (read_range(word, &range) == end) {
      wrong = add_range(map, range.inside, range.outside, range.count);
    } else {
      wrong = "not INSIDE:OUTSIDE:COUNT, root, self, sub or all";
    }
    if (wrong) {
      errx(USAGE, "%s: %s", text, wrong);
    }
  }
  if (sub && !add_delegated(map, caller)) {
    fail_delegation(caller);
  }
}

/* The map of one who did not ask for any: see idmap(1). */
static inline void default_map(const struct caller *caller, struct map *map) {
  map->length = 0;
  if (caller->uid != 0) {
    add_range(map, 0, caller->id, 1);
    add_delegated(map, caller);
  } else if (!add_delegated(map, caller) &&
             !add_mapped(map, caller, BLOCK_FIRST, BLOCK_COUNT)) {
    warnx("no ids for root: %s delegates none, and %ld-%ld are not mapped here",
          caller->file, BLOCK_FIRST, BLOCK_FIRST + BLOCK_COUNT - 1);
    warnx("hint: -u all -g all takes those that are");
    _exit(FAILED);
  }
}

/* Whether one range of the parent holds all of RANGE: the kernel takes no other
 * and would say so only when the namespace is there. */
static inline bool is_mapped(const struct map *parent,
                             const struct range *range) {
  for (int i = 0; i < parent->length; i++) {
    unsigned long before = range->outside - parent->ranges[i].inside;
    if (range->outside >= parent->ranges[i].inside &&
        before + range->count <= parent->ranges[i].count) {
      return true;
    }
  }
  return false;
}

/* TEXT as a map, or the default if it is NULL. */
static inline void make_map(const char *text, const struct caller *caller,
                            struct map *map) {
  struct line line;

  if (text) {
    parse_map(text, caller, map);
  } else {
    default_map(caller, map);
  }
  for (int i = 0; i < map->length; i++) {
    const struct range *range = &map->ranges[i];
    if (!is_mapped(&caller->parent, range)) {
      errx(FAILED, "%ld:%ld:%ld: not in one range of what is mapped here",
           (long)range->inside, (long)range->outside, (long)range->count);
    }
  }
  line.length = 0;
  put_map(&line, map, false);
  if (line.length > MOST_TEXT) {
    errx(USAGE, "the map is longer than the kernel reads, 4095 bytes");
  }
}

#endif
