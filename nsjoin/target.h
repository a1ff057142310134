/* target.h: one process, for certain.
 *
 * A PID is given again when its process has ended. Looked up once for each
 * namespace, it can be two processes, and what is joined half of each. A pidfd
 * stays with one process, and so does an open /proc/PID directory; the kernel
 * tells in fdinfo whether the two belong together.
 */

#ifndef TARGET_H
#define TARGET_H

#include "../idmap/first/fields.h"
#include "../idmap/first/listing.h"
#include "../idmap/first/mounts.h"

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

/* Whether the process of DIR, its directory in /proc, is the first one of a PID
 * namespace one level below ours, by the "NSpid:" of its status, which anybody
 * may read: our number of it, and 1. One that has ended is not. Its parent goes
 * to *PARENT, and to *INNER whether it is in another PID namespace than ours.
 * False with *PARENT 0 if there is no such process. */
static inline bool is_first(int dir, const char *path, unsigned long *parent,
                            bool *inner) {
  struct lines lines;
  unsigned long number;
  bool lives = true, first = false;
  char *line;

  *parent = 0;
  *inner = false;
  if (!open_lines(&lines, dir, path)) {
    return false;
  }
  while ((line = next_line(&lines))) {
    if (strncmp(line, "State:\t", 7) == 0) {
      lives = line[7] != 'Z' && line[7] != 'X';
    } else if (strncmp(line, "PPid:\t", 6) == 0) {
      digits(line + 6, INT_MAX, parent);
    } else if (strncmp(line, "NSpid:\t", 7) == 0) {
      const char *end = digits(line + 7, INT_MAX, &number);
      *inner = end && *end == '\t';
      first = *inner && strcmp(end, "\t1") == 0;
      break;
    }
  }
  close_fd(lines.fd);
  return lives && first;
}

/* What is known of the children of the process PARENT. */
struct search {
  int proc;
  unsigned long parent,
      found; /* found: the first process of a namespace, or 0 */
};

/* Looks at the process PID, which was one of the children. */
static inline void look_at_child(struct search *search, unsigned long pid) {
  unsigned long parent;
  bool inner;
  char path[48];

  bool first = is_first(search->proc, put_path(path, "", pid, "/status"),
                        &parent, &inner);

  /* One that has ended is in no list any more; one that is in /proc only for
   * others may be the one. */

  if (!parent && (CALL(kill, pid, 0) == 0 || errno != ESRCH)) {
    errx(FAILED,
         "process %ld is hidden: which child of %ld to enter cannot be "
         "seen",
         (long)pid, (long)search->parent);
  }
  if (!first || parent != search->parent || pid == search->found) {
    return;
  }
  if (search->found) {
    errx(FAILED, "process %ld waits for two containers: %ld and %ld",
         (long)search->parent, (long)search->found, (long)pid);
  }
  search->found = pid;
}

/* Looks at the children that the kernel lists for each thread, if it lists any:
 * proc_pid_task(5). */
static inline void look_at_lists(struct search *search,
                                 const struct target *target) {
  struct listing threads;
  const char *thread;

  if (!open_listing(&threads, target->dir, "task")) {
    err(FAILED, "open task of process %ld", (long)target->pid);
  }
  while ((thread = next_entry(&threads))) {
    char path[48], text[4096];
    unsigned long pid = 0;
    long n;

    stpcpy(stpcpy(stpcpy(path, "task/"), thread), "/children");
    int fd = CALL(openat, target->dir, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno != ENOENT && errno != ESRCH) {
      err(FAILED, "open %s of process %ld", path, (long)target->pid);
    }
    if (fd < 0) {
      continue;
    }

    /* A read(2) gives a page at most, and may end within a number. */

    while ((n = CALL(read, fd, &text, sizeof(text))) > 0) {
      for (long i = 0; i < n; i++) {
        if (text[i] >= '0' && text[i] <= '9') {
          pid = pid * 10 + text[i] - '0';
        } else if (pid) {
          look_at_child(search, pid);
          pid = 0;
        }
      }
    }
    if ((n < 0 && errno != ESRCH) || pid) {
      errx(FAILED, "the list of the children of process %ld is cut",
           (long)target->pid);
    }
    close_fd(fd);
  }
}

/* Looks at all processes. The kernel may have no lists of children, and a list
 * may leave out one that lives if others end meanwhile; /proc does not. */
static inline void look_at_all(struct search *search) {
  struct listing processes;
  const char *name;
  unsigned long pid, parent;
  bool inner;
  char path[48];

  if (!look(search->proc, "1").is_directory) {
    errx(FAILED,
         "/proc hides processes (hidepid): whether %ld waits for a container "
         "cannot be seen",
         (long)search->parent);
  }
  if (!open_listing(&processes, search->proc, ".")) {
    err(FAILED, "open /proc");
  }
  while ((name = next_entry(&processes))) {
    if (number(name, INT_MAX, &pid) &&
        is_first(search->proc, put_path(path, "", pid, "/status"), &parent,
                 &inner) &&
        parent == search->parent) {
      look_at_child(search, pid);
    }
  }
}

/* If TARGET is a process that waits for a container, then the first process of
 * that becomes TARGET. Such a process is in our PID namespace, is not its PID
 * 1, and has a child that is the first process of one below. If that cannot be
 * decided, nothing is joined: the process that waits is on the host. */
static inline void find_waited(int proc, struct target *target) {
  struct search search = {.proc = proc, .parent = target->pid};
  unsigned long parent;
  bool inner;

  is_first(target->dir, "status", &parent, &inner);
  if (inner || target->pid == 1) {
    return;
  }
  look_at_lists(&search, target);
  if (!search.found) {
    look_at_all(&search);
  }
  if (!search.found) {
    return;
  }

  /* Another process may have that number by now. One that we hold, and that is
   * the first one and a child after that, is the one. */

  *target = hold_pid(proc, search.found);
  if (!is_first(target->dir, "status", &parent, &inner) ||
      parent != search.parent) {
    errx(FAILED, "process %ld has ended", (long)search.found);
  }
}

#endif
