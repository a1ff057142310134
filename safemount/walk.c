/* walk.c: from ROOT to what a path below it names. walk.h has the contract. */

#include "walk.h"

const char no_path[] = "is empty, too long, or has \"..\" in it";

bool is_no_path(const char *path) {
  for (const char *at = path; at; at = strchr(at, '/')) {
    at += strspn(at, "/");
    if (strncmp(at, "..", 2) == 0 && strchr("/", at[2])) {
      return true;
    }
  }
  return !*path || strlen(path) >= PATH_MAX;
}

/* The first component of PATH that is not ".", and its END. "" at the end of
 * PATH. */
static char *component(char *path, char **end) {
  for (;; path = *end) {
    path += strspn(path, "/");
    *end = strchrnul(path, '/');
    if (*end - path != 1 || *path != '.') {
      return path;
    }
  }
}

/* Opens PATH as if ROOT were "/": no link, and no "..", leads out of it, and a
 * link of /proc that leads where no path does is refused. Only openat2(2) can
 * do that. It answers EAGAIN if it met ".." while something was moved
 * elsewhere. */
static int open_in_root(int root, const char *path, int flags) {
  struct open_how how = {.flags = flags,
                         .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
  int fd, tries = 0;

  do {
    fd = openat2(root, path, &how, sizeof(how));
  } while (fd < 0 && errno == EAGAIN && ++tries < 32);
  return fd;
}

/* Makes the last component of PLACE. None of these calls follows a link. If
 * someone else was faster, what they made is looked at as if it had always been
 * there. */
static void make_or_exit(const struct place *place,
                         const struct missing *missing) {
  mode_t mode = missing->mode;
  int mask = 0;

  /* Without need it is not called: what it returns is the only place where the
   * mask of PROG is kept. */

  if (missing->is_exact) {
    mask = or_exit(umask(0), "umask", place->path);
  }
  int failed =
      S_ISDIR(missing->type) ? SHOW(mkdirat, place->parent, place->name, mode)
      : S_ISLNK(missing->type)
          ? SHOW(symlinkat, missing->text, place->parent, place->name)
          : SHOW(mknodat, place->parent, place->name, S_IFREG | 0666, 0);
  or_exit(errno == EEXIST ? 0 : failed, "make", place->path);
  if (missing->is_exact) {
    or_exit(umask(mask), "umask", place->path);
  }
}

/* Opens the last component of PLACE. MODE may be O_DIRECTORY. */
static int open_component(const struct root *root, const struct place *place,
                          int mode, bool follows_links) {
  struct statx st;

  /* With O_PATH nothing is done to the file: a FIFO does not block, a device
   * does not start. O_NOFOLLOW then opens a link itself (open(2)), so what was
   * opened has to be looked at. With O_DIRECTORY too, a link is ENOTDIR. */

  int flags = O_PATH | O_CLOEXEC | mode;
  if (follows_links) {
    return open_in_root(root->fd, place->path, flags);
  }
  int fd = openat(place->parent, place->name, flags | O_NOFOLLOW);
  if (fd < 0 && errno == ENOTDIR) {
    int failed =
        statx(place->parent, place->name, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &st);
    errno = !failed && S_ISLNK(st.stx_mode) ? ELOOP : ENOTDIR;
  }
  return fd;
}

static void close_below(const struct root *root, int fd) {
  if (fd != root->fd) {
    close(fd);
  }
}

bool walk(const struct root *root, struct place *place,
          const struct missing *missing) {
  const struct missing above = {missing->type ? S_IFDIR : 0, .mode = 0777};
  char *rest, *end, *rest_end;

  place->parent = place->fd = root->fd;
  place->name = component(place->path, &end);
  for (rest = place->name; *rest; end = rest_end) {
    place->name = rest;
    rest = component(end, &rest_end);
    const struct missing *here = *rest ? &above : missing;
    bool follows_links = root->follows_links && !S_ISLNK(here->type);
    int mode = *end ? O_DIRECTORY : 0;
    *end = '\0';
    close_below(root, place->parent);
    place->parent = place->fd;
    place->fd = open_component(root, place, mode, follows_links);
    if (place->fd < 0 && errno == ENOENT && here->type) {
      make_or_exit(place, here);
      place->fd = open_component(root, place, mode, follows_links);
    }
    if (place->fd < 0) {
      return false;
    }
    *end = *rest ? '/' : '\0';
  }

  /* Where statx(2) is refused, glibc answers by fstat(2), without a mount ID.
   */

  errno = ENOSYS;
  if (statx(place->fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_INO | STATX_MNT_ID,
            &place->found) ||
      !(place->found.stx_mask & STATX_MNT_ID)) {
    return false;
  }
  errno = ELOOP;
  return !S_ISLNK(place->found.stx_mode) || S_ISLNK(missing->type);
}

bool open_below_or_exit(const struct root *root, const char *path,
                        const struct missing *missing, struct place *place) {
  refuse_if(is_no_path(path), path, no_path);
  strcpy(place->path, path);
  if (walk(root, place, missing)) {
    return true;
  }
  refuse_if(errno == ELOOP, place->path, "is a symbolic link");
  or_exit(errno == ENOENT && missing->is_optional && !missing->type ? 0 : -1,
          root->follows_links ? "openat2" : "open", place->path);
  close_place(root, place);
  errno = ENOENT;
  return false;
}

void close_place(const struct root *root, const struct place *place) {
  close_below(root, place->parent);
  close_below(root, place->fd);
}
