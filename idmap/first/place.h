/* place.h: where a path leads, in the kernel's numbers.
 *
 * A path can lie about what is mounted where: names hold spaces and newlines,
 * mounts hide mounts. The numbers of a mount and of an inode do not.
 */

#ifndef PLACE_H
#define PLACE_H

#include "statx.h"
#include "step.h"

struct place {
  unsigned long mount, inode; /* 0, 0 where there is nothing */
  uint64_t device;            /* each subvolume of btrfs has its own, and 256 */
  bool is_mount_point, is_directory;
};

/* Where PATH below DIRECTORY leads, a link at its end not followed, or where
 * DIRECTORY itself is if PATH is "". False, with errno, if that cannot be said.
 * STATX_MNT_ID: Linux 5.8. */
static inline bool try_look(int directory, const char *path,
                            struct place *place) {
  struct statx st;

  if (CALL(statx, directory, path, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW,
           STATX_TYPE | STATX_INO | STATX_MNT_ID, &st) < 0) {
    *place = (struct place){0};
    return false;
  }
  *place = (struct place){st.stx_mnt_id, st.stx_ino,
                          (uint64_t)st.stx_dev_major << 32 | st.stx_dev_minor,
                          st.stx_attributes & STATX_ATTR_MOUNT_ROOT,
                          (st.stx_mode & S_IFMT) == S_IFDIR};
  return true;
}

/* The same, or nothing if there is none; anything else that stands in the way
 * ends the step. */
static inline struct place look(int directory, const char *path) {
  struct place place;

  if (!try_look(directory, path, &place) && errno != ENOENT &&
      errno != ENOTDIR) {
    warn("statx %s", *path ? path : "of a descriptor");
    if (errno == ENOSYS) {
      warnx("hint: statx needs Linux 5.8");
    }
    _exit(FAILED);
  }
  return place;
}

/* Whether both are the same directory. */
static inline bool same(const struct place *one, const struct place *other) {
  return one->mount == other->mount && one->device == other->device &&
         one->inode == other->inode;
}

static inline int open_directory(const char *path) {
  return CALL(openat, AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* For what is read, below DIRECTORY, and is not a link. */
static inline int open_file(int directory, const char *path) {
  return CALL(openat, directory, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

static inline void go(const char *path) {
  if (CALL(chdir, path) < 0) {
    err(FAILED, "chdir %s", path);
  }
}

#endif
