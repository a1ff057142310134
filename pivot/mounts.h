/* mounts.h: the mount table, read through a procfs that is one. */

#ifndef MOUNTS_H
#define MOUNTS_H

#include "place.h"
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <sys/vfs.h>

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

/* A descriptor of /proc, if that is a procfs; otherwise of one that is mounted
 * nowhere, if we may make it; otherwise -1. Open it before pivot_root(2), and
 * files in it after: an open mountinfo goes empty when the root changes. */
static inline int open_proc(void) {
  struct statfs fs;
  int proc = open_directory("/proc");

  if (proc >= 0) {
    if (CALL(fstatfs, proc, &fs) < 0) {
      err(FAILED, "fstatfs /proc");
    }
    if (fs.f_type == PROC_SUPER_MAGIC) {
      return proc;
    }
    close_fd(proc);
  } else if (errno != ENOENT) {
    err(FAILED, "open /proc");
  }
  proc = CALL(fsopen, "proc", FSOPEN_CLOEXEC);
  if (proc < 0 ||
      CALL(fsconfig, proc, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
    return -1;
  }
  return CALL(fsmount, proc, FSMOUNT_CLOEXEC, 0);
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
