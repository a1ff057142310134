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

#include "../idmap/first/listing.h"
#include "../idmap/first/mounts.h"
#include <sys/mount.h>

/* The inode number of the first user namespace, in linux/nsfs.h since 6.18. */
#ifndef USER_NS_INIT_INO
#define USER_NS_INIT_INO 0xeffffffd
#endif

/* Whether the mount ROOT, which is /, is the initramfs, and ours to leave. To
 * statfs(2) its file system is a ramfs or tmpfs, as many a container's; only
 * the mount table calls it rootfs. A user namespace in a machine that lives in
 * its initramfs has a copy of it. Nothing there can be moved or detached, since
 * it is locked; but what went on top is not, and its root could take it off.
 */
static inline bool on_initramfs(int proc, unsigned long root) {
  struct statfs fs;
  struct mount mount;
  int user;

  if (CALL(statfs, "/", &fs) < 0) {
    err(FAILED, "statfs /");
  }
  if ((fs.f_type != RAMFS_MAGIC && fs.f_type != TMPFS_MAGIC) ||
      !find_mount(proc, root, &mount) || strcmp(mount.type, "rootfs") != 0) {
    return false;
  }

  /* A kernel without user namespaces has no such file. */

  user = open_namespace(proc, "self/ns/user");
  return user < 0 ? errno == ENOENT : look(user, "").inode == USER_NS_INIT_INO;
}

/* Exits if anything mounted but ROOT is of the initramfs as well: a bind of it,
 * in the new root perhaps. Freeing the files would empty that too. */
static inline void refuse_copies(int proc, unsigned long root) {
  struct table table;
  struct mount mount;

  if (CALL(getpid) != 1) {
    errx(FAILED, "-f: only PID 1 may take the initramfs away");
  }
  open_table(&table, proc);
  while (next_mount(&table, &mount)) {
    if (mount.id != root && strcmp(mount.type, "rootfs") == 0) {
      errx(FAILED, "-f: %s is in the initramfs", mount.point);
    }
  }
}

/* Moves what is mounted at FROM below DIRECTORY (or is DIRECTORY, if "") to TO.
 */
static inline void move(int directory, const char *from, const char *to) {
  if (CALL(move_mount, directory, from, AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH) <
      0) {
    err(FAILED, "move_mount %s", to);
  }
}

/* Moves the kernel's file systems from OLD_ROOT to the working directory, where
 * that has a directory for them with nothing mounted on it. */
static inline void bring_along(int old_root) {
  static const char names[][5] = {"dev", "proc", "sys", "run"};

  for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
    struct place from = look(old_root, names[i]);
    struct place to = look(AT_FDCWD, names[i]);
    if (from.is_mount_point && to.is_directory && !to.is_mount_point) {
      move(old_root, names[i], names[i]);
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

static inline void detach(const char *path) {
  if (CALL(umount2, path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0) {
    err(FAILED, "umount %s", path);
  }
}

/* Detaches what is mounted on the mount ROOT, but for KEPT. The last comes
 * first, since it may hide others. Each that goes changes the table. */
static inline void detach_others(int proc, unsigned long root,
                                 unsigned long kept) {
  struct table table;
  struct mount mount;
  char last[sizeof(mount.point)];

  do {
    last[0] = '\0';
    open_table(&table, proc);
    while (next_mount(&table, &mount)) {
      if (mount.parent == root && mount.id != root && mount.id != kept) {
        memcpy(last, mount.point, sizeof(last));
      }
    }
    close_fd(table.fd);
    if (last[0]) {
      unescape(last);
      detach(last);
    }
  } while (last[0]);
}

/* Deletes what is in DIRECTORY, on the mount ROOT and no other. */
static inline void delete_files(int directory, const char *path,
                                unsigned long root) {
  struct listing files;
  const char *name;

  if (!open_listing(&files, directory, path)) {
    err(FAILED, "open %s", path);
  }
  while ((name = next_entry(&files))) {
    struct place place = look(files.fd, name);
    if (place.mount != root) {
      errx(FAILED, "%s is of another file system", name);
    }
    if (place.is_directory) {
      delete_files(files.fd, name, root);
    }
    if (CALL(unlinkat, files.fd, name, place.is_directory ? AT_REMOVEDIR : 0) <
        0) {
      err(FAILED, "unlink %s", name);
    }
  }
}

#endif
