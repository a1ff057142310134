/* walk.h: from a directory to what a path below it names, and never outside.
 *
 * Each look-up of a path starts anew, and who may write to a directory on it
 * puts a link in its place between two of them (CVE-2015-1335). So a path is
 * walked once, to a descriptor, and that is what all else is done to. No link
 * is followed on the way, or, if asked, only as if ROOT were the root.
 *
 * openat2(2) does it in one call. Where that is refused, the same is done one
 * component at a time, each opened below the one before and looked at.
 */

#ifndef WALK_H
#define WALK_H

#include "../idmap/first/statx.h"
#include "../idmap/first/step.h"
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/vfs.h>

/* How to walk: follow links inside ROOT, make what is missing. */
enum { LINKS = 1, MAKE_DIR = 2, MAKE_FILE = 4 };

#define MOST_LINKS 40 /* as the kernel */
/* An openat2(2) that others disturb answers EAGAIN: it is tried this often. */
#define MOST_RETRIES 32
#ifndef ST_NOSYMFOLLOW
#define ST_NOSYMFOLLOW 0x2000 /* Linux 5.10 */
#endif

/* The next component of PATH that is not ".", of *LENGTH bytes; 0 at its end.
 */
static inline char *component(const char *path, size_t *length) {
  for (;; path += *length) {
    while (*path == '/') {
      path++;
    }
    *length = strchrnul(path, '/') - path;
    if (*length != 1 || *path != '.') {
      return (char *)path;
    }
  }
}

static inline bool is_dot_dot(const char *name, size_t length) {
  return length == 2 && name[0] == '.' && name[1] == '.';
}

/* Whether PATH has "..": a path that leads out, or by detours inside. */
static inline bool has_dot_dot(const char *path) {
  size_t length;

  for (path = component(path, &length); length;
       path = component(path + length, &length)) {
    if (is_dot_dot(path, length)) {
      return true;
    }
  }
  return false;
}

/* Whether PATH names ROOT itself, as "/" and "." do. */
static inline bool is_root(const char *path) {
  size_t length;

  component(path, &length);
  return length == 0;
}

/* Puts TEXT in the place of the LENGTH bytes at NAME, a link in PATH: behind
 * what leads to it, or, if it is absolute, instead of that. False if the path
 * would be too long. */
static inline bool put_link(char path[PATH_MAX], char *name, size_t length,
                            const char *text) {
  size_t size = strlen(text), rest = strlen(name + length) + 1;

  if (*text == '/') {
    length += name - path;
    name = path;
  }
  if (name - path + size + rest > PATH_MAX) {
    return false;
  }
  memmove(name + size, name + length, rest);
  memcpy(name, text, size);
  return true;
}

/* Cuts the ".." at NAME out of PATH, and the component before it, which has
 * been seen to be a directory and no link. ROOT is its own parent. */
static inline void cut_dot_dot(char *path, char *name) {
  char *end = name + 2, *last = path;
  size_t length;

  for (char *at = path; (at = component(at, &length)) < name; at += length) {
    last = at;
  }
  memmove(last, end, strlen(end) + 1);
}

/* Opens NAME, one component, in DIRECTORY, as O_PATH, and makes it first if HOW
 * says so. What is then there may be a link: none is followed. */
static inline int open_component(int directory, const char *name, bool last,
                                 int how) {
  int flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
  int fd = CALL(openat, directory, name, flags);

  if (fd >= 0 || errno != ENOENT || !(how & (MAKE_DIR | MAKE_FILE))) {
    return fd;
  }

  /* Neither of these follows a link either; what somebody else has made
   * meanwhile is opened and looked at as if it had always been there. */

  if ((last && how & MAKE_FILE
           ? CALL(mknodat, directory, name, S_IFREG | 0666, 0)
           : CALL(mkdirat, directory, name, 0777)) < 0 &&
      errno != EEXIST) {
    return -1;
  }
  return CALL(openat, directory, name, flags);
}

/* The text of the link FD into TEXT. A link of /proc is magic: it leads to
 * where no path does, and its text is not where. */
