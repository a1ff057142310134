/* options.h: the words of OPTIONS.
 *
 * Those of mount(8) that concern the mount itself, and our own, are known here;
 * all others are for the file system. mount(8) leaves out in silence what means
 * nothing where it stands; to a reader of the line it did mean something.
 */

#ifndef OPTIONS_H
#define OPTIONS_H

#include "../idmap/first/step.h"
#include <linux/mount.h>
#include <sys/mount.h>

enum {
  BIND = 1,
  MOVE = 2,
  REMOUNT = 4,
  RECURSIVE = 8, /* bind the mounts below too, and set flags on all */
  CREATE_DIR = 16,
  CREATE_FILE = 32,
  OPTIONAL = 64,
  PROPAGATION = 128,
  PROPAGATE_ALL = 256, /* the propagation of the mounts below too */
};

struct options {
  struct mount_attr flags; /* to set and clear, and the propagation */
  int what;
  const char *idmap; /* the value of idmap=, or NULL */
  char *words, *end; /* all of them, with a NUL behind each */
};

struct word {
  char name[14];
  unsigned short what;
  unsigned set, clear; /* flags; of a propagation, set is that */
};

/* The kinds of atime exclude each other, and mount_setattr(2) wants all of them
 * cleared before one is set. relatime is what is left if none is. */
static const struct word words[] = {
    {"defaults", 0, 0, 0},
    {"ro", 0, MOUNT_ATTR_RDONLY, 0},
    {"rw", 0, 0, MOUNT_ATTR_RDONLY},
    {"nosuid", 0, MOUNT_ATTR_NOSUID, 0},
    {"suid", 0, 0, MOUNT_ATTR_NOSUID},
    {"nodev", 0, MOUNT_ATTR_NODEV, 0},
    {"dev", 0, 0, MOUNT_ATTR_NODEV},
    {"noexec", 0, MOUNT_ATTR_NOEXEC, 0},
    {"exec", 0, 0, MOUNT_ATTR_NOEXEC},
    {"nosymfollow", 0, MOUNT_ATTR_NOSYMFOLLOW, 0},
    {"symfollow", 0, 0, MOUNT_ATTR_NOSYMFOLLOW},
    {"nodiratime", 0, MOUNT_ATTR_NODIRATIME, 0},
    {"diratime", 0, 0, MOUNT_ATTR_NODIRATIME},
    {"noatime", 0, MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME},
    {"strictatime", 0, MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME},
    {"norelatime", 0, MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME},
    {"atime", 0, 0, MOUNT_ATTR__ATIME},
    {"relatime", 0, 0, MOUNT_ATTR__ATIME},
    {"nostrictatime", 0, 0, MOUNT_ATTR__ATIME},
    {"bind", BIND, 0, 0},
    {"rbind", BIND | RECURSIVE, 0, 0},
    {"move", MOVE, 0, 0},
    {"remount", REMOUNT, 0, 0},
    {"optional", OPTIONAL, 0, 0},
    {"create=dir", CREATE_DIR, 0, 0},
    {"create=file", CREATE_FILE, 0, 0},
    {"private", PROPAGATION, MS_PRIVATE, 0},
    {"slave", PROPAGATION, MS_SLAVE, 0},
    {"shared", PROPAGATION, MS_SHARED, 0},
    {"unbindable", PROPAGATION, MS_UNBINDABLE, 0},
    {"rprivate", PROPAGATION | PROPAGATE_ALL, MS_PRIVATE, 0},
    {"rslave", PROPAGATION | PROPAGATE_ALL, MS_SLAVE, 0},
    {"rshared", PROPAGATION | PROPAGATE_ALL, MS_SHARED, 0},
    {"runbindable", PROPAGATION | PROPAGATE_ALL, MS_UNBINDABLE, 0},
};

static inline const struct word *find_word(const char *text) {
  for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
    if (strcmp(words[i].name, text) == 0) {
      return &words[i];
    }
  }
  return NULL;
}

/* Adds one word. Returns NULL, or what is wrong with it. */
static inline const char *add_word(struct options *options,
                                   const struct word *word) {
  if (word->what & PROPAGATION) {
    if (options->what & PROPAGATION) {
      return "one line sets one propagation";
    }
    options->flags.propagation = word->set;
  } else {
    options->flags.attr_set =
        (options->flags.attr_set & ~word->clear) | word->set;
    options->flags.attr_clr =
        (options->flags.attr_clr & ~word->set) | word->clear;
  }
  options->what |= word->what;
  return NULL;
}

static inline bool is_idmap(const char *word) {
  return strncmp(word, "idmap=", 6) == 0;
}

/* The first word for the file system from WORD on, or NULL. */
static inline char *next_other(const struct options *options, char *word) {
  for (; word < options->end; word += strlen(word) + 1) {
    if (*word && !find_word(word) && !is_idmap(word)) {
      return word;
    }
  }
  return NULL;
}

/* Reads TEXT, words with commas between them, into OPTIONS. Cuts TEXT to pieces
 * and keeps pointers into it. Returns NULL, or what is wrong. */
static inline const char *parse_options(char *text, struct options *options) {
  const char *wrong = NULL;

  memset(options, 0, sizeof(*options));
  options->words = text;
  options->end = text + strlen(text);
  while (text && !wrong) {
    char *name = text;
    text = strchr(text, ',');
    if (text) {
      *text++ = '\0';
    }
    const struct word *word = find_word(name);
    if (word) {
      wrong = add_word(options, word);
    } else if (strncmp(name, "create=", 7) == 0) {
      wrong = "create= makes a dir or a file";
    } else if (is_idmap(name)) {
      wrong = options->idmap ? "more than one idmap=" : NULL;
      options->idmap = name + 6;
    }
  }
  if (wrong) {
    return wrong;
  }

  int kinds = options->what & (BIND | MOVE | REMOUNT);
  if (kinds & MOVE && kinds != MOVE) {
    return "move goes without bind and remount";
  }
  if (options->what & CREATE_DIR && options->what & CREATE_FILE) {
    return "create= makes a dir or a file, not both";
  }
  if (options->idmap && kinds & (MOVE | REMOUNT)) {
    return "idmap= is for a new mount: a bind or a file system";
  }
  return NULL;
}

#endif
