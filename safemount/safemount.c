/* safemount: mount below a directory, and never outside of it.
 *
 * mount(2) takes a path and follows every link on it. Below the root of a
 * container the container makes the links, and a mount on its /proc lands on
 * whatever the host has where that link points (CVE-2015-1335).
 *
 * So each target is walked to once, without links, and the mount, made and with
 * all its flags set before anybody can see it, is attached to the descriptor
 * that this gave. No path is looked up twice, and /proc, which may be
 * anybody's, is not asked.
 */

#include "hints.h"
#include "options.h"
#include "table.h"
#include "userns.h"
#include "walk.h"

ABOUT("safemount", "[-Lv] [-o OPTIONS] [-r ROOT] [-t TYPE] SOURCE TARGET "
                   "[PROG [ARG]...]\n"
                   "       safemount [-Lv] [-r ROOT] -f TABLE "
                   "[PROG [ARG]...]\n"
                   "       safemount [-Lv] [-r ROOT] -U TARGET "
                   "[PROG [ARG]...]\n");

#define MOST_BYTES (1 << 20)
#define MOST_ENTRIES 8192

struct entry {
  unsigned long line; /* in TABLE, or 0 */
  struct fields fields;
  struct options options;
  int tree;      /* its source, once opened, or -1 */
  bool as_given; /* a copy of the descriptor that SOURCE names */
  bool skipped;
};

static struct entry entries[MOST_ENTRIES];
static size_t entry_count;

static struct place root_place;
static int root;  /* ROOT, or what covers it */
static int links; /* LINKS, or 0 */

/* --- What is wrong ------------------------------------------------------- */

/* What is not named here, such as mkdir, is older than any kernel we run on. */
static void explain_missing(const char *call) {
  if (errno == ENOSYS && (strchr(call, '_') || strncmp(call, "fs", 2) == 0)) {
    warnx("hint: %s needs Linux %s", call,
          strcmp(call, "mount_setattr") == 0 ? "5.12" : "5.2");
  }
}

static void complain(const char *call, const char *object) {
  int error = errno;
  const char *why;

  warn("%s%s %s", position, call, object);
  explain_missing(call);
  if (error == EPERM && (why = why_not_permitted(open_proc()))) {
    warnx("hint: %s", why);
  }
  errno = error;
}

_Noreturn static void fail(const char *call, const char *object) {
  complain(call, object);
  _exit(FAILED);
}

_Noreturn static void reject(const char *object, const char *why) {
  errx(*position ? FAILED : USAGE, "%s%s: %s", position, object, why);
}

/* Whatever a path with ".." in it means, it is not simply below ROOT. */
static void check_path(const char *path) {
  if (!*path) {
    errx(FAILED, "%san empty path", position);
  }
  if (has_dot_dot(path)) {
    errx(FAILED, "%s%s: \"..\" is refused", position, path);
  }
}

/* Closes FD, with others in one call once there are many. */
static void close_later(int fd) {
  static int fds[32], count; /* in order */
  int i = count++;

  for (; i > 0 && fds[i - 1] > fd; i--) {
    fds[i] = fds[i - 1];
  }
  fds[i] = fd;
  if (count < 32) {
    return;
  }
  while (count > 0) {
    int last = fds[--count], first = last;
    while (count > 0 && fds[count - 1] == first - 1) {
      first = fds[--count];
    }
    CALL(close_range, first, last, 0);
  }
}

/* --- Reading what is to be done ------------------------------------------ */

static bool is_made_by_us(const struct entry *entry) {
  return strcmp(entry->fields.type, "dir") == 0 ||
         strcmp(entry->fields.type, "symlink") == 0;
}

/* Whether WORD is "fd:N". As inherited(), but an error has the line's number.
 */
