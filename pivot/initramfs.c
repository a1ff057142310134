/* initramfs.c: leaving the initramfs. initramfs.h says why it is special. */

#include "initramfs.h"
#include <dirent.h>
#include <linux/magic.h>
#include <sys/vfs.h>

int open_initramfs_or_exit(int proc, uint64_t root) {
  struct mount mount;
  struct stat namespace;
  struct statfs fs;

  /* To statfs(2) the rootfs is a ramfs or a tmpfs, as the root of many a
   * container is. Only the mount table calls it rootfs. */

  or_exit(statfs("/", &fs), "statfs", "/");
  uint32_t type =
      fs.f_type; /* signed in some libcs, and RAMFS_MAGIC is large */
  if (type != RAMFS_MAGIC && type != TMPFS_MAGIC) {
    return -1;
  }
  if (!find_mount_or_exit(proc, "self/mountinfo", root, &mount) ||
      strcmp(mount.type, "rootfs") != 0) {
    return -1;
  }

  /* On a machine that lives in its initramfs, a user namespace has a copy of
   * the rootfs, locked in its place. The new root could be mounted on top of
   * that, but root of the user namespace could unmount it again. A kernel
   * without user namespaces has no such file. */

  int failed = fstatat(proc, "self/ns/user", &namespace, 0);
  or_exit(errno == ENOENT ? 0 : failed, "stat", "/proc/self/ns/user");
  if (!failed && namespace.st_ino != 0xeffffffd) { /* USER_NS_INIT_INO */
    return -1;
  }
  return or_exit(open("/", O_PATH | O_CLOEXEC), "open", "/");
}

void refuse_to_free(int proc, uint64_t root) {
  struct reader table = mounts_or_exit(proc, "self/mountinfo");
  struct mount mount;

  refuse_if(getpid() != 1, "-f", "only PID 1 may delete the initramfs");

  /* Another rootfs mount is a bind of its files, perhaps in the new root. */

  while (next_mount_or_exit(&table, &mount)) {
    refuse_if(mount.id != root && strcmp(mount.type, "rootfs") == 0,
              mount.point, "is in the initramfs, so -f would delete it");
  }
}

void bring_along_or_exit(int initramfs) {
  const char *const names[] = {"dev", "proc", "sys", "run", NULL};

  for (const char *const *name = names; *name; name++) {
    struct statx from = look_up_or_exit(initramfs, *name);
    struct statx to = look_up_or_exit(AT_FDCWD, *name);
    if (from.stx_attributes & STATX_ATTR_MOUNT_ROOT && S_ISDIR(to.stx_mode) &&
        !(to.stx_attributes & STATX_ATTR_MOUNT_ROOT)) {
      CALL_OR_EXIT(*name, move_mount, initramfs, *name, AT_FDCWD, *name, 0);
    }
  }
}

/* Detaches what is mounted on the mount ROOT, except for the mount KEPT. The
 * last one in the table goes first, since it may hide others. */
static void detach_others(int proc, uint64_t root, uint64_t kept) {
  char last[PATH_MAX] = "-";
  struct mount mount;

  while (*last) {
    struct reader table = mounts_or_exit(proc, "self/mountinfo");
    *last = '\0';
    while (next_mount_or_exit(&table, &mount)) {
      if (mount.parent == root && mount.id != root && mount.id != kept) {
        strncpy(last, mount.point, sizeof(last) - 1);
      }
    }
    if (*last) {
      CALL_OR_EXIT(last, umount2, last, MNT_DETACH | UMOUNT_NOFOLLOW);
    }
  }
}

void cover_initramfs_or_exit(int proc, int initramfs, uint64_t root) {
  uint64_t new_root = look_up_or_exit(AT_FDCWD, ".").stx_mnt_id;

  bring_along_or_exit(initramfs);

  /* If NEW-ROOT is "/", a copy is on top of the initramfs already. */

  if (look_up_or_exit(AT_FDCWD, "/..").stx_mnt_id != new_root) {
    CALL_OR_EXIT("/", move_mount, AT_FDCWD, ".", AT_FDCWD, "/", 0);
  }

  /* No path of the new root leads to the other mounts any more: they would stay
   * for ever, with their devices in use. */

  detach_others(proc, root, new_root);

  /* "/" of this process is still the initramfs, below the new root. */

  CALL_OR_EXIT("the new root", chroot, ".");
}

void delete_files_or_exit(int directory, const char *path, uint64_t root) {
  int fd =
      or_exit(openat(directory, path, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
              "open", path);
  DIR *files = fdopendir(fd);
  struct dirent *entry;

  while (errno = 0, files && (entry = readdir(files))) {
    char *name = entry->d_name;
    struct statx st = look_up_or_exit(fd, name);
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
      continue;
    }
    refuse_if(st.stx_mnt_id != root, name, "is not of the initramfs");
    if (S_ISDIR(st.stx_mode)) {
      delete_files_or_exit(fd, name, root);
      or_exit(SHOW(unlinkat, fd, name, AT_REMOVEDIR), "rmdir", name);
    } else {
      or_exit(SHOW(unlinkat, fd, name, 0), "unlink", name);
    }
  }
  or_exit(errno ? -1 : 0, "readdir", path);
  close(fd); /* not closedir(3), which would bring in free(3) */
}
