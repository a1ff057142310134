/* credentials.h: who PROG is inside, and what of us it must not keep.
 *
 * setns(2) changes what the ids mean, not the ids, nor groups, capabilities,
 * keys and signals. Each is a way for our rights into the container, or for the
 * container to ours.
 */

#ifndef CREDENTIALS_H
#define CREDENTIALS_H

#include "namespaces.h"
#include "wait.h"
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <sys/stat.h>

#define UNSET -1L

struct credentials {
  long uid, gid;    /* asked for with -u and -g, or UNSET */
  bool enters;      /* a user namespace is joined */
  bool owns;        /* and our user owns it */
  bool groups_gone; /* the supplementary groups */
};

/* Before the join: root may not be allowed to drop its groups inside. */
static inline void drop_groups(struct credentials *credentials,
                               const struct target *target,
                               const struct parts *parts) {
  unsigned owner;

  if (CALL(setgroups, 0, NULL) == 0) {
    credentials->groups_gone = true;
    return;
  }
  if (errno != EPERM) {
    err(FAILED, "setgroups");
  }
  if (!credentials->enters) {
    return;
  }
  int user = open_part(parts, USERS + SELF, CLONE_NEWUSER, target);
  credentials->owns = CALL(ioctl, user, NS_GET_OWNER_UID, &owner) == 0 &&
                      owner == getauxval(AT_EUID);
}

/* After it. Groups that were denied a file are dropped only by who may, and
 * groups that open one are kept only where all processes have them. */
static inline void drop_groups_inside(const struct credentials *credentials) {
  if (credentials->groups_gone ||
      (credentials->enters && CALL(setgroups, 0, NULL) == 0)) {
    return;
  }
  int error = errno;
  if (CALL(getgroups, 0, NULL) != 0 && (error != EPERM || !credentials->owns)) {
    errno = error;
    err(FAILED, "setgroups");
  }
}

/* The effective one of the ids of the target that LABEL names, as the user
 * namespace that has been joined sees it. */
static inline unsigned long id_of(const struct target *target,
                                  const char *label) {
  struct lines lines;
  unsigned long id;
  const char *end,
      *text =
          target->pid ? find_field(&lines, target->dir, "status", label) : NULL;

  if (!text || !(end = digits(text, UINT_MAX, &id)) ||
      !digits(end + 1, UINT_MAX, &id)) {
    errx(FAILED, "id 0 is not mapped, and no process says which: use -u, -g");
  }
  return id;
}

/* Becomes the ids that were asked for; without that and in a user namespace, 0
 * if it is mapped, otherwise the target's. Leaves the uid in CREDENTIALS. */
static inline void take_ids(struct credentials *credentials,
                            const struct target *target) {
  bool asked = credentials->gid != UNSET;
  long gid = asked ? credentials->gid : 0, uid;

  while ((asked || credentials->enters) && CALL(setresgid, gid, gid, gid) < 0) {
    if (errno != EINVAL || asked) {
      err(FAILED, "setresgid %ld", gid);
    }
    gid = id_of(target, "Gid:\t");
    asked = true;
  }
  asked = credentials->uid != UNSET;
  uid = asked ? credentials->uid : 0;
  while ((asked || credentials->enters) && CALL(setresuid, uid, uid, uid) < 0) {
    if (errno != EINVAL || asked) {
      err(FAILED, "setresuid %ld", uid);
    }
    uid = id_of(target, "Uid:\t");
    asked = true;
  }
  credentials->uid =
      asked || credentials->enters ? uid : (long)getauxval(AT_EUID);
}

/* A user namespace gives none of these; without one, ours would stay. The
 * ambient set goes with the inheritable one. */
static inline void drop_inheritable(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

  if (CALL(capget, &header, &data) < 0) {
    err(FAILED, "capget");
  }
  data[0].inheritable = data[1].inheritable = 0;
  if (CALL(capset, &header, &data) < 0) {
    err(FAILED, "capset");
  }
}

/* A key in the caller's session is readable for its possessor in any namespace.
 * A kernel without keys has no /proc/keys. */
static inline void new_keyring(int proc) {
  if (CALL(keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 &&
      (errno != ENOSYS || CALL(faccessat, proc, "keys", F_OK) == 0 ||
       errno != ENOENT)) {
    err(FAILED, "keyctl KEYCTL_JOIN_SESSION_KEYRING");
  }
}

/* Ignored signals are inherited by exec. Only those are taken back, since each
 * is a system call. */
static inline void reset_signals(int proc) {
  struct lines lines;
  struct action initial = {0};
  uint64_t bits;
  const char *text =
      proc < 0 ? NULL : find_field(&lines, proc, "self/status", "SigIgn:\t");

  bits = text ? hex(text) : 0;
  for (int signal = 1; signal <= 64; signal++) {
    if ((!text || bits >> (signal - 1) & 1) && signal != SIGKILL &&
        signal != SIGSTOP &&
        CALL(rt_sigaction, signal, &initial, NULL, SET_SIZE) < 0) {
      err(FAILED, "rt_sigaction");
    }
  }
}

static inline void reset_mask(void) {
  uint64_t none = 0;

  if (CALL(rt_sigprocmask, SIG_SETMASK, &none, NULL, SET_SIZE) < 0) {
    err(FAILED, "rt_sigprocmask");
  }
}

#endif