static bool names_descriptor(const char *word) {
  unsigned long fd;

  if (strncmp(word, "fd:", 3) != 0) {
    return false;
  }
  if (!number(word + 3, INT_MAX, &fd)) {
    reject(word, "not a descriptor's number");
  }
  if (!is_inherited(fd)) {
    fail("fcntl", word);
  }
  return true;
}

static bool has_type(const struct entry *entry) {
  return *entry->fields.type && strcmp(entry->fields.type, "none") != 0;
}

/* Adds what FIELDS say to the entries, or exits if that makes no sense. */
static void add_entry(unsigned long line_number, const struct fields *fields) {
  struct entry *entry = &entries[entry_count++];
  const struct options *options = &entry->options;
  const char *target = fields->target, *wrong;
  struct map map;

  set_position(line_number);
  if (entry_count > MOST_ENTRIES) {
    reject("TABLE", "more than 8192 mounts");
  }
  *entry = (struct entry){.line = line_number, .fields = *fields, .tree = -1};
  wrong = parse_options(fields->options, &entry->options);
  if (wrong) {
    reject("OPTIONS", wrong);
  }
  const char *other = next_other(options, options->words);
  check_path(target);
  if (options->idmap && !strchr(options->idmap, '/') &&
      !names_descriptor(options->idmap) &&
      (wrong = parse_ranges(options->idmap, &map))) {
    reject("idmap=", wrong);
  }
  if (is_made_by_us(entry)) {
    if (options->what & ~OPTIONAL || options->flags.attr_set ||
        options->idmap || other) {
      reject(target, "a dir or symlink has no options but optional");
    }
  } else if (!(options->what & (BIND | MOVE | REMOUNT))) {
    if (!has_type(entry) &&
        (!(options->what & PROPAGATION) || other || options->idmap ||
         options->flags.attr_set || options->flags.attr_clr)) {
      reject(target, "neither a file system's TYPE nor bind, move, remount or "
                     "a propagation");
    }
  } else if (!(options->what & REMOUNT)) {
    if (other) {
      reject(other, "not a word for a bind or move");
    }
    if (*fields->source != '/' && !names_descriptor(fields->source)) {
      check_path(fields->source);
    }
  } else if (options->what & BIND && other) {
    reject(other, "not a word for a bind");
  }
}

/* Reads all of the file TABLE, or fd:N, before anything is done. */
static void read_table(const char *table) {
  static char text[MOST_BYTES + 1];
  unsigned long line_number = 0;
  struct fields fields;
  size_t length = 0;
  long n;
  int fd = inherited(table);

  if (fd < 0) {
    fd = CALL(openat, AT_FDCWD, table, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
      err(FAILED, "open %s", table);
    }
  }
  while ((n = CALL(read, fd, &text[length], MOST_BYTES - length)) > 0) {
    length += n;
  }
  if (n < 0) {
    err(FAILED, "read %s", table);
  }
  if (length == MOST_BYTES) {
    errx(FAILED, "%s: longer than 1 MiB", table);
  }
  for (char *line = text, *end = text + length; line < end;) {
    char *newline = memchr(line, '\n', end - line);
    newline = newline ? newline : end;
    *newline = '\0';
    set_position(++line_number);
    const char *wrong = parse_line(line, newline - line, &fields);
    if (wrong) {
      reject(table, wrong);
    }
    if (*fields.source) {
      add_entry(line_number, &fields);
    }
    line = newline + 1;
  }
}

/* --- What is to be mounted ----------------------------------------------- */

