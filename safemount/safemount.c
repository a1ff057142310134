/* safemount: mount below a directory, and never outside of it.
 *
 * mount(8) follows every symbolic link on the way to its target. Below the root
 * of a container, the container makes the links: a mount on its /proc lands on
 * whatever directory of the host such a link names (CVE-2015-1335).
 *
 * So safemount walks to each target once, without following a link, and
 * attaches the mount to the descriptor that it arrived at. It refuses a link
 * and "..", and a target that was moved while it was mounted on. What is
 * mounted has all its flags before anyone can reach it. Each function here
 * exits if its step fails.
 */

#include "../pivot/proc.h"
#include "table.h"
#include <sys/resource.h>
#include <sys/vfs.h>

const char tool[] = "safemount";
const char usage[] =
    "usage: safemount [-Lv] [-r ROOT] {[-o OPTIONS] [-t TYPE] SOURCE TARGET | "
    "-f TABLE... | -U TARGET} [PROG [ARG]...]\n\n"
    "  -f TABLE    mount what the lines of TABLE say, as in fstab(5)\n"
    "  -L          follow symbolic links, but inside ROOT\n"
    "  -o OPTIONS  such as bind,ro,create=dir\n"
    "  -r ROOT     the directory that everything is below (/)\n"
    "  -t TYPE     of the file system, or dir or symlink\n"
    "  -U TARGET   unmount it\n" COMMON_OPTIONS;

/* ---- What is mounted ---- */

/* Whether FD is the root of a mount that is attached nowhere. The mount table
 * has the attached ones. One outside of our chroot it does not show; but then
 * there is a directory above FD. Before Linux 6.15 such a mount cannot be
 * copied: it is attached itself. */
static bool is_detached(int fd) {
  struct statx here = look_up_or_exit(fd, "");
  struct mount mount;

  return is_same_place(here, look_up_or_exit(fd, "..")) &&
         !find_mount_or_exit(open_proc(), "self/mountinfo", here.stx_mnt_id,
                             &mount);
}

/* Copies the mount that PATH below FROM is on, from there on. The copy is
 * attached nowhere yet. */
