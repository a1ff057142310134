/* hints.h: why namespaces or maps were refused, as far as it can be seen.
 *
 * EPERM has a dozen causes and ENOSPC nine. What is named here was looked at;
 * what cannot be looked at is not named.
 */

#ifndef HINTS_H
#define HINTS_H

#include "statx.h"
#include "words.h"
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

static const struct {
  char name[8];
  int flag;
} namespaces[] = {
    {"cgroup", CLONE_NEWCGROUP}, {"ipc", CLONE_NEWIPC}, {"mnt", CLONE_NEWNS},
    {"net", CLONE_NEWNET},       {"pid", CLONE_NEWPID}, {"time", CLONE_NEWTIME},
    {"user", CLONE_NEWUSER},     {"uts", CLONE_NEWUTS},
};

/* Whether the sysctl NAME holds the digit VALUE and no other. */
static inline bool sysctl_is(const char *name, char value) {
  char text[3] = "";
  int fd = CALL(openat, AT_FDCWD, name, O_RDONLY | O_CLOEXEC);

  return fd >= 0 && CALL(read, fd, &text, 2) > 0 && text[0] == value &&
         (text[1] == '\n' || !text[1]);
}

static inline void explain_sysctl(const char *name, char bad) {
  if (sysctl_is(name, bad)) {
    warnx("hint: %s is %c", name, bad);
  }
}

/* Whether we have CAPABILITY in our user namespace; says so if not. */
static inline bool lacks(int capability, const char *name) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct sets[2];

  if (CALL(capget, &header, &sets) < 0 ||
      sets[capability / 32].effective >> capability % 32 & 1) {
    return false;
  }
  if (name) {
    warnx("hint: %s is missing", name);
  }
  return true;
}

/* What policies there are against users' namespaces, or what is done there. */
static inline void explain_policy(int error) {
  if (error == EPERM || error == EACCES) {
    explain_sysctl("/proc/sys/kernel/unprivileged_userns_clone", '0');
    explain_sysctl("/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
                   '1');
  }
}

static inline bool is_chroot(void) {
  struct statx root, above;

  return CALL(statx, AT_FDCWD, "/", 0, STATX_MNT_ID, &root) == 0 &&
         CALL(statx, AT_FDCWD, "/..", 0, STATX_MNT_ID, &above) == 0 &&
         ((root.stx_attributes_mask & ~root.stx_attributes &
           STATX_ATTR_MOUNT_ROOT) ||
          root.stx_mnt_id != above.stx_mnt_id);
}

/* After clone(2) or unshare(2) for FLAGS failed with ERROR. */
static inline void explain_namespaces(int error, int flags) {
  struct line path;
  bool seen = false;

  if (error == EPERM || error == EACCES) {
    bool user = flags & CLONE_NEWUSER;
    bool bound = lacks(CAP_SYS_ADMIN, user ? NULL : "CAP_SYS_ADMIN") ||
                 getauxval(AT_EUID) != 0;
    if (user && bound) {
      explain_policy(error);
    }
    if (user && is_chroot()) {
      warnx("hint: / is a chroot, where none may be made");
    }
    return;
  }
  for (size_t i = 0; i < sizeof(namespaces) / sizeof(*namespaces); i++) {
    if (flags & namespaces[i].flag) {
      path.length = 0;
      put_string(&path,
                 error == ENOSPC ? "/proc/sys/user/max_" : "/proc/self/ns/");
      put_string(&path, namespaces[i].name);
      put_string(&path, error == ENOSPC ? "_namespaces" : "");
      put_char(&path, '\0');
      if (error == ENOSPC
              ? sysctl_is(path.text, '0')
              : CALL(faccessat, AT_FDCWD, (char *)path.text, F_OK) < 0) {
        warnx("hint: %s is %s", path.text, error == ENOSPC ? "0" : "not there");
        seen = true;
      }
    }
  }
  if (error == ENOSPC && !seen) {
    warnx("hint: a limit is reached, here or in a user namespace above, or 32 "
          "of them are nested");
  }
}

/* After MAP could not be written by ourselves. */
static inline void explain_map(int error, const struct map *map, bool gids) {
  if (error != EPERM) {
    return;
  }
  if (gids) {
    lacks(CAP_SETGID, "CAP_SETGID");
  } else if (!lacks(CAP_SETUID, "CAP_SETUID") && inside_of(map, 0) >= 0) {
    lacks(CAP_SETFCAP, "CAP_SETFCAP, which mapping id 0 takes,");
  }
}

/* After the program at PATH, newuidmap(1) or newgidmap(1), failed. False if it
 * is not there. */
static inline bool explain_helper(const char *path) {
  struct statx st;
  struct statfs fs;

  if (CALL(statx, AT_FDCWD, path, 0, STATX_BASIC_STATS, &st) < 0) {
    return false;
  }
  if (CALL(prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) {
    warnx("hint: no_new_privs is set, so no program is setuid");
  }
  if (CALL(getxattr, path, "security.capability", NULL, 0) < 0 &&
      (!(st.stx_mode & S_ISUID) || st.stx_uid != 0)) {
    warnx("hint: %s is not setuid root here", path);
  }
  if (CALL(statfs, path, &fs) == 0 && fs.f_flags & ST_NOSUID) {
    warnx("hint: %s is on a nosuid mount", path);
  }
  return true;
}

#endif
