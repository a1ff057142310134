/* initramfs.h: leaving the initramfs.
 *
 * The kernel's first root, the rootfs, has nothing below it that could take its
 * place, so before Linux 7.0 pivot_root(2) answers EINVAL. What can be done is
 * to move the new root on top of it. A chroot(2) into it is then not the escape
 * that it is elsewhere: "/" is where the namespace has its topmost root, so
 * user namespaces stay allowed (a process chrooted below may not make them).
 */

#ifndef INITRAMFS_H
#define INITRAMFS_H

#include "listing.h"
#include "mounts.h"
#include <sys/mount.h>

/* Whether / is the initramfs. The type of its file system is ramfs or tmpfs to
 * statfs(2), as many a container's; only the mount table calls it rootfs. */
static inline bool on_initramfs(int proc, unsigned long root) {
  struct statfs fs;
  struct mount mount;

  return CALL(statfs, "/", &fs) == 0 &&
         (fs.f_type == RAMFS_MAGIC || fs.f_type == TMPFS_MAGIC) &&
         find_mount(proc, root, &mount) && strcmp(mount.type, "rootfs") == 0;
}

/* Moves the kernel's file systems from OLD_ROOT to the working directory, where
 * that has a directory for them with nothing mounted on it. */
static inline void bring_along(int old_root) {
  static const char names[][5] = {"dev", "proc", "sys", "run"};

  for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
    const char *name = names[i];
    struct statx from, to;
    if (CALL(statx, old_root, name, AT_SYMLINK_NOFOLLOW, 0, &from) < 0 ||
        !(from.stx_attributes & STATX_ATTR_MOUNT_ROOT) ||
        CALL(statx, AT_FDCWD, name, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &to) < 0 ||
        !S_ISDIR(to.stx_mode) || to.stx_attributes & STATX_ATTR_MOUNT_ROOT) {
      continue;
    }
    if (CALL(move_mount, old_root, name, AT_FDCWD, name, 0) < 0) {
      err(FAILED, "move_mount /%s", name);
    }
  }
}

/* Turns the \ooo of the mount table back into characters, in place. */
static inline void unescape(char *text) {
  char *out = text;

  for (; *text; text++) {
    if (*text == '\\' && text[1] && text[2] && text[3]) {
      *out++ = (text[1] - '0') << 6 | (text[2] - '0') << 3 | (text[3] - '0');
      text += 3;
    } else {
      *out++ = *text;
    }
  }
  *out = '\0';
}

/* Detaches what is mounted on the mount ROOT, but for KEPT. The table changes
 * with every mount that goes, so it is read from the start each time. */
static inline void detach_others(int proc, unsigned long root,
                                 unsigned long kept) {
  struct table table;
  struct mount mount;

  while (open_table(&table, proc)) {
    do {
      if (!next_mount(&table, &mount)) {
        return;
      }
    } while (mount.parent != root || mount.id == root || mount.id == kept);
    close_fd(table.fd);
    unescape(mount.point);
    const char *point = mount.point;
    if (CALL(umount2, point, MNT_DETACH | UMOUNT_NOFOLLOW) < 0) {
      err(FAILED, "umount %s", point);
    }
  }
}

/* Deletes what is in DIRECTORY, on the mount ROOT and no other. */
static inline void delete_files(int directory, const char *path,
                                unsigned long root) {
  struct listing files;
  const char *name;
  struct statx st;

  if (!open_listing(&files, directory, path)) {
    err(FAILED, "open %s", path);
  }
  while ((name = next_entry(&files))) {
    if (CALL(statx, files.fd, name, AT_SYMLINK_NOFOLLOW,
             STATX_TYPE | STATX_MNT_ID, &st) < 0) {
      err(FAILED, "statx %s", name);
    }
    if (st.stx_mnt_id != root) {
      errx(FAILED, "%s is of another file system", name);
    }
    int flags = S_ISDIR(st.stx_mode) ? AT_REMOVEDIR : 0;
    if (flags) {
      delete_files(files.fd, name, root);
    }
    if (CALL(unlinkat, files.fd, name, flags) < 0) {
      err(FAILED, "unlink %s", name);
    }
  }
}

#endif
