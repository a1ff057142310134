/* hints.h: why pivot_root(2) refused.
 *
 * One EINVAL of it has nine causes. Each is looked for here, and named only if
 * it was seen; then the reader knows what to change, and not what might be.
 */

#ifndef HINTS_H
#define HINTS_H

#include "mounts.h"
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

/* Whether capability NUMBER is in the effective set of this process. */
static inline bool capable(int capability) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {{0}, {0}};

  CALL(capget, &header, &data);
  return data[capability / 32].effective >> capability % 32 & 1;
}

/* Whether a mount point named PATH is locked in its place. Unmounting what has
 * not expired and is in use is EBUSY, but before that, EINVAL if locked. */
static inline bool is_locked(const char *path) {
  int busy = CALL(openat, AT_FDCWD, path, O_PATH | O_CLOEXEC);
  bool locked = CALL(umount2, path, MNT_EXPIRE) < 0 && errno == EINVAL;

  close_fd(busy);
  return locked;
}

/* Whether ABOVE is found going up from the directory BELOW, or from ".". */
static inline bool is_above(const struct place *above, const char *below) {
  struct place here, last;

  if (CALL(chdir, below) < 0) {
    return false;
  }
  for (here = look("."); !same(&here, above); here = look(".")) {
    last = here;
    if (CALL(chdir, "..") < 0 || (here = look("."), same(&here, &last))) {
      return false;
    }
  }
  return true;
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
    return "CAP_SYS_ADMIN is missing; a user has it behind idmap -n "
           "mnt";
  }
  int mnt = CALL(openat, proc, "self/ns/mnt", O_RDONLY | O_CLOEXEC);
  if (mnt >= 0 && CALL(ioctl, mnt, NS_GET_USERNS, 0) < 0 && errno == EPERM) {
    return "this mount namespace belongs to another user namespace";
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

static inline const char *why_invalid(int proc, const char *new_path,
                                      const char *old_path,
                                      const struct place *root,
                                      const struct place *new_root,
                                      const struct place *put_old) {
  struct mount mount;

  if (!root->is_mount_point) {
    return "/ is not a mount point: a chroot";
  }
  if (find_mount(proc, root->mount, &mount) &&
      strcmp(mount.type, "rootfs") == 0) {
    return "/ is the initramfs, which this kernel cannot pivot";
  }
  if (!new_root->is_mount_point) {
    return "NEW-ROOT is not a mount point";
  }
  if (proc >= 0 && !find_mount(proc, new_root->mount, &mount)) {
    return "NEW-ROOT is not in this mount namespace";
  }
  if (is_shared(proc, new_root, false)) {
    return "NEW-ROOT is a shared mount";
  }
  if (is_shared(proc, new_root, true)) {
    return "the parent mount of NEW-ROOT is shared";
  }
  if (is_shared(proc, put_old, false)) {
    return "PUT-OLD is on a shared mount";
  }
  if (is_locked(new_path)) {
    return "NEW-ROOT is locked: a more privileged namespace mounted it";
  }
  if (!is_above(new_root, old_path)) {
    return "PUT-OLD is not below NEW-ROOT";
  }
  return NULL;
}

/* Prints the cause of ERROR, which pivot_root(NEW_PATH, OLD_PATH) returned, if
 * it can be seen. Changes the working directory. */
static inline void explain(int error, const char *new_path,
                           const char *old_path) {
  struct place root = look("/"), new_root = look(new_path);
  struct place put_old = look(old_path);
  int proc = open_proc();
  const char *why = NULL;

  if (error == EPERM) {
    why = why_not_permitted(proc);
  } else if (error == EBUSY) {
    why = why_busy(&root, &new_root, &put_old);
  } else if (error == ENOTDIR) {
    why = new_root.is_directory ? "PUT-OLD is not a directory"
                                : "NEW-ROOT is not a directory";
  } else if (error == EINVAL) {
    why = why_invalid(proc, new_path, old_path, &root, &new_root, &put_old);
  }
  if (why) {
    warnx("hint: %s", why);
  }
}

#endif
