/* confinement.h: the limits that a container is under, besides namespaces.
 *
 * setns(2) moves nobody into a cgroup and changes no label and no capability: a
 * command that entered would be the one process in the container without its
 * limits. Seccomp filters cannot be taken on: the kernel shows them to nobody.
 */

#ifndef CONFINEMENT_H
#define CONFINEMENT_H

#include "credentials.h"
#include <linux/securebits.h>

enum { CGROUP = 1, LABEL = 2, CAPS = 4 };

/* What LIST asks for, as in -a cgroup,label. */
static inline int confinement(const char *list) {
  static const char words[][8] = {"cgroup", "label", "caps", "all"};
  static const int bits[] = {CGROUP, LABEL, CAPS, CGROUP | LABEL | CAPS};
  int asked = 0;

  for (const char *end; list; list = *end ? end + 1 : NULL) {
    int found = 0;
    end = strchrnul(list, ',');
    for (int i = 0; i < 4; i++) {
      if (strlen(words[i]) == (size_t)(end - list) &&
          memcmp(words[i], list, end - list) == 0) {
        found = bits[i];
      }
    }
    if (!found) {
      errx(USAGE, "%s: not a list of cgroup, label, caps, all", list);
    }
    asked |= found;
  }
  return asked;
}

/* The top directory of the hierarchy of CONTROLLERS, as /proc/PID/cgroup calls
 * it; "" is that of version 2. It is mounted nowhere: what is on /sys/fs/cgroup
 * need not be all. */
