/* calls.h: system calls that libc has no function for.
 *
 * Each has the kernel's name and prototype, so the compiler checks every
 * argument. No header of musl 1.2.3 declares them. A newer libc that declares
 * one, as glibc 2.36 does, has the same prototype: then both mean the same.
 * No other file of the tree makes a system call by its number.
 */

#pragma once

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* SYSTEM_CALL3(NAME, A, B, C) defines int NAME(A, B, C). The definition is for
 * inlining only: so it may stand beside a declaration of libc's, as functions
 * in libc's own headers do. */
/* clang-format off */
#define INLINE_INT                                                             \
  extern inline __attribute__((__gnu_inline__, __always_inline__)) int
#define SYSTEM_CALL2(name, A, B)                                               \
  INLINE_INT name(A a, B b) { return syscall(SYS_##name, a, b); }
#define SYSTEM_CALL3(name, A, B, C)                                            \
  INLINE_INT name(A a, B b, C c) { return syscall(SYS_##name, a, b, c); }
#define SYSTEM_CALL4(name, A, B, C, D)                                         \
  INLINE_INT name(A a, B b, C c, D d) { return syscall(SYS_##name, a, b, c, d); }
#define SYSTEM_CALL5(name, A, B, C, D, E)                                      \
  INLINE_INT name(A a, B b, C c, D d, E e) {                                   \
    return syscall(SYS_##name, a, b, c, d, e);                                 \
  }
/* clang-format on */

SYSTEM_CALL2(capget, struct __user_cap_header_struct *,
             struct __user_cap_data_struct *)
SYSTEM_CALL2(capset, struct __user_cap_header_struct *,
             struct __user_cap_data_struct *)
SYSTEM_CALL3(close_range, unsigned, unsigned, int)
SYSTEM_CALL5(execveat, int, const char *, char *const *, char *const *, int)
SYSTEM_CALL5(fsconfig, int, unsigned, const char *, const void *, int)
SYSTEM_CALL3(fsmount, int, unsigned, unsigned)
SYSTEM_CALL2(fsopen, const char *, unsigned)
SYSTEM_CALL2(keyctl, int, const char *)
SYSTEM_CALL5(mount_setattr, int, const char *, unsigned, struct mount_attr *,
             size_t)
SYSTEM_CALL5(move_mount, int, const char *, int, const char *, unsigned)
SYSTEM_CALL3(open_tree, int, const char *, unsigned)
SYSTEM_CALL4(openat2, int, const char *, const struct open_how *, size_t)
SYSTEM_CALL2(pidfd_open, pid_t, unsigned)
SYSTEM_CALL4(pidfd_send_signal, int, int, siginfo_t *, unsigned)
SYSTEM_CALL2(pivot_root, const char *, const char *)

/* musl 1.2.3 has no struct statx, and that of musl 1.2.5 has no mount ID. Then
 * the kernel's own is used, under a name that does not clash. */
#ifndef STATX_MNT_ID
#define SYS_kernel_statx SYS_statx
#define statx kernel_statx
#define statx_timestamp kernel_statx_timestamp
#include <linux/stat.h>
SYSTEM_CALL5(kernel_statx, int, const char *, int, unsigned, struct statx *)
#endif

/* Whether /proc/PID/syscall means sigtimedwait(2) by NUMBER. */
static inline bool is_sigtimedwait(long number) {
  /* A process of the other width has the numbers of that width. */
#if defined __x86_64__ || defined __i386__
  return number == 128 || number == 177 || number == 421;
#elif defined __aarch64__ || defined __arm__
  return number == 137 || number == 177 || number == 421;
#elif defined SYS_rt_sigtimedwait_time64
  return number == SYS_rt_sigtimedwait || number == SYS_rt_sigtimedwait_time64;
#else
  return number == SYS_rt_sigtimedwait;
#endif
}

/* fork(2) into new namespaces: clone(2) without a stack, which takes FLAGS last
 * on s390x. With CLONE_PARENT_SETTID, the child's PID is in *PID before the
 * child runs. libc does not notice it, so in the child raise(3) still means the
 * parent: send signals by kill(getpid(), ...) there. */
static inline pid_t fork_and_tell(unsigned long flags, pid_t *pid) {
#ifdef __s390x__
  return syscall(SYS_clone, NULL, flags, pid, NULL, NULL);
#else
  return syscall(SYS_clone, flags, NULL, pid, NULL, NULL);
#endif
}
#define fork_with(flags) fork_and_tell(flags, NULL)
