/* hints.h: why new namespaces were refused, as far as it can be seen. */

#ifndef HINTS_H
#define HINTS_H

#include "../pivot/step.h"
#include <linux/stat.h>

/* The number that /proc/sys/NAME holds, or -1. */
static inline long read_sysctl(int proc, const char *name) {
  char text[32] = "";
  unsigned long value;
  int fd = CALL(openat, proc, name, O_RDONLY | O_CLOEXEC);

  if (fd < 0 || CALL(read, fd, &text, sizeof(text) - 1) < 1) {
    return -1;
  }
  close_fd(fd);
  *strchrnul(text, '\n') = '\0';
  return number(text, LONG_MAX, &value) ? (long)value : -1;
}

static inline void explain_sysctl(int proc, const char *name, long bad) {
  if (read_sysctl(proc, name) == bad) {
    warnx("hint: /proc/%s is %ld", name, bad);
  }
}

/* After clone(2) or unshare(2) failed with ERROR. */
static inline void explain(int error, int proc) {
  struct statx root;

  if (error == ENOSPC) {
    static const char names[][32] = {
        "sys/user/max_user_namespaces", "sys/user/max_cgroup_namespaces",
        "sys/user/max_ipc_namespaces",  "sys/user/max_mnt_namespaces",
        "sys/user/max_net_namespaces",  "sys/user/max_pid_namespaces",
        "sys/user/max_time_namespaces", "sys/user/max_uts_namespaces"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
      explain_sysctl(proc, names[i], 0);
    }
  } else if (error == EPERM || error == EACCES) {
    explain_sysctl(proc, "sys/kernel/unprivileged_userns_clone", 0);
    explain_sysctl(proc, "sys/kernel/apparmor_restrict_unprivileged_userns", 1);
    if (CALL(statx, AT_FDCWD, "/", 0, 0, &root) == 0 &&
        !(root.stx_attributes & STATX_ATTR_MOUNT_ROOT)) {
      warnx("hint: / is not a mount point, but a chroot");
    }
  }
}

#endif
