/* table.c: the lines of a table, and the words of OPTIONS. table.h has the
 * contract. */

#include "table.h"
#include "userns.h"

/* ---- Words ---- */

/* What a word does to its line. From MAPS on, one such word is enough. */
enum effect { NONE, OPTIONAL, BINDS, REMOUNTS, FLAG, MAPS, SHARES, CREATES };

/* The kinds of line that a word may stand in. */
enum { NOWHERE = 0, NEW = MOUNT_NEW | BIND, FLAGS = NEW | REMOUNT };
enum { MOUNTS = FLAGS | PROPAGATE, ANYWHERE = MOUNTS | MAKE };

struct word {
  const char *name, *other; /* a = or - at the end stands for any value */
  unsigned kinds;
  enum effect effect;
  unsigned value; /* a flag, or the propagation */
};

static const struct word words[] = {
    {"defaults", "", ANYWHERE, NONE, 0},
    {"comment=", "x-", ANYWHERE, NONE, 0},
    {"optional", "nofail", ANYWHERE, OPTIONAL, 0},
    {"bind", "rbind", BIND | REMOUNT, BINDS, 0},
    {"remount", "remount", REMOUNT, REMOUNTS, 0},
    {"move", "move", NOWHERE, REMOUNTS, 0}, /* mount(8) does that */
    {"ro", "rw", FLAGS, FLAG, MOUNT_ATTR_RDONLY},
    {"nosuid", "suid", FLAGS, FLAG, MOUNT_ATTR_NOSUID},
    {"nodev", "dev", FLAGS, FLAG, MOUNT_ATTR_NODEV},
    {"noexec", "exec", FLAGS, FLAG, MOUNT_ATTR_NOEXEC},
    {"nosymfollow", "symfollow", FLAGS, FLAG, MOUNT_ATTR_NOSYMFOLLOW},
    {"nodiratime", "diratime", FLAGS, FLAG, MOUNT_ATTR_NODIRATIME},
    {"noatime", "atime", FLAGS, FLAG, MOUNT_ATTR_NOATIME},
    {"strictatime", "nostrictatime", FLAGS, FLAG, MOUNT_ATTR_STRICTATIME},
    {"norelatime", "relatime", FLAGS, FLAG, MOUNT_ATTR_STRICTATIME},
    {"private", "rprivate", MOUNTS, SHARES, MS_PRIVATE},
    {"slave", "rslave", MOUNTS, SHARES, MS_SLAVE},
    {"shared", "rshared", MOUNTS, SHARES, MS_SHARED},
    {"unbindable", "runbindable", MOUNTS, SHARES, MS_UNBINDABLE},
    {"create=dir", "create=file", NEW, CREATES, 0},
    {"idmap=", "idmap=", NEW, MAPS, MOUNT_ATTR_IDMAP},
};

static bool is_word(const char *word, const char *name) {
  size_t length = strlen(name);
  bool has_value = length > 0 && strchr("=-", name[length - 1]);

  return strncmp(word, name, length) == 0 && (has_value || !word[length]);
}

static const struct word *find_word(const char *word) {
  for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
    if (is_word(word, words[i].name) || is_word(word, words[i].other)) {
      return &words[i];
    }
  }
  return NULL;
}

/* Something wrong on the command line is a usage error. In a table it is the
 * step that fails. */
static bool is_in_table;

static void wrong_if(bool is_so, const char *object, const char *reason) {
  if (is_in_table) {
    refuse_if(is_so, object, reason);
  }
  usage_error_if(is_so, object, reason);
}

/* The user namespace that idmap= names: fd:N, a file, or ranges for a new one.
 */
static int userns_or_exit(const char *idmap) {
  int fd = inherited_fd_or_exit(idmap), flags = O_RDONLY | O_CLOEXEC;

  return fd >= 0 ? fd
         : strchr(idmap, '/')
             ? or_exit(open(idmap, flags | O_NONBLOCK), "open", idmap)
             : new_userns_or_exit(idmap);
}

/* A mount has one kind of atime; relatime is the one without a flag. All of
 * them must be cleared when one is set (mount_setattr(2)). */
static void add_flag(struct mount_attr *attr, uint64_t flag, bool is_set) {
  bool is_atime = flag & MOUNT_ATTR__ATIME;
  uint64_t mask = is_atime ? MOUNT_ATTR__ATIME : flag;

  attr->attr_set = (attr->attr_set & ~mask) | (is_set ? flag : 0);
  attr->attr_clr = (attr->attr_clr & ~mask) | (is_set && !is_atime ? 0 : mask);
}

static void add_word_or_exit(struct line *line, const struct word *known,
                             const char *word) {
  enum effect effect = known->effect;
  struct change *change = effect == SHARES ? &line->sharing : &line->flags;
  bool is_first = is_word(word, known->name);

  wrong_if(effect >= MAPS && line->said & 1U << effect, word,
           "is not the first of its kind");
  line->said |= 1U << effect;
  line->missing.is_optional |= effect == OPTIONAL;
  change->is_recursive |= (effect == BINDS || effect == SHARES) && !is_first;
  if (effect == MAPS) {
    line->flags.attr.userns_fd = userns_or_exit(strchr(word, '=') + 1);
  }
  if (effect == CREATES) {
    line->missing.type = is_first ? S_IFDIR : S_IFREG;
  }
  if (effect == SHARES) {
    change->attr.propagation = known->value;
  } else if (known->value) {
    add_flag(&change->attr, known->value, is_first);
  }
  if (known->value && strlen(change->words) < 48) {
    strcat(change->words, *change->words ? "," : "");
    strncat(change->words, word, 63 - strlen(change->words));
  }
}

