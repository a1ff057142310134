/* userns.h: a user namespace made for its maps alone.
 *
 * An idmapped mount takes its maps from a user namespace, and a namespace needs
 * a process to begin with. Once its file is open that process may go.
 */

#ifndef USERNS_H
#define USERNS_H

#include "../idmap/first/mounts.h"
#include "../idmap/first/words.h"
#include "table.h"
#include <linux/magic.h>
#include <linux/sched.h>
#include <sys/vfs.h>
#include <sys/wait.h>

/* Reads TEXT, ranges INSIDE:OUTSIDE:COUNT with + between them, into MAP.
 * Returns NULL, or what is wrong. */
static inline const char *parse_ranges(const char *text, struct map *map) {
  const char *wrong = NULL;
  struct range range;

  map->length = 0;
  do {
    text = read_range(text, &range);
    if (!text || (*text && *text != '+')) {
      return "not INSIDE:OUTSIDE:COUNT, more of them joined with +";
    }
    wrong = add_range(map, range.inside, range.outside, range.count);
  } while (*text++ && !wrong);
  return wrong;
}

/* Writes MAP to PATH, a uid_map or gid_map, and reads it back: the kernel cuts
 * numbers to 32 bits and says nothing. */
static inline void write_ids(int proc, const char *path,
                             const struct map *map) {
  int fd = CALL(openat, proc, path, O_RDWR | O_CLOEXEC);
  struct map written;
  struct line text;

  if (fd < 0) {
    err(FAILED, "%sopen /proc/%s", position, path);
  }
  text.length = 0;
  put_map(&text, map, false);
  if (text.length > MOST_TEXT) {
    errx(FAILED, "%sidmap=: longer than the kernel reads, 4095 bytes",
         position);
  }
  if (CALL(write, fd, &text.text, text.length) != (long)text.length) {
    err(FAILED, "%swrite /proc/%s", position, path);
  }
  close_fd(fd);
  fd = CALL(openat, proc, path, O_RDONLY | O_CLOEXEC);
  read_map(fd, &written);
  if (!same_map(&written, map)) {
    errx(FAILED, "%s/proc/%s is not the map that was written", position, path);
  }
  close_fd(fd);
}

/* PATH becomes PID/NAME. */
static inline void name_file(char path[32], long pid, const char *name) {
  struct line line;

  line.length = 0;
  put_number(&line, pid);
  put_char(&line, '/');
  put_string(&line, name);
  memcpy(path, line.text, line.length);
  path[line.length] = '\0';
}

/* A descriptor of /proc, if that is whole and of our PID namespace: in another
 * one our child's number is somebody else's. */
static inline int open_own_proc(void) {
  int proc = open_directory("/proc");

  if (proc < 0) {
    err(FAILED, "%sidmap= needs /proc", position);
  }
  if (!is_whole_proc(proc)) {
    errx(FAILED, "%sidmap= needs a whole procfs: %s", position, proc_fault);
  }
  return proc;
}

static inline void explain_userns(int proc) {
  static const char name[] = "sys/user/max_user_namespaces";
  char first = 0;

  if (errno == ENOSPC) {
    int fd = CALL(openat, proc, name, O_RDONLY | O_CLOEXEC);
    CALL(read, fd, &first, 1);
    if (first == '0') {
      warnx("hint: /proc/%s is 0", name);
    }
  }
}

/* Returns a descriptor of a new user namespace with MAP for users and groups.
 */
static inline int make_userns(const struct map *map) {
  int proc = open_own_proc(), pair[2];
  char path[32];

  if (CALL(pipe2, &pair, O_CLOEXEC) < 0) {
    err(FAILED, "%spipe2", position);
  }

  /* Without SIGCHLD, which may be ignored or handled by who called us; the end
   * of the pipe tells the child to go, and so does our own. */

  long pid = CALL(clone, CLONE_NEWUSER, 0, 0, 0, 0);

  if (pid < 0) {
    warn("%sclone CLONE_NEWUSER", position);
    explain_userns(proc);
    _exit(FAILED);
  }
  if (pid == 0) {
    CALL(close, pair[1]);
    CALL(read, pair[0], &path, 1);
    _exit(0);
  }
  name_file(path, pid, "uid_map");
  write_ids(proc, path, map);
  name_file(path, pid, "gid_map");
  write_ids(proc, path, map);
  name_file(path, pid, "ns/user");

  int userns = CALL(openat, proc, path, O_RDONLY | O_CLOEXEC);

  if (userns < 0) {
    err(FAILED, "%sopen /proc/%s", position, path);
  }
  close_fd(pair[0]);
  close_fd(pair[1]);
  CALL(wait4, pid, NULL, __WALL, NULL);
  close_fd(proc);
  return userns;
}

#endif
