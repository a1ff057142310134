/* table.h: the lines of a table, and the words of OPTIONS.
 *
 * A line is as in fstab(5), with the words of mount(8). mount(8) drops a word
 * that has no effect where it stands. Here that is an error, since someone who
 * reads the line relies on it.
 */

#pragma once

#include "walk.h"

/* What a line does. */
enum { MOUNT_NEW = 1, BIND = 2, REMOUNT = 4, PROPAGATE = 8, MAKE = 16 };

/* What is set on a mount by mount_setattr(2). */
struct change {
  struct mount_attr attr;
  bool is_recursive;
  char words[64]; /* what it is, for -v */
};

struct line {
  struct numbered prefix; /* of messages: "TABLE:3: " */
  char *source, *target, *type;
  char *words, *end;      /* for the file system, with a NUL behind each */
  unsigned kind;          /* one of those above, or 0 to do nothing */
  unsigned said;          /* the effects of its words, as bits */
  struct change flags;    /* with userns_fd open */
  struct change sharing;  /* its propagation */
  struct missing missing; /* what happens to TARGET if it does not exist */
  int tree;               /* the source, if it is open, or -1 */
};

enum { MOST_LINES = 8192, MOST_BYTES = 1 << 20 };

struct lines {
  struct line lines[MOST_LINES];
  size_t count, length;
  char text[MOST_BYTES]; /* of all tables */
};

/* Adds LINE, of which prefix, source, target and type are set, with OPTIONS,
 * which is cut at its commas and has to stay. Exits with 64 if the line makes
 * no sense, or with 125 if it is one of a table. */
void add_line_or_exit(struct lines *lines, struct line line, char *options);

/* Adds the lines of TABLE: a path, fd:N, or fd:N:NAME. Messages about a line
 * begin with the end of the path or NAME and the line's number, or with neither
 * if NAME is empty. Exits with 125 if TABLE cannot be read to its end, or if a
 * line of it makes no sense. Cuts fd:N:NAME at its colons. */
void add_table_or_exit(struct lines *lines, char *table);