/* mode=, of a directory that is made; mkdir(2) takes no setuid or setgid. */
static void add_mode_or_exit(struct line *line, const char *word) {
  const char *digit = strchr(word, '=') + 1;
  bool is_octal = strlen(digit) <= 4 && !digit[strspn(digit, "01234567")];
  mode_t mode = *digit ? 0 : 07777;

  for (; *digit; digit++) {
    mode = mode << 3 | (*digit - '0');
  }
  wrong_if(!is_octal || mode > 01777, word, "is not a mode such as 1777");
  line->missing.mode = mode;
  line->missing.is_exact = true;
}

/* ---- Lines ---- */

/* Reads OPTIONS into LINE. Each word leaves fewer kinds of line that all of
 * them may stand in; those that are left are returned. What is not known is a
 * word for the file system, and is moved behind the one before it. */
static unsigned read_words_or_exit(struct line *line, char *options) {
  unsigned kinds = line->kind == MAKE ? MAKE : line->kind | BIND | REMOUNT;
  char *word;

  line->words = line->end = options;
  while ((word = strsep(&options, ","))) {
    const struct word *known = find_word(word);
    if (strcmp(line->type, "dir") == 0 && strncmp(word, "mode=", 5) == 0) {
      add_mode_or_exit(line, word);
      continue;
    }
    kinds &= known ? known->kinds : MOUNT_NEW;
    wrong_if(!kinds, word,
             (known ? known->effect == REMOUNTS : line->said & 1U << REMOUNTS)
                 ? "is done by mount(8); here, remount sets flags of the mount"
                 : "has no effect with the TYPE and the words before it");
    if (known) {
      add_word_or_exit(line, known, word);
    } else {
      memmove(line->end, word, strlen(word) + 1);
      line->end += strlen(line->end) + 1;
    }
  }
  return kinds;
}

void add_line_or_exit(struct lines *lines, struct line line, char *options) {
  bool is_directory = strcmp(line.type, "dir") == 0;
  bool is_link = strcmp(line.type, "symlink") == 0;
  bool has_type = *line.type && strcmp(line.type, "none") != 0;

  line.kind = is_directory || is_link ? MAKE : has_type ? MOUNT_NEW : PROPAGATE;
  line.missing.type = is_directory ? S_IFDIR : is_link ? S_IFLNK : 0;
  line.missing.mode = 0777;
  line.missing.text = line.source;
  line.tree = -1;
  unsigned kinds = read_words_or_exit(&line, options);
  line.kind = line.said & 1U << REMOUNTS ? REMOUNT
              : line.said & 1U << BINDS  ? BIND
                                         : line.kind;
  wrong_if(!(kinds & line.kind) ||
               (line.kind == PROPAGATE && !(line.said & 1U << SHARES)),
           line.target, "needs a TYPE, bind, remount or a propagation");
  wrong_if(is_no_path(line.target), line.target, no_path);
  wrong_if(line.kind == BIND && *line.source != '/' && is_no_path(line.source),
           line.source, no_path);
  wrong_if(lines->count == MOST_LINES, line.target,
           "has 8192 lines before it, which is the limit");
  lines->lines[lines->count++] = line;
}

/* ---- Tables ---- */

/* Cuts TEXT at its blanks into the fields of LINE, and adds that. */
static void read_line_or_exit(struct lines *lines, struct line line,
                              char *text) {
  static char none[1];
  char *options, *rest,
      **fields[] = {&line.source, &line.target, &line.type, &options};
  uint64_t n;

  text += strspn(text, " \t\r");
  if (!*text || *text == '#') {
    return;
  }
  for (int i = 0; i < 7; i++) {
    char *field = strtok_r(i == 0 ? text : NULL, " \t\r", &rest);
    field = field ? field : none;
    wrong_if(*field && i >= 4 && (i == 6 || !read_number(field, INT_MAX, &n)),
             field, "is not one of the two numbers behind OPTIONS");
    for (char *byte = field; (byte = strchr(byte, '\\')); byte += 4) {
      wrong_if(strspn(byte + 1, "01234567") < 3 || byte[1] > '3' ||
                   strncmp(byte + 1, "000", 3) == 0,
               byte, "does not begin with a byte in octal");
    }
    if (i < 4) {
      unescape(field);
      *fields[i] = field;
    }
  }
  wrong_if(!*line.type, "SOURCE, TARGET and TYPE", "are needed");
  add_line_or_exit(lines, line, options);
}

void add_table_or_exit(struct lines *lines, char *table) {
  char *text = lines->text + lines->length, *start, name[40] = "";
  char *rest = strncmp(table, "fd:", 3) == 0 ? table + 3 : NULL;
  char *shown = strsep(&rest, ":") && rest ? rest : table;
  size_t room, length = strlen(shown), cut = length > 38 ? length - 38 : 0;
  int fd = inherited_fd_or_exit(table), size;
  struct line line = {.said = 0};

  if (fd < 0) {
    fd = or_exit(open(table, O_RDONLY | O_CLOEXEC), "open", table);
  }
  do {
    room = MOST_BYTES - lines->length;
    size = or_exit(read(fd, lines->text + lines->length, room), "read", shown);
    lines->length += size;
  } while (size > 0);
  refuse_if(lines->length == MOST_BYTES, shown,
            "is longer than 1 MiB, with the tables before it");
  refuse_if(strlen(text) < (size_t)(lines->text + lines->length - text), shown,
            "has a NUL in it");
  lines->length++; /* that of the last line */
  strcat(strcpy(name, shown + cut), ":");
  is_in_table = true;
  for (uint64_t number = 1; (start = strsep(&text, "\n")); number++) {
    line.prefix = *shown ? numbered(name, number, ": ") : line.prefix;
    message_prefix = line.prefix.text;
    read_line_or_exit(lines, line, start);
  }
  message_prefix = "";
  is_in_table = false;
}
