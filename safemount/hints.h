/* hints.h: why a mount was refused, as far as it can be seen. */

#ifndef SAFEMOUNT_HINTS_H
#define SAFEMOUNT_HINTS_H

#include "../idmap/first/hints.h"

/* For our own mount table the procfs of another PID namespace will do, if no
 * other can be had: its "self" is this process, or missing. */
static inline int open_any_proc(void) {
  int proc = open_proc();

  return proc < 0 && proc_is_foreign ? open_directory("/proc") : proc;
}

/* The mount that FD is on. False if "/" reaches no such mount of this
 * namespace; a detached mount and one of another namespace are no such mounts.
 */
static inline bool find_mount_of(int fd, struct mount *mount) {
  struct statx st;

  return CALL(statx, fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) == 0 &&
         find_mount(open_any_proc(), st.stx_mnt_id, mount);
}

/* Whether a mount of type PROC or SYSFS that is seen here has another one on
 * it. What that hides, a new one would show. */
static inline bool is_masked(const char *type) {
  struct table table, inner;
  struct mount mount, other;
  int proc = open_any_proc();

  if (open_table(&table, proc)) {
    while (next_mount(&table, &mount)) {
      if (strcmp(mount.type, type) == 0 && open_table(&inner, proc)) {
        while (next_mount(&inner, &other)) {
          if (other.parent == mount.id) {
            return true;
          }
        }
        close_fd(inner.fd);
      }
    }
  }
  return false;
}

/* After fsopen(2), fsconfig(2) or fsmount(2) of TYPE failed with ERROR. */
static inline void explain_type(int error, const char *type) {
  if (error == ENODEV) {
    warnx("hint: this kernel has no file system %s", type);
  } else if (error == EPERM && capable(CAP_SYS_ADMIN) &&
             (!strcmp(type, "proc") || !strcmp(type, "sysfs")) &&
             is_masked(type)) {
    warnx("hint: something is mounted on the %s that is there", type);
  }
}

/* After open_tree(2) below FD failed with EINVAL. GIVEN if FD was inherited;
 * WHOLE if it does not fail for all that is mounted there. */
static inline void explain_source(int fd, bool given, bool whole) {
  struct mount mount;

  if (given && !find_mount_of(fd, &mount)) {
    warnx("hint: it was opened in another mount namespace");
  } else if (whole) {
    warnx("hint: what is mounted below it is locked in its place: use rbind");
  }
}

/* After mount_setattr(2) on TREE failed, of a file system of TYPE. */
static inline void explain_flags(int error, int tree, unsigned long clear,
                                 bool idmap, const char *type) {
  static const char names[][8] = {"ro", "nosuid", "nodev", "noexec"};
  struct statfs fs;

  if (error == EINVAL && idmap) {
    warnx("hint: %s cannot be idmapped by this kernel", type);
  } else if (error == EPERM && capable(CAP_SYS_ADMIN) &&
             CALL(fstatfs, tree, &fs) == 0) {
    for (int i = 0; i < 4; i++) {
      if (clear & fs.f_flags & 1 << i) {
        warnx("hint: %s is locked: a more privileged namespace set it",
              names[i]);
      }
    }
  }
}

/* After move_mount(2) of TREE onto TARGET failed. */
static inline void explain_attach(int error, int tree, int target) {
  struct place from = look(tree, ""), to = look(target, "");
  struct mount mount;

  if (from.is_directory != to.is_directory) {
    warnx(from.is_directory
              ? "hint: a directory cannot be mounted on what is none"
              : "hint: only a directory can be mounted on a directory");
  } else if (error == EINVAL && find_mount_of(tree, &mount)) {
    if (!from.is_mount_point) {
      warnx("hint: what is to be moved is not a mount point");
    } else if (find_mount(open_any_proc(), mount.parent, &mount) &&
               mount.shared) {
      warnx("hint: the mount that it is on is shared");
    }
  }
}

#endif
