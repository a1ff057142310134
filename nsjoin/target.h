/* target.h: one process, for certain.
 *
 * A PID is given again when its process has ended. Looked up once for each
 * namespace, it can be two processes, and what is joined half of each. A pidfd
 * stays with one process, and so does an open /proc/PID directory; the kernel
 * tells in fdinfo whether the two belong together.
 */

#ifndef TARGET_H
#define TARGET_H

#include "../idmap/fields.h"
#include "../pivot/mounts.h"

#undef pread64 /* musl's, a name for pread(3) */

struct target {
  unsigned long pid; /* as /proc has it; 0: no process, only files */
  int pidfd, dir;    /* dir: its /proc/PID */
  unsigned long pid_ns, user_ns; /* 0: not looked at yet */
};

/* Writes PREFIX, NUMBER and SUFFIX into PATH, of at least 48 bytes. */
static inline const char *put_path(char *path, const char *prefix,
                                   unsigned long number, const char *suffix) {
  struct line line;

  line.length = 0;
  put_string(&line, prefix);
  put_number(&line, number);
  put_string(&line, suffix);
  put_char(&line, '\0');
  return memcpy(path, line.text, line.length);
}

/* The text behind LABEL, such as "Pid:\t", in a file of /proc, up to the end of
 * its line; or NULL. It is in LINES, whose file stays open. */
static inline char *find_field(struct lines *lines, int dir, const char *path,
                               const char *label) {
  char *line;

  if (open_lines(lines, dir, path)) {
    while ((line = next_line(lines))) {
      if (strncmp(line, label, strlen(label)) == 0) {
        return line + strlen(label);
      }
    }
  }
  return NULL;
}

/* What PROC calls the process of PIDFD. 0 if that has been waited for, or PROC
 * does not show it. Exits if PIDFD is no pidfd. */
static inline unsigned long pid_of(int proc, int pidfd) {
  struct lines lines;
  unsigned long pid;
  char path[48];
  const char *text = find_field(
      &lines, proc, put_path(path, "self/fdinfo/", pidfd, ""), "Pid:\t");

  if (!text) {
    errx(FAILED, "fd:%ld is no pidfd", (long)pidfd);
  }
  return number(text, INT_MAX, &pid) ? pid : 0;
}

/* NAME below DIR, a directory or what leads to one. */
static inline int open_below(int dir, const char *name) {
  int fd = CALL(openat, dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

  if (fd < 0) {
    err(FAILED, "open %s in /proc", name);
  }
  return fd;
}

static inline int open_process(int proc, unsigned long pid) {
  char path[48];

  return open_below(proc, put_path(path, "", pid, ""));
}

/* The process that PID is now. Its directory is opened while the process of the
 * pidfd holds that number, so it is of the same one. */
static inline struct target hold_pid(int proc, unsigned long pid) {
  struct target target = {.pid = pid};

  target.pidfd = CALL(pidfd_open, pid, 0);
  if (target.pidfd < 0) {
    err(FAILED, "pidfd_open %ld", (long)pid);
  }
  target.dir = open_process(proc, pid);
  unsigned long seen = pid_of(proc, target.pidfd);
  if (seen != pid) {
    errx(FAILED,
         seen ? "/proc is of another PID namespace: %ld is %ld there"
              : "process %ld has ended",
         (long)pid, (long)seen);
  }
  return target;
}

/* The process of an inherited pidfd, in the same way. */
static inline struct target hold_pidfd(int proc, int pidfd) {
  struct target target = {.pid = pid_of(proc, pidfd), .pidfd = pidfd};

  if (target.pid) {
    target.dir = open_process(proc, target.pid);
  }
  if (!target.pid || pid_of(proc, pidfd) != target.pid) {
    errx(FAILED, "the process of fd:%ld has ended, or /proc does not show it",
         (long)pidfd);
  }
  return target;
}

/* The inode of a namespace, which is what it is known by. 0 if there is none.
 */
static inline unsigned long inode_of(int dir, const char *path) {
  struct statx st;

  if (CALL(statx, dir, path, AT_EMPTY_PATH, STATX_INO, &st) < 0) {
    if (errno == ENOENT || errno == ESRCH) {
      return 0;
    }
    warn("statx %s", path);
    if (errno == EACCES) {
      warnx("hint: a process shows it to who may trace it");
    }
    _exit(FAILED);
  }
  return st.stx_ino;
}

/* If TARGET is a process that waits for a container, that is, if one child of
 * it lives in another PID namespace, then that child becomes TARGET. Others may
 * be there from before it became that process, dead ones without a namespace.
 */
static inline void find_waited(int proc, struct target *target) {
  char path[48], text[4096] = "", again[sizeof(text)] = "";
  unsigned long child = 0, next;
  const char *end = text;
  int children =
      open_file(target->dir, put_path(path, "task/", target->pid, "/children"));

  if (children < 0 || CALL(read, children, &text, sizeof(text) - 1) <= 0) {
    return;
  }
  target->pid_ns = inode_of(target->dir, "ns/pid");
  while ((end = digits(end, INT_MAX, &next)) && *end++ == ' ') {
    unsigned long inner = inode_of(proc, put_path(path, "", next, "/ns/pid"));
    if (inner && inner != target->pid_ns) {
      if (child) {
        return;
      }
      child = next;
    }
  }
  if (!child) {
    return;
  }

  /* Another process may have that number by now. One that we hold, and that is
   * a child after that, is the one. */

  *target = hold_pid(proc, child);
  if (CALL(pread64, children, &again, sizeof(again) - 1, 0) < 0 ||
      strcmp(again, text) != 0) {
    errx(FAILED, "process %ld has ended", (long)child);
  }
}

#endif
