/* hints.h: why pivot_root(2) refused.
 *
 * One EINVAL of it has ten causes. Each is looked for here, and named only if
 * it was seen; then the reader knows what to change, and not what might be.
 */

#ifndef HINTS_H
#define HINTS_H

#include "mounts.h"
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>

/* Whether capability NUMBER is in the effective set of this process. */
static inline bool capable(int capability) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {{0}, {0}};

  return CALL(capget, &header, &data) < 0 ||
         data[capability / 32].effective >> capability % 32 & 1;
}

/* Whether going up from the directory BELOW comes to ABOVE. */
static inline bool is_above(const struct place *above, int below) {
  struct place here, up = look(below, "");

  CALL(fchdir, below);
  do {
    here = up;
    if (same(&here, above)) {
      return true;
    }
    go("..");
    up = look(AT_FDCWD, ".");
  } while (!same(&here, &up));
  return false;
}

/* Whether the mount that FD is the root of is locked in its place. Unmounting
 * what has not expired and is in use is EBUSY, but before that, EINVAL if it is
 * locked. */
static inline bool is_locked(int fd) {
  CALL(fchdir, fd);
  return CALL(umount2, ".", MNT_EXPIRE) < 0 && errno == EINVAL;
}

/* Whether the mount of PLACE, or if PARENT the one it is mounted on, is shared.
 */
static inline bool is_shared(int proc, const struct place *place, bool parent) {
  struct mount mount;

  return find_mount(proc, place->mount, &mount) &&
         (!parent || find_mount(proc, mount.parent, &mount)) && mount.shared;
}

static inline const char *why_not_permitted(int proc) {
  if (!capable(CAP_SYS_ADMIN)) {
    return "CAP_SYS_ADMIN is missing: a user has it in idmap -n mnt";
  }
  int mnt = open_namespace(proc, "self/ns/mnt");
  if (mnt >= 0 && CALL(ioctl, mnt, NS_GET_USERNS, 0) < 0 && errno == EPERM) {
    return "this mount namespace belongs to another user namespace";
  }
  if (CALL(prctl, PR_GET_SECCOMP) == SECCOMP_MODE_FILTER) {
    return "this process has a seccomp filter";
  }
  return NULL;
}

static inline const char *why_busy(const struct place *root,
                                   const struct place *new_root,
                                   const struct place *put_old) {
  if (new_root->mount == root->mount) {
    return "NEW-ROOT is on the mount that is the root";
  }
  if (put_old->mount == root->mount) {
    return "PUT-OLD is on the mount that is the root";
  }
  return NULL;
}

static inline const char *why_invalid(int proc, int new_fd, int old_fd,
                                      const struct place *root,
                                      const struct place *new_root,
                                      const struct place *put_old) {
  struct mount mount;

  if (!root->is_mount_point) {
    return "/ is not a mount point: a chroot";
  }
  if (!new_root->is_mount_point) {
    return same(new_root, put_old) &&
                   find_mount(proc, new_root->mount, &mount) && mount.unbindable
               ? "NEW-ROOT is on an unbindable mount"
               : "NEW-ROOT is not a mount point";
  }

  if (proc < 0) {
    return NULL;
  }
  if (!find_mount(proc, root->mount, &mount)) {
    return "/ is not in this mount namespace";
  }
  if (mount.parent == mount.id) {
    return "/ is the initramfs, which this kernel cannot pivot";
  }

  /* From a chroot, the mount that it is on cannot be seen. */

  if (!go_to_namespace_root(proc)) {
    return NULL;
  }
  if (!find_mount(proc, new_root->mount, &mount)) {
    return "NEW-ROOT is not in this mount namespace";
  }
  if (is_shared(proc, new_root, true)) {
    return "the parent mount of NEW-ROOT is shared";
  }
  if (is_shared(proc, put_old, false)) {
    return "PUT-OLD is on a shared mount";
  }
  if (is_shared(proc, root, true)) {
    return "the parent mount of / is shared: a chroot";
  }
  if (!is_above(new_root, old_fd)) {
    return "PUT-OLD is not below NEW-ROOT";
  }
  if (!is_above(root, new_fd)) {
    return "NEW-ROOT is not below /";
  }
  if (is_locked(new_fd)) {
    return "NEW-ROOT is locked: a more privileged namespace mounted it";
  }
  return NULL;
}

/* Prints the cause of errno, which pivot_root(NEW_PATH, OLD_PATH) returned, if
 * it can be seen. Changes the root and the working directory. */
static inline void explain(const char *new_path, const char *old_path) {
  int error = errno, proc = open_proc();
  int new_fd = open_directory(new_path), old_fd = open_directory(old_path);
  const char *why = NULL;

  if (error == EPERM) {
    why = why_not_permitted(proc);
  } else if (new_fd < 0 || old_fd < 0) {
    if (error == ENOTDIR) {
      why = new_fd < 0 ? "NEW-ROOT is not a directory"
                       : "PUT-OLD is not a directory";
    }
  } else {
    struct place root = look(AT_FDCWD, "/"), new_root = look(new_fd, "");
    struct place put_old = look(old_fd, "");
    if (error == EBUSY) {
      why = why_busy(&root, &new_root, &put_old);
    } else if (error == EINVAL) {
      why = why_invalid(proc, new_fd, old_fd, &root, &new_root, &put_old);
    }
  }
  if (why) {
    warnx("hint: %s", why);
  }
}

#endif