static inline bool read_link(int fd, char text[PATH_MAX]) {
  struct statfs fs;

  if (CALL(fstatfs, fd, &fs) < 0) {
    return false;
  }
  if (fs.f_type == PROC_SUPER_MAGIC || fs.f_flags & ST_NOSYMFOLLOW) {
    errno = ELOOP;
    return false;
  }
  long length = CALL(readlinkat, fd, "", &text[0], PATH_MAX - 1);
  if (length < 0) {
    return false;
  }
  text[length] = '\0';
  return true;
}

/* Walks PATH below ROOT, component by component. PATH becomes the one without
 * links that was walked. Returns a descriptor, or -1 and errno. */
static inline int walk(int root, char path[PATH_MAX], int how) {
  char text[PATH_MAX], *name = path;
  int here = root, links = 0, fd;
  struct statx st;
  size_t length, none;

  for (;;) {
    name = component(name, &length);
    if (length == 0) {
      return here != root ? here : CALL(openat, root, ".", O_PATH | O_CLOEXEC);
    }

    /* Up is not opened, but the way there walked anew, from the top. */

    if (is_dot_dot(name, length)) {
      cut_dot_dot(path, name);
      fd = root;
      name = path;
    } else {
      char *end = name + length, slash = *end;
      component(end, &none);
      *end = '\0';
      fd = open_component(here, name, none == 0, how);
      *end = slash;
      if (fd < 0) {
        break;
      }
      if (CALL(statx, fd, "", AT_EMPTY_PATH, STATX_TYPE, &st) < 0) {
        close_fd(fd);
        break;
      }
      if ((st.stx_mode & S_IFMT) == S_IFLNK) {
        bool followed = how & LINKS && read_link(fd, text);
        close_fd(fd);
        if (!followed || ++links > MOST_LINKS) {
          errno = ELOOP;
          break;
        }
        if (!put_link(path, name, length, text)) {
          errno = ENAMETOOLONG;
          break;
        }
        fd = root;
        name = path;
      } else if (slash && (st.stx_mode & S_IFMT) != S_IFDIR) {
        close_fd(fd);
        errno = ENOTDIR;
        break;
      } else {
        name = end;
      }
    }
    if (here != root) {
      close_fd(here);
    }
    here = fd;
  }

  int error = errno;
  if (here != root) {
    close_fd(here);
  }
  errno = error;
  return -1;
}

/* Opens, as O_PATH, what PATH names below ROOT: what is mounted there, if
 * something is. A leading slash means ROOT, and ".." the caller has refused.
 * Returns -1 and errno if there is nothing, or a link on the way (ELOOP). */
static inline int open_below(int root, const char *path, int how) {
  struct open_how open_how = {
      .flags = O_PATH | O_CLOEXEC,
      .resolve = how & LINKS ? RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
                             : RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
  char copy[PATH_MAX];
  int fd, tries = 0;

  while (*path == '/') {
    path++;
  }
  path = *path ? path : ".";
  if (strlen(path) >= PATH_MAX) {
    errno = ENAMETOOLONG;
    return -1;
  }
  do {
    fd = CALL(openat2, root, path, &open_how, sizeof(open_how));
  } while (fd < 0 && errno == EAGAIN && ++tries < MOST_RETRIES);

  if (fd >= 0 || (errno != ENOSYS && errno != EPERM && errno != EAGAIN &&
                  (errno != ENOENT || !(how & (MAKE_DIR | MAKE_FILE))))) {
    return fd;
  }
  strcpy(copy, path);
  return walk(root, copy, how);
}

/* Opens the directory that holds the last component of PATH, which goes to
 * *NAME; BUFFER is for both. Otherwise as open_below(). */
static inline int open_parent(int root, const char *path, int how,
                              char buffer[PATH_MAX + 1], char **name) {
  size_t length;

  if (strlen(path) >= PATH_MAX || is_root(path)) {
    errno = is_root(path) ? EEXIST : ENAMETOOLONG;
    return -1;
  }
  buffer[0] = '/';
  strcpy(buffer + 1, path);
  for (char *at = buffer; *(at = component(at, &length)); at += length) {
    *name = at;
  }
  *strchrnul(*name, '/') = '\0';
  (*name)[-1] = '\0';
  return open_below(root, buffer, how);
}

#endif
