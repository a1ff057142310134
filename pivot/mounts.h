/* mounts.h: the mount table, read through a procfs that is one.
 *
 * A path can lie about what is mounted where: names hold spaces and newlines,
 * mounts hide mounts. The kernel's numbers do not, so that is all we read.
 */

#ifndef MOUNTS_H
#define MOUNTS_H

#include "step.h"
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/stat.h>
#include <sys/vfs.h>

struct mount {
  unsigned long id, parent; /* as in stx_mnt_id of statx(2) */
  bool shared;
  char point[PATH_MAX]; /* as the table has it, with \ooo escapes */
  char type[16];        /* of its file system, cut to fit */
};

struct table {
  int fd;
  char buffer[4096];
  ssize_t next, length;
};

/* Where a path leads. Two are the same directory if mount and inode are. */
struct place {
  unsigned long mount, inode;
  bool is_mount_point, is_directory;
};

static inline struct place look(const char *path) {
  struct statx st;

  if (CALL(statx, AT_FDCWD, path, AT_NO_AUTOMOUNT, STATX_INO | STATX_MNT_ID,
           &st) < 0) {
    err(FAILED, "statx %s", path);
  }
  return (struct place){st.stx_mnt_id, st.stx_ino,
                        st.stx_attributes & STATX_ATTR_MOUNT_ROOT,
                        S_ISDIR(st.stx_mode)};
}

static inline bool same(const struct place *one, const struct place *other) {
  return one->mount == other->mount && one->inode == other->inode;
}

/* A descriptor of /proc, if that is a procfs; otherwise of one that is mounted
 * nowhere, if we may make it; otherwise -1. Open it before pivot_root(2), and
 * files in it after: an open mountinfo goes empty when the root changes. */
static inline int open_proc(void) {
  struct statfs fs;
  int proc = CALL(openat, AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

  if (proc >= 0 && CALL(fstatfs, proc, &fs) == 0 &&
      fs.f_type == PROC_SUPER_MAGIC) {
    return proc;
  }
  proc = CALL(fsopen, "proc", FSOPEN_CLOEXEC);
  if (proc < 0 ||
      CALL(fsconfig, proc, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
    return -1;
  }
  return CALL(fsmount, proc, FSMOUNT_CLOEXEC, 0);
}

/* Starts to read the mount table of this process. False without one. */
static inline bool open_table(struct table *table, int proc) {
  table->next = table->length = 0;
  table->fd = proc < 0
                  ? -1
                  : CALL(openat, proc, "self/mountinfo", O_RDONLY | O_CLOEXEC);
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
    } else if (field > 5 && field < dash && word[0] == 's') {
      mount->shared = true;
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

/* The mount that statx(2) calls ID. False if the table cannot be read, or this
 * process cannot reach that mount. */
static inline bool find_mount(int proc, unsigned long id, struct mount *mount) {
  struct table table;
  bool found = false;

  if (open_table(&table, proc)) {
    while (!found && next_mount(&table, mount)) {
      found = mount->id == id;
    }
    if (found) {
      close_fd(table.fd);
    }
  }
  return found;
}

#endif