static inline int open_hierarchy(char *controllers) {
  const char *type = *controllers ? "cgroup" : "cgroup2";
  int fs = CALL(fsopen, type, FSOPEN_CLOEXEC);
  long failed = fs < 0;

  for (char *next, *word = controllers; *word && !failed; word = next) {
    next = strchrnul(word, ',');
    if (*next) {
      *next++ = '\0';
    }
    failed = strncmp(word, "name=", 5) == 0
                 ? CALL(fsconfig, fs, FSCONFIG_SET_STRING, "name", word + 5, 0)
                 : CALL(fsconfig, fs, FSCONFIG_SET_FLAG, word, NULL, 0);
  }
  int top = failed || CALL(fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0
                ? -1
                : CALL(fsmount, fs, FSMOUNT_CLOEXEC, 0);
  if (top < 0) {
    err(FAILED, "mount cgroup %s", controllers);
  }
  return top;
}

static inline void write_file(int dir, const char *path, const char *text) {
  long length = strlen(text);
  int fd = CALL(openat, dir, path, O_WRONLY | O_CLOEXEC);

  if (fd < 0 || CALL(write, fd, text, length) != length) {
    err(FAILED, "write %s to %s", text, path);
  }
}

static inline bool has_line(const char *text, const char *line) {
  size_t length = strlen(line);
  const char *end;

  for (; *text; text = end + (*end == '\n')) {
    end = strchrnul(text, '\n');
    if ((size_t)(end - text) == length && memcmp(text, line, length) == 0) {
      return true;
    }
  }
  return false;
}

/* Moves this process into the cgroups of TARGET. Before the join: a cgroup
 * namespace hides what is above the container. */
static inline void join_cgroups(int proc, const struct target *target) {
  struct lines lines;
  char own[8192], path[PATH_MAX + 16], *line, *fields[3];
  int fd = open_file(proc, "self/cgroup");
  long length = fd < 0 ? -1 : CALL(read, fd, &own, sizeof(own) - 1);

  if (length < 0 || !open_lines(&lines, target->dir, "cgroup")) {
    err(FAILED, "open cgroup of process %ld", (long)target->pid);
  }
  own[length] = '\0';
  while ((line = next_line(&lines))) {
    if (has_line(own, line)) {
      continue;
    }
    int count = split(line, fields, 3);
    if (count > 3) {
      fields[2][strlen(fields[2])] = ':'; /* one of the path's own */
    }
    if (count < 3 || fields[2][0] != '/' || strncmp(fields[2], "/..", 3) == 0 ||
        strlen(fields[2]) >= PATH_MAX) {
      errx(FAILED, "the cgroup of process %ld is out of our sight",
           (long)target->pid);
    }
    int top = open_hierarchy(fields[1]);
    stpcpy(stpcpy(stpcpy(path, "."), fields[2]), "/cgroup.procs");
    write_file(top, path, "0");
  }
}

/* Reads the label at PATH below DIR. "" if there is none: then either no LSM
 * has labels, or it says EINVAL to who asks. */
static inline void read_label(int dir, const char *path, char label[1024]) {
  int fd = open_file(dir, path);
  long length = fd < 0 ? -1 : CALL(read, fd, &label[0], 1023);

  if (length < 0 && errno != ENOENT && errno != EINVAL) {
    err(FAILED, "read %s", path);
  }
  label[length < 0 ? 0 : length] = '\0';
  *strchrnul(label, '\n') = '\0';
}

/* Has the next exec take on the AppArmor profile or the SELinux context of
 * TARGET. Before no_new_privs, which forbids the change. */
static inline void join_label(int proc, const struct target *target) {
  char own[1024], label[1024], request[1040] = "";

  read_label(proc, "self/attr/current", own);
  read_label(target->dir, "attr/current", label);
  if (strcmp(own, label) == 0) {
    return;
  }

  /* AppArmor says "profile (enforce)" and wants "exec profile". A context of
   * SELinux has colons and no blank. */

  char *mode = strrchr(label, ' ');
  if (mode && mode[1] == '(') {
    *mode = '\0';
  }
  if (mode || strcmp(label, "unconfined") == 0) {
    strcpy(request, "exec ");
  }
  strcat(request, label);

  write_file(proc, "self/attr/exec", request);
}

struct limits {
  uint64_t permitted, bounding;
  bool is_root, no_new_privs;
};

/* Reads the limits of TARGET; whether it is root as the present user namespace
 * sees it. */
static inline struct limits read_limits(const struct target *target) {
  struct limits limits = {0};
  struct lines lines;
  char *line;

  if (!open_lines(&lines, target->dir, "status")) {
    err(FAILED, "open status of process %ld", (long)target->pid);
  }
  while ((line = next_line(&lines))) {
    char *value = strchrnul(line, '\t');
    value += *value == '\t';
    if (strncmp(line, "Uid:", 4) == 0) {
      limits.is_root = strncmp(strchrnul(value, '\t'), "\t0\t", 3) == 0;
    } else if (strncmp(line, "CapPrm:", 7) == 0) {
      limits.permitted = hex(value);
    } else if (strncmp(line, "CapBnd:", 7) == 0) {
      limits.bounding = hex(value);
    } else if (strncmp(line, "NoNewPrivs:", 11) == 0) {
      limits.no_new_privs = *value == '1';
      return limits;
    }
  }
  errx(FAILED, "the status of process %ld does not show its capabilities",
       (long)target->pid);
}

/* Lowers the bounding set to that of the target. The kernel shows securebits to
 * nobody: a root that lacks what root would have counts as one without. */
static inline void take_limits(const struct limits *limits) {
  for (int cap = 0; cap < 64; cap++) {
    if (limits->bounding >> cap & 1) {
      continue;
    }
    long present = CALL(prctl, PR_CAPBSET_READ, cap);
    if (present < 0 && errno == EINVAL) {
      break; /* there are no more */
    }
    if (present != 0 && CALL(prctl, PR_CAPBSET_DROP, cap) < 0) {
      err(FAILED, "prctl PR_CAPBSET_DROP %ld", (long)cap);
    }
  }
  if (limits->is_root && limits->permitted != limits->bounding &&
      CALL(prctl, PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED) <
          0) {
    err(FAILED, "prctl PR_SET_SECUREBITS");
  }
}

#endif