/* What PATH below FD, or FD itself, names: for a bind a copy of the mount. */
static int get_tree(int fd, const char *path, int what) {
  if (what & RECURSIVE) {
    return CALL(open_tree, fd, path,
                OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH |
                    AT_RECURSIVE);
  }
  if (what & BIND) {
    return CALL(open_tree, fd, path,
                OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
  }
  return CALL(open_tree, fd, path, OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
}

/* Whether FD is the root of a mount that is attached nowhere. One outside of a
 * chroot is in no table that we see either, but has a directory above it. */
static bool is_detached(int fd) {
  struct place here = look(fd, ""), up = look(fd, "..");
  struct mount mount;

  return find_mount_of(root, &mount) && !find_mount_of(fd, &mount) &&
         here.is_mount_point && (!here.is_directory || same(&here, &up));
}

/* Opens the source of a bind, as a copy that is attached nowhere, or that of a
 * move, as what it is. False if there is none and that is no error. */
static bool open_source(struct entry *entry) {
  const char *source = entry->fields.source, *path = "";
  int what = entry->options.what, fd = inherited(source);
  bool given = fd >= 0, here = is_root(source) && *source != '/';
  bool walked = !given && !here && *source != '/';

  if (*source == '/') {
    fd = AT_FDCWD;
    path = source;
  } else if (!given) {
    fd = here ? root : open_below(root, source, links);
  }
  entry->tree = walked && fd < 0 ? -1 : get_tree(fd, path, what);
  int error = errno;

  /* Before Linux 6.15 a detached mount cannot be copied, but attached itself.
   * What no mount table shows is one, or else another namespace's. */

  if (entry->tree < 0 && error == EINVAL && given && is_detached(fd)) {
    entry->tree = CALL(fcntl, fd, F_DUPFD_CLOEXEC, 3);
    entry->as_given = true;
  }
  if (entry->tree < 0 && !(error == ENOENT && what & OPTIONAL)) {
    errno = error;
    complain("open_tree", source);
    if (error == EINVAL) {
      explain_source(fd, given, get_tree(fd, path, RECURSIVE) >= 0);
    }
    _exit(FAILED);
  }
  if (walked && fd >= 0) {
    close_later(fd);
  }
  entry->skipped = entry->tree < 0;
  return !entry->skipped;
}

/* Opens what the administrator named, before anything is mounted: in a /dev
 * that is covered a device is no longer found. */
static void open_sources(void) {
  for (size_t i = 0; i < entry_count; i++) {
    struct entry *entry = &entries[i];
    int what = entry->options.what;
    const char *source = entry->fields.source;
    set_position(entry->line);
    if (what & (BIND | MOVE) && !(what & REMOUNT) &&
        (*source == '/' || inherited(source) >= 0)) {
      open_source(entry);
    }
  }
}

/* What the file system says about its refusal; errno alone is EINVAL. */
_Noreturn static void fail_context(int context, const char *type,
                                   const char *object) {
  char text[512];
  int error = errno;
  long n;

  warn("%sfsconfig %s %s", position, type, object);
  explain_missing("fsconfig");
  while ((n = CALL(read, context, &text, sizeof(text) - 1)) > 0) {
    text[n] = '\0';
    *strchrnul(text, '\n') = '\0';
    warnx("%s%s", position, n > 2 && text[1] == ' ' ? text + 2 : text);
  }
  const char *value = strchr(object, '=');
  if (error == EINVAL && strlen(value ? value + 1 : object) > 255) {
    warnx("hint: fsconfig takes at most 255 bytes");
  }
  _exit(FAILED);
}

/* Tells the file system CONTEXT one word, KEY or KEY=VALUE. */
static void set_word(int context, const char *type, char *word) {
  char *value = strchr(word, '=');

  if (value) {
    *value++ = '\0';
  }
  if ((value ? CALL(fsconfig, context, FSCONFIG_SET_STRING, word, value, 0)
             : CALL(fsconfig, context, FSCONFIG_SET_FLAG, word, NULL, 0)) < 0) {
    if (value) {
      value[-1] = '=';
    }
    fail_context(context, type, word);
  }
}

/* Tells the file system CONTEXT all its words, and creates or changes it. */
static bool configure(int context, const struct entry *entry, bool create) {
  const struct options *options = &entry->options;
  const char *source = create ? entry->fields.source : entry->fields.target;
  const char *type = create ? entry->fields.type : "remount";
  char *word = options->words, ro[] = "ro", rw[] = "rw";

  if (create &&
      CALL(fsconfig, context, FSCONFIG_SET_STRING, "source", source, 0) < 0) {
    fail_context(context, type, source);
  }

  /* A device that is read-only, or must stay as it is, is not to be opened for
   * writing. What has no device may be one file system in many places. */

  if (!create || strchr(source, '/')) {
    if (options->flags.attr_set & MOUNT_ATTR_RDONLY) {
      set_word(context, type, ro);
    } else if (options->flags.attr_clr & MOUNT_ATTR_RDONLY) {
      set_word(context, type, rw);
    }
  }
  while ((word = next_other(options, word))) {
    char *next = word + strlen(word) + 1;
    set_word(context, type, word);
    word = next;
  }
  if ((create ? CALL(fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0)
              : CALL(fsconfig, context, FSCONFIG_CMD_RECONFIGURE, NULL, NULL,
                     0)) < 0) {
    if (create && errno == ENOENT && options->what & OPTIONAL) {
      return false;
    }
    fail_context(context, type, source);
  }
  return true;
}

/* Makes a new file system, attached nowhere yet. False as open_source(). */
static bool make_file_system(struct entry *entry) {
  const char *type = entry->fields.type;
  int context = CALL(fsopen, type, FSOPEN_CLOEXEC);

  if (context < 0) {
    int error = errno;
    complain("fsopen", type);
    explain_type(error, type);
    _exit(FAILED);
  }
  if (!configure(context, entry, true)) {
    close_later(context);
    return false;
  }
  entry->tree =
      CALL(fsmount, context, FSMOUNT_CLOEXEC, entry->options.flags.attr_set);
  if (entry->tree < 0) {
    int error = errno;
    complain("fsmount", type);
    explain_type(error, type);
    _exit(FAILED);
  }
  close_later(context);
  return true;
}

/* --- Its flags ----------------------------------------------------------- */

static int open_userns(const char *idmap) {
  int fd = inherited(idmap);
  struct map map;

  if (fd >= 0) {
    return fd;
  }
  if (!strchr(idmap, '/')) {
    parse_ranges(idmap, &map);
    return make_userns(&map);
  }
  fd = CALL(openat, AT_FDCWD, idmap, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) {
    fail("open", idmap);
  }
  return fd;
}

/* The type of the file system that ENTRY mounts. */
static const char *type_of(const struct entry *entry) {
  static struct mount mount;
  const char *source = entry->fields.source;
  int fd = inherited(source);

  if (!(entry->options.what & (BIND | MOVE))) {
    return entry->fields.type;
  }
  if (fd < 0) {
    fd = *source == '/' ? CALL(openat, AT_FDCWD, source, O_PATH | O_CLOEXEC)
                        : open_below(root, source, links);
  }
  return find_mount_of(fd, &mount) ? mount.type : "its file system";
}

static void explain_given(const struct entry *entry, int error) {
  if (entry->as_given && error == EINVAL) {
    warnx("hint: %s was opened in another mount namespace",
          entry->fields.source);
  }
}

static bool set_attributes(int tree, struct mount_attr flags, bool below) {
  return (below ? CALL(mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE,
                       &flags, MOUNT_ATTR_SIZE_VER0)
                : CALL(mount_setattr, tree, "", AT_EMPTY_PATH, &flags,
                       MOUNT_ATTR_SIZE_VER0)) == 0;
}

/* Sets on TREE the flags that ENTRY names, and clears those that it names so.
 * All others stay as they are: a copy is not writable where its original is
 * not. */
static void set_flags(const struct entry *entry, int tree) {
  const struct options *options = &entry->options;
  struct mount_attr flags = options->flags;

  flags.propagation = 0;
  if (options->idmap) {
    flags.attr_set |= MOUNT_ATTR_IDMAP;
    flags.userns_fd = open_userns(options->idmap);
  }
  if ((flags.attr_set || flags.attr_clr) &&
      !set_attributes(tree, flags, options->what & RECURSIVE)) {
    int error = errno;
    complain("mount_setattr", entry->fields.target);
    explain_flags(error, tree, flags.attr_clr, options->idmap, type_of(entry));
    explain_given(entry, error);
    _exit(FAILED);
  }
  if (options->idmap && inherited(options->idmap) < 0) {
    close_later(flags.userns_fd);
  }
}

/* Sets the propagation of ENTRY: before it is attached, so that nothing comes
 * and goes meanwhile, and after, as what is on a shared mount becomes shared.
 */
static void propagate(const struct entry *entry, int tree, bool attached) {
  const struct options *options = &entry->options;
  struct mount_attr flags = {.propagation = options->flags.propagation};

  /* What is unbindable cannot be attached to a shared mount. */

  if (flags.propagation == MS_UNBINDABLE && !attached) {
    flags.propagation = MS_PRIVATE;
  }

  if (flags.propagation &&
      !set_attributes(tree, flags, options->what & PROPAGATE_ALL)) {
    fail("mount_setattr", entry->fields.target);
  }
}

/* --- Where it goes ------------------------------------------------------- */

/* Opens the target of ENTRY. -1 if it does not exist and that is no error. With
 * -L, PATH, of PATH_MAX bytes, becomes the way there without links. */
static int open_target(const struct entry *entry, char *path) {
  const char *name = entry->fields.target;
  int what = entry->options.what, how = links;
  int target = -1;

  how |= what & CREATE_DIR ? MAKE_DIR : what & CREATE_FILE ? MAKE_FILE : 0;
  if (!links) {
    target = open_below(root, name, how);
  } else if (strlen(name) < PATH_MAX) {
    target = walk(root, strcpy(path, name), how);
  } else {
    errno = ENAMETOOLONG;
  }
  if (target < 0 && !(errno == ENOENT && what & OPTIONAL)) {
    fail("open", name);
  }
  return target;
}

/* What will be seen where TREE is attached. A recursive copy of a mount that
 * was covered has that cover on it: ".." of its root arrives there. */
static struct place top_of(const struct entry *entry, int tree) {
  struct place top;

  if (entry->options.what & MOVE || !try_look(tree, "..", &top)) {
    top = look(tree, "");
  }
  return top;
}

/* Detaches TREE, wherever it is, and before that what covers it. A directory
 * has the name "."; a file has one only in /proc, which must be a real one. */
static bool detach_tree(int tree, bool is_directory) {
  struct line name = {.length = 0};

  put_string(&name, is_directory ? "." : "self/fd/");
  if (!is_directory) {
    put_number(&name, tree);
  }
  put_char(&name, '\0');
  if (CALL(fchdir, is_directory ? tree : open_proc()) < 0) {
    return false;
  }
  for (int count = 0; count < MOST_LINKS; count++) {
    if (CALL(umount2, &name.text[0], MNT_DETACH) < 0) {
      return count > 0;
    }
  }
  return false;
}

/* A descriptor holds a directory or a file, not the place of it. If somebody
 * moves it out of ROOT between the walk and the attach, or moves a directory
 * above it, the mount is outside (CVE-2018-15664). So PATH is walked again, and
 * must lead to the mount TOP. A ROOT that is a mount is no exception: the same
 * directories may be moved through another mount of that file system. */
static void verify(const struct entry *entry, const char *path,
                   const struct place *top) {
  const char *target = entry->fields.target;
  int there = open_below(root, path, 0);
  struct place seen;
  bool found = there >= 0 && try_look(there, "", &seen);

  if (found && seen.mount == top->mount) {
    close_later(there);
    return;
  }
  if (found) {
    warnx("%s%s was moved or covered meanwhile", position, target);
  } else {
    warn("%sopen %s once more", position, target);
  }
  if (!detach_tree(entry->tree, top->is_directory)) {
    warn("%sumount %s", position, target);
    warnx("%s%s is still mounted, where it was moved to", position, target);
  }
  _exit(FAILED);
}

/* Attaches what ENTRY mounts to the very directory or file TARGET. */
static void attach(const struct entry *entry, int target, const char *path) {
  int tree = entry->tree;
  struct place top = top_of(entry, tree);
  bool covers = is_root(entry->fields.target);

  if (links) {
    struct place place = look(target, "");
    covers = same(&place, &root_place);
  }
  propagate(entry, tree, false);
  if (CALL(move_mount, tree, "", target, "",
           MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0) {
    int error = errno;
    complain("move_mount", entry->fields.target);
    explain_attach(error, tree, target);
    explain_given(entry, error);
    _exit(FAILED);
  }

  /* What is below "/" in later lines is below the new mount. The descriptor of
   * the old ROOT leads to what it covers, and so does "." if it is ROOT. */

  if (covers) {
    struct place cwd = look(AT_FDCWD, "");
    if (same(&cwd, &root_place) && CALL(fchdir, tree) < 0) {
      fail("chdir", "ROOT");
    }
    root = tree;
    root_place = look(root, "");
  } else {
    verify(entry, path, &top);
  }
  propagate(entry, tree, true);
}

/* Changes what is mounted on the target. */
static void change(const struct entry *entry) {
  char path[PATH_MAX];
  int what = entry->options.what, target = open_target(entry, path);
  uint64_t changed =
      entry->options.flags.attr_set | entry->options.flags.attr_clr;

  if (target < 0) {
    return;
  }
  if (what & REMOUNT && !(what & BIND) &&
      (changed & MOUNT_ATTR_RDONLY ||
       next_other(&entry->options, entry->options.words))) {
    int context =
        CALL(fspick, target, "",
             FSPICK_EMPTY_PATH | FSPICK_NO_AUTOMOUNT | FSPICK_CLOEXEC);
    if (context < 0) {
      fail("fspick", entry->fields.target);
    }
    configure(context, entry, false);
    close_fd(context);
  }
  set_flags(entry, target);
  propagate(entry, target, true);
  close_fd(target);
}

/* Makes the directory or link that is the target, and those above it. */
static void make(const struct entry *entry) {
  const char *text = entry->fields.source, *target = entry->fields.target;
  char path[PATH_MAX + 1], there[PATH_MAX] = "", *name;
  int fd;

  if (strcmp(entry->fields.type, "dir") == 0) {
    if ((fd = open_below(root, target, links | MAKE_DIR)) < 0) {
      fail("mkdir", target);
    }
    if (!look(fd, "").is_directory) {
      errno = EEXIST;
      fail("mkdir", target);
    }
    close_fd(fd);
    return;
  }
  if ((fd = open_parent(root, target, links | MAKE_DIR, path, &name)) < 0) {
    fail("open", target);
  }
  if (CALL(symlinkat, text, fd, name) < 0) {
    int error = errno;
    CALL(readlinkat, fd, name, &there, sizeof(there) - 1);
    if (error != EEXIST || strcmp(there, text) != 0) {
      errno = error;
      fail("symlink", target);
    }
  }
  close_fd(fd);
}

static void carry_out(struct entry *entry) {
  int what = entry->options.what;
  char path[PATH_MAX];

  set_position(entry->line);
  if (entry->skipped) {
    return;
  }
  if (is_made_by_us(entry)) {
    make(entry);
    return;
  }
  if (what & REMOUNT || (!(what & (BIND | MOVE)) && !has_type(entry))) {
    change(entry);
    return;
  }
  if (what & (BIND | MOVE)) {
    if (entry->tree < 0 && !open_source(entry)) {
      return;
    }
    set_flags(entry, entry->tree);
  }

  /* For what is not there, nothing is created, and nothing made for nowhere. */

  bool creates = what & (CREATE_DIR | CREATE_FILE);
  int target = -1;
  if (!creates && (target = open_target(entry, path)) < 0) {
    return;
  }
  if (!(what & (BIND | MOVE))) {
    if (!make_file_system(entry)) {
      return;
    }
    if (entry->options.idmap) {
      set_flags(entry, entry->tree);
    }
  }
  if (creates && (target = open_target(entry, path)) < 0) {
    return;
  }
  attach(entry, target, links ? path : entry->fields.target);
  close_later(target);
  if (entry->tree != root) {
    close_later(entry->tree);
  }
}

/* Unmounts what is on TARGET. ROOT_PATH is the administrator's, so a path. */
static void unmount(const char *root_path, const char *target) {
  char resolved[PATH_MAX], path[PATH_MAX + 1], *name;
  int fd;

  check_path(target);
  if (links) {
    if (strlen(target) >= sizeof(resolved)) {
      errno = ENAMETOOLONG;
      fail("open", target);
    }
    strcpy(resolved, target);
    if ((fd = walk(root, resolved, LINKS)) < 0) {
      fail("open", target);
    }
    close_fd(fd);
    target = resolved;
  }
  if (is_root(target)) {
    close_fd(root);
    if (CALL(umount2, root_path, 0) < 0) {
      fail("umount", root_path);
    }
    return;
  }

  /* There is no call that unmounts by descriptor: from the directory that was
   * walked to, one name, which is no link, is looked up once. */

  int cwd = CALL(openat, AT_FDCWD, ".", O_PATH | O_CLOEXEC);

  if ((fd = open_parent(root, target, 0, path, &name)) < 0) {
    fail("open", target);
  }
  if (cwd < 0 || CALL(fchdir, fd) < 0) {
    fail("chdir", target);
  }
  if (CALL(umount2, name, UMOUNT_NOFOLLOW) < 0) {
    fail("umount", target);
  }
  if (CALL(fchdir, cwd) < 0) {
    fail("chdir", "back");
  }
}

/* Opens ROOT. Returns the path by which it is reached. */
static const char *open_root(const char *path) {

  /* What is mounted on "/" is reached not as "/", where every look-up starts,
   * but as its parent, where one arrives. */

  if (*path == '/' && is_root(path)) {
    path = "/..";
  }
  root = open_directory(path);
  if (root < 0) {
    err(FAILED, "open %s", path);
  }
  root_place = look(root, "");
  return path;
}

int main(int argc, char **argv) {
  char *options = NULL, *table = NULL, *target = NULL, *type = NULL;
  const char *root_path = "/";
  char *value = NULL;
  int letter;

  argv = begin(argc, argv);
  while ((letter = option(&argv, "Lf:o:r:t:U:", &value))) {
    if (letter == 'L') {
      links = LINKS;
    } else if (letter == 'f') {
      table = value;
    } else if (letter == 'o') {
      options = value;
    } else if (letter == 'r') {
      root_path = value;
    } else if (letter == 't') {
      type = value;
    } else {
      target = value;
    }
  }
  if (table ? options || type || target : target && (options || type)) {
    errx(USAGE, "-f and -U go alone, but for -L and -r");
  }
  if (table) {
    read_table(table);
  } else if (!target) {
    static char none[1];
    if (!argv[0] || !argv[1]) {
      errx(USAGE, "SOURCE or TARGET is missing");
    }
    add_entry(0, &(struct fields){argv[0], argv[1], type ? type : none,
                                  options ? options : none});
    argv += 2;
  }

  root_path = open_root(root_path);
  if (target) {
    unmount(root_path, target);
  }
  open_sources();
  for (size_t i = 0; i < entry_count; i++) {
    carry_out(&entries[i]);
  }
  if (*argv) {
    run(argv);
  }
  return 0;
}
