/* mounts.h: the mount table, read through a procfs that is one. */

#ifndef MOUNTS_H
#define MOUNTS_H

#include "place.h"
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <sys/vfs.h>

#define PROC_ROOT_INO 1 /* as the kernel has it, in no header of ours */

struct mount {
  unsigned long id, parent; /* as in struct place */
  bool shared, unbindable;
  char point[PATH_MAX]; /* as the table has it, with \ooo escapes */
  char type[16];        /* of its file system, cut to fit */
};

struct table {
  int fd;
  unsigned char buffer[4096];
  ssize_t next, length;
};

static const char *proc_fault; /* what is wrong with /proc, or NULL */
static bool proc_is_foreign;   /* it is a procfs, but not a whole one of ours */

/* Whether PROC is the root of a procfs, and of our PID namespace. A bind of
 * /proc/1 is a procfs too, without "self". The procfs of another PID namespace
 * has a "self" with another number, or none: our PID is somebody else's there.
 */
static inline bool is_whole_proc(int proc) {
  struct place place;
  struct statfs fs;
  char self[16] = "";
  unsigned long pid;

  if (CALL(fstatfs, proc, &fs) < 0) {
    warn("fstatfs /proc");
    proc_fault = "/proc cannot be looked at";
  } else if (fs.f_type != PROC_SUPER_MAGIC) {
    proc_fault = "/proc is not a procfs";
  } else if (!try_look(proc, "", &place)) {
    warn("statx /proc");
    proc_fault = "/proc cannot be looked at";
  } else if (place.inode != PROC_ROOT_INO) {
    proc_is_foreign = true;
    proc_fault = "/proc is only a part of a procfs";
  } else if (CALL(readlinkat, proc, "self", &self, sizeof(self) - 1) < 0 &&
             errno != ENOENT) {
    warn("readlinkat /proc/self");
    proc_fault = "/proc cannot be looked at";
  } else if (!number(self, INT_MAX, &pid) || (long)pid != CALL(getpid)) {
    proc_is_foreign = true;
    proc_fault = "/proc is of another PID namespace";
  } else {
    return true;
  }
  return false;
}

/* A descriptor of /proc, if that is a whole procfs; otherwise of one that is
 * mounted nowhere, if we may make it; otherwise -1. Open it before
 * pivot_root(2), and files in it after: an open mountinfo goes empty when the
 * root changes. */
static inline int open_proc(void) {
  int proc = open_directory("/proc");

  proc_fault = "/proc cannot be opened";
  if (proc >= 0) {
    if (is_whole_proc(proc)) {
      proc_fault = NULL;
      return proc;
    }
    close_fd(proc);
  }
  const char *fault = proc_fault;
  proc = CALL(fsopen, "proc", FSOPEN_CLOEXEC);
  if (proc < 0 ||
      CALL(fsconfig, proc, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
    return -1;
  }
  proc = CALL(fsmount, proc, FSMOUNT_CLOEXEC, 0);
  if (proc >= 0 && !is_whole_proc(proc)) {
    proc = -1;
  }
  proc_fault = fault;
  return proc;
}

/* Starts to read the mount table of this process. False where PROC is none, or
 * is of a PID namespace that this process is not in. */
static inline bool open_table(struct table *table, int proc) {
  if (proc < 0) {
    return false;
  }
  table->next = table->length = 0;
  table->fd = open_file(proc, "self/mountinfo");
  if (table->fd < 0 && errno != ENOENT) {
    err(FAILED, "open /proc/self/mountinfo");
  }
  return table->fd >= 0;
}

static inline int next_char(struct table *table) {
  if (table->next == table->length) {
    table->length =
        CALL(read, table->fd, &table->buffer, sizeof(table->buffer));
    if (table->length < 0) {
      err(FAILED, "read /proc/self/mountinfo");
    }
    table->next = 0;
    if (table->length == 0) {
      return -1;
    }
  }
  return table->buffer[table->next++];
}

/* The next mount of the table, or false at its end. */
static inline bool next_mount(struct table *table, struct mount *mount) {
  char word[PATH_MAX];
  size_t length = 0;
  int field = 0, dash = INT_MAX - 1, c;

  memset(mount, 0, sizeof(*mount));
  while ((c = next_char(table)) >= 0) {
    if (c != ' ' && c != '\n') {
      word[length] = c;
      length += length < sizeof(word) - 1;
      continue;
    }
    word[length] = '\0';
    length = 0;
    if (field == 0) {
      number(word, ULONG_MAX, &mount->id);
    } else if (field == 1) {
      number(word, ULONG_MAX, &mount->parent);
    } else if (field == 4) {
      memcpy(mount->point, word, sizeof(word));
    } else if (field > 5 && dash > field && strcmp(word, "-") == 0) {
      dash = field;
    } else if (field > 5 && field < dash) {
      mount->shared |= *word == 's';
      mount->unbindable |= *word == 'u';
    } else if (field == dash + 1) {
      memcpy(mount->type, word, sizeof(mount->type) - 1);
    }
    field++;
    if (c == '\n') {
      return true;
    }
  }
  return false;
}

/* The mount that a place calls ID. False if the table cannot be read, or this
 * process cannot reach that mount. */
static inline bool find_mount(int proc, unsigned long id, struct mount *mount) {
  struct table table;
  bool found = false;

  if (open_table(&table, proc)) {
    while (!found && next_mount(&table, mount)) {
      found = mount->id == id;
    }
    close_fd(table.fd);
  }
  return found;
}

/* Opens a namespace of this process: PATH is "self/ns/mnt" or another. */
static inline int open_namespace(int proc, const char *path) {
  return CALL(openat, proc, path, O_RDONLY | O_CLOEXEC);
}

/* Goes to the root of this mount namespace, whatever "/" is to this process: a
 * chroot has no walls there. Needs CAP_SYS_CHROOT; is EINVAL for one that
 * shares its root with another, as PID 1 of the machine does with the kernel.
 */
static inline bool go_to_namespace_root(int proc) {
  int mnt = open_namespace(proc, "self/ns/mnt");

  return mnt >= 0 && CALL(setns, mnt, CLONE_NEWNS) == 0;
}

#endif