static int copy_mount(const struct line *line, int from, const char *path) {
  return line->flags.is_recursive
             ? SHOW(open_tree, from, path,
                    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH |
                        AT_RECURSIVE)
             : SHOW(open_tree, from, path,
                    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
}

/* The source of the bind LINE; -1 if it does not exist and that is no error. */
static int open_source(const struct root *root, const struct line *line) {
  const struct missing missing = {.is_optional = line->missing.is_optional};
  const char *source = line->source;
  int given = inherited_fd_or_exit(source), tree = -1;
  struct place place;

  if (*source == '/') {
    tree = copy_mount(line, AT_FDCWD, source);
  } else if (given >= 0) {
    tree = is_detached(given) ? fcntl(given, F_DUPFD_CLOEXEC, 3)
                              : copy_mount(line, given, "");
  } else if (open_below_or_exit(root, source, &missing, &place)) {
    tree = copy_mount(line, place.fd, "");
    close_place(root, &place);
  }
  bool is_skipped = tree < 0 && errno == ENOENT && missing.is_optional;
  return is_skipped ? -1 : or_exit_here(tree, "open_tree", source);
}

/* Exits if RESULT is negative, after what the file system of CONTEXT says about
 * its refusal: errno is EINVAL for nearly everything. */
static int context_or_exit(int result, int context, const char *call,
                           const char *object) {
  char text[512];
  int error = errno;
  ssize_t length;

  while (result < 0 && (length = read(context, text, sizeof(text))) > 0) {
    text[length - 1] = '\0'; /* for its newline; "e " is for an error */
    warn(call, text + (text[1] == ' ' ? 2 : 0));
  }
  errno = error;
  return or_exit_here(result, call, object);
}

/* Tells the file system of CONTEXT a word of its own; VALUE may be NULL. */
static void set_word(int context, const char *key, const char *value) {
  int failed = value
                   ? SHOW(fsconfig, context, FSCONFIG_SET_STRING, key, value, 0)
                   : SHOW(fsconfig, context, FSCONFIG_SET_FLAG, key, NULL, 0);

  context_or_exit(failed, context, "fsconfig", key);
}

/* Makes a new file system; -1 if its source does not exist and that is no
 * error. */
static int make_file_system(const struct line *line) {
  uint64_t flags = line->flags.attr.attr_set & ~(uint64_t)MOUNT_ATTR_IDMAP;
  int context = CALL_OR_EXIT(line->type, fsopen, line->type, FSOPEN_CLOEXEC);

  set_word(context, "source", line->source);

  /* A device that is read-only must not be opened for writing. What has no
   * device may be one file system that is mounted in many places. */

  if (flags & MOUNT_ATTR_RDONLY && strchr(line->source, '/')) {
    set_word(context, "ro", NULL);
  }
  for (char *word = line->words, *next; word < line->end; word = next) {
    next = word + strlen(word) + 1;
    const char *key = strsep(&word, "=");
    set_word(context, key, word);
  }
  int failed = SHOW(fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
  if (failed && errno == ENOENT && line->missing.is_optional) {
    return -1;
  }
  context_or_exit(failed, context, "fsconfig", line->source);
  show_call("fsmount", "context, FSMOUNT_CLOEXEC, flags",
            (const char *[]){NULL, NULL, line->flags.words});
  int tree = context_or_exit(fsmount(context, FSMOUNT_CLOEXEC, flags), context,
                             "fsmount", line->type);
  close(context);
  return tree;
}

/* Changes MOUNT. What CHANGE does not name stays as it is, unlike with
 * MS_REMOUNT of mount(2): a copy is not writable where its original is not. */
static void set_attributes(const struct line *line, int mount,
                           struct change change) {
  struct mount_attr *attr = &change.attr;
  int flags = AT_EMPTY_PATH | (change.is_recursive ? AT_RECURSIVE : 0);
  struct statfs fs;

  if (attr->attr_set || attr->attr_clr || attr->propagation) {
    show_call("mount_setattr",
              flags & AT_RECURSIVE
                  ? "mount, , AT_EMPTY_PATH | AT_RECURSIVE, words"
                  : "mount, , AT_EMPTY_PATH, words",
              (const char *[]){NULL, "", NULL, change.words});
    or_exit_here(mount_setattr(mount, "", flags, attr, MOUNT_ATTR_SIZE_VER0),
                 "mount_setattr", line->target);

    /* A seccomp filter may say 0 and do nothing. To statfs(2), ro, nosuid,
     * nodev and noexec are the same four bits. */

    or_exit(fstatfs(mount, &fs), "fstatfs", line->target);
    refuse_if(attr->attr_set & ~(uint64_t)fs.f_flags & 15, line->target,
              "does not have the flags that were set");
  }
}

/* ---- Where it is attached ---- */

/* Detaches TREE from where it is, and before that what covers it. umount2(2)
 * wants a path. A directory has "."; a file has one in /proc alone, which has
 * to be a whole procfs. Returns false if TREE may still be attached. */
static bool detach(int tree, bool is_directory) {
  struct numbered file = numbered("self/fd/", tree, "");
  const char *path = is_directory ? "." : file.text;
  int tries = fchdir(is_directory ? tree : open_proc()) ? 0 : 100;

  while (tries > 0 && SHOW(umount2, path, MNT_DETACH) == 0) {
    tries--;
  }
  return tries > 0 && tries < 100;
}

/* A descriptor holds a directory or a file, not its place. Between the walk and
 * the attach someone may have moved it out of ROOT, or a directory above it,
 * and then the mount is outside (CVE-2018-15664). So PATH is walked again, and
 * has to lead to the mount TOP. Nothing here may exit before TREE, which is
 * that mount or is covered by it, is detached. */
static void look_again(const struct root *root, const char *path, int tree,
                       const struct statx *top) {
  struct place place;

  strcpy(place.path, path);
  if (walk(root, &place, &(const struct missing){0}) &&
      place.found.stx_mnt_id == top->stx_mnt_id) {
    close_place(root, &place);
    return;
  }
  warn(path, "is walked again, and does not lead to the mount");
  if (!detach(tree, S_ISDIR(top->stx_mode))) {
    warn(path, "is still mounted, where it was moved to");
  }
  _exit(FAILED);
}

/* What will be seen where TREE is attached. A recursive copy of a mount that is
 * covered has that cover on it, and ".." of its root arrives there. */
static struct statx top_of(int tree) {
  struct statx top;
  int failed = statx(tree, "..", 0, STATX_TYPE | STATX_MNT_ID, &top);

  return failed ? look_up_or_exit(tree, "") : top; /* a file, or closed to us */
}

/* Attaches TREE to TARGET. */
static void attach(struct root *root, const struct line *line, int tree,
                   const struct place *target) {
  struct statx top = top_of(tree), here = look_up_or_exit(root->fd, "");
  bool covers = is_same_place(here, target->found);

  /* If this fails, nothing is attached yet. It is done again below, because
   * what is attached to a shared mount becomes shared; and what is unbindable
   * cannot be attached to one. */

  if (line->sharing.attr.propagation != MS_UNBINDABLE) {
    set_attributes(line, tree, line->sharing);
  }

  /* By T_EMPTY_PATH to the very descriptor. mount(2) takes a path, such as
   * /proc/self/fd/N, and someone may have mounted a /proc that leads elsewhere
   * (CVE-2025-52881). */

  CALL_OR_EXIT(line->target, move_mount, tree, "", target->fd, "",
               MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
  if (covers) {

    /* What is below ROOT from here on is below the new mount, and so is our
     * working directory if it was ROOT. */

    if (is_same_place(here, look_up_or_exit(AT_FDCWD, ""))) {
      CALL_OR_EXIT(root->path, fchdir, tree);
    }
    root->fd = or_exit(fcntl(tree, F_DUPFD_CLOEXEC, 3), "fcntl", root->path);
  } else {
    look_again(root, target->path, tree, &top);
  }
  set_attributes(line, tree, line->sharing);
}

/* ---- The lines ---- */

/* Carries out a line that mounts something. */
static void mount_line(struct root *root, const struct line *line) {
  struct place place;

  /* With create=, nothing is made for a source that does not exist. Without,
   * nothing is mounted for a target that does not. */

  if (!line->missing.type &&
      !open_below_or_exit(root, line->target, &line->missing, &place)) {
    return;
  }
  int tree = line->tree >= 0      ? line->tree
             : line->kind == BIND ? open_source(root, line)
                                  : make_file_system(line);
  if (tree < 0) {
    return;
  }

  /* Before the mount is attached: there is no moment when someone could write
   * to a mount that is to be read-only. fsmount(2) has set all but the map. */

  if (line->kind == BIND || line->flags.attr.attr_set & MOUNT_ATTR_IDMAP) {
    set_attributes(line, tree, line->flags);
  }
  if (line->missing.type) {
    open_below_or_exit(root, line->target, &line->missing, &place);
  }
  attach(root, line, tree, &place);
  close_place(root, &place);
  close(tree);
}

/* Carries out a line that makes its target, or changes what is mounted there.
 */
static void change_line(const struct root *root, const struct line *line) {
  char text[PATH_MAX] = "";
  struct place place;

  if (!open_below_or_exit(root, line->target, &line->missing, &place)) {
    return;
  }
  if (line->kind == MAKE) {
    readlinkat(place.fd, "", text, sizeof(text) - 1);
    bool is_it = S_ISDIR(line->missing.type) ? S_ISDIR(place.found.stx_mode)
                                             : strcmp(text, line->source) == 0;
    refuse_if(!is_it, place.path, "exists, and is something else");
  } else {
    refuse_if(!(place.found.stx_attributes & STATX_ATTR_MOUNT_ROOT), place.path,
              "is not a mount point");
    set_attributes(line, place.fd, line->flags);
    set_attributes(line, place.fd, line->sharing);
  }
  close_place(root, &place);
}

/* What the administrator names, by an absolute path or a descriptor, is opened
 * before the first line is carried out: in a /dev that a line covers, a device
 * is not found any more. */
static void open_sources(const struct root *root, struct lines *lines) {
  for (size_t i = 0; i < lines->count; i++) {
    struct line *line = &lines->lines[i];
    message_prefix = line->prefix.text;
    if (line->kind == BIND &&
        (*line->source == '/' || inherited_fd_or_exit(line->source) >= 0)) {
      line->tree = open_source(root, line);
      line->kind = line->tree < 0 ? 0 : BIND;
    }
  }
}

/* ---- The whole ---- */

/* Unmounts what is on TARGET. */
static void unmount(const struct root *root, const char *target) {
  struct place place;
  int cwd = or_exit(open(".", O_PATH | O_CLOEXEC), "open", ".");

  open_below_or_exit(root, target, &(const struct missing){0}, &place);
  refuse_if(!(place.found.stx_attributes & STATX_ATTR_MOUNT_ROOT), target,
            "is not a mount point");
  close(place.fd); /* or the mount would be in use */
  if (!*place.name) {
    CALL_OR_EXIT(root->path, umount2, root->path, 0);
    return;
  }

  /* No call unmounts by a descriptor. So one name is looked up once more, in
   * the directory that was walked to, and it must not be a link. */

  CALL_OR_EXIT(target, fchdir, place.parent);
  CALL_OR_EXIT(target, umount2, place.name, UMOUNT_NOFOLLOW);
  refuse_if(is_same_place(place.found, look_up_or_exit(AT_FDCWD, place.name)),
            target, "is still mounted");
  CALL_OR_EXIT("back", fchdir, cwd);
}

int main(int argc, char **argv) {
  static struct lines lines;
  static char none[1], *given['z']; /* the argument of each option */
  struct rlimit limit, most;
  struct root root;
  int letter;

  /* Each source that is opened beforehand is a descriptor. The limit that
   * programs usually have is low, for those that still use select(2).
   * (setrlimit(3) of musl stops all threads, in case the kernel is old: 3 KB.)
   */

  begin_or_exit(argc);
  or_exit(prlimit(0, RLIMIT_NOFILE, NULL, &limit), "prlimit", "RLIMIT_NOFILE");
  most = (struct rlimit){limit.rlim_max, limit.rlim_max};
  or_exit(prlimit(0, RLIMIT_NOFILE, &most, NULL), "prlimit", "RLIMIT_NOFILE");

  while ((letter = option_or_exit(argc, argv, "+:f:hLo:r:t:U:Vv", "f")) >= 0) {
    given[letter] = optarg ? optarg : none;
    if (letter == 'f') {
      add_table_or_exit(&lines, optarg);
    }
  }
  argv += optind;
  char *type = given['t'] ? given['t'] : none, *target = given['U'];
  usage_error_if(!!given['f'] + !!target + (given['t'] || given['o']) > 1,
                 "-f, -U, and -o or -t", "exclude each other");
  if (!given['f'] && !target) {
    usage_error_if(!argv[0] || !argv[1], "SOURCE or TARGET", "is missing");
    struct line line = {.source = argv[0], .target = argv[1], .type = type};
    add_line_or_exit(&lines, line, given['o'] ? given['o'] : none);
    argv += 2;
  }

  /* What is mounted on "/" covers it. A look-up of "/" starts below such a
   * mount, but ".." arrives on top of it. */

  char *path = given['r'];
  bool is_top = !path || (*path && !path[strspn(path, "/")]);
  root.path = is_top ? "/.." : path;
  root.fd = or_exit(open(root.path, O_PATH | O_DIRECTORY | O_CLOEXEC), "open",
                    root.path);
  root.follows_links = given['L'];
  if (target) {
    unmount(&root, target);
  }
  open_sources(&root, &lines);
  for (size_t i = 0; i < lines.count; i++) {
    const struct line *line = &lines.lines[i];
    message_prefix = line->prefix.text;
    if (line->kind & (MOUNT_NEW | BIND)) {
      mount_line(&root, line);
    } else if (line->kind) {
      change_line(&root, line);
    }
  }
  message_prefix = "";
  or_exit(prlimit(0, RLIMIT_NOFILE, &limit, NULL), "prlimit", "RLIMIT_NOFILE");
  execute(argv);
}
