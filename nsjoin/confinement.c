/* confinement.c: the limits that a container is under. confinement.h has the
 * contract. */

#include "confinement.h"
#include "../idmap/wait.h"
#include "../pivot/proc.h"
#include <stdlib.h>
#include <sys/prctl.h>

int read_confinement_or_exit(char *list) {
  const char *const words[] = {"cgroup", "label", "caps", "all"};
  const int bits[] = {CGROUP, LABEL, CAPS, CGROUP | LABEL | CAPS};
  int asked = 0;
  char *word;

  while ((word = strsep(&list, ","))) {
    int found = 0;
    for (int i = 0; i < 4; i++) {
      found |= strcmp(word, words[i]) == 0 ? bits[i] : 0;
    }
    usage_error_if(!found, word, "is not cgroup, label, caps or all");
    asked |= found;
  }
  return asked;
}

/* ---- The cgroup ---- */

/* The path of TARGET's cgroup of version 2, in LINE, or NULL if that is ours
 * too. Exits if TARGET is elsewhere than we in a hierarchy of version 1. A line
 * is HIERARCHY:CONTROLLERS:PATH, that of version 2 is 0::PATH (cgroups(7)).
 * They are in the same order for all processes. */
static const char *cgroup_or_exit(int proc, const struct target *target,
                                  char line[LINE_SIZE]) {
  struct reader ours = open_proc_file(proc, "self/cgroup");
  struct reader theirs = open_proc_file(target->directory, "cgroup");
  char own[LINE_SIZE], other[LINE_SIZE], *path = NULL;

  or_exit(ours.fd < 0 ? -1 : theirs.fd, "open", "cgroup of TARGET");
  while (next_line_or_exit(&theirs, other)) {
    if (!next_line_or_exit(&ours, own) || strcmp(own, other) != 0) {
      refuse_if(strncmp(other, "0::", 3) != 0, other,
                "is TARGET's cgroup, of version 1, and not ours");
      path = strcpy(line, other) + 3;
    }
  }
  return path;
}

/* The directory of the hierarchy of version 2, as it is mounted. */
static int open_cgroup2_or_exit(int proc) {
  struct reader table = mounts_or_exit(proc, "self/mountinfo");
  struct mount mount;
  int fd;

  do {
    refuse_if(!next_mount_or_exit(&table, &mount), "cgroup2", "is not mounted");
    fd = strcmp(mount.type, "cgroup2") == 0
             ? open(mount.point, O_PATH | O_DIRECTORY | O_CLOEXEC)
             : -1;
  } while (fd < 0 || look_up_or_exit(fd, "").stx_mnt_id != mount.id);
  return fd;
}

void join_cgroup_or_exit(int proc, const struct target *target) {
  char line[LINE_SIZE], now[LINE_SIZE], name[LINE_SIZE + 32];
  const char *path = cgroup_or_exit(proc, target, line), *joined;

  if (!path) {
    return;
  }
  stpcpy(stpcpy(stpcpy(name, "."), path), "/cgroup.procs");
  write_file_or_exit(open_cgroup2_or_exit(proc), name, "0");

  /* What is mounted can be a part of the hierarchy, with paths of its own. */

  joined = proc_line(proc, "self/cgroup", "0::", now);
  refuse_if(!joined || strcmp(path, joined) != 0, path,
            "is TARGET's cgroup, but not the one that was joined");
}

/* ---- The label ---- */

/* Reads the label NAME below DIRECTORY; "" if there is none: a kernel without
 * labels has no such file, or answers EINVAL. */
static void read_label_or_exit(int directory, const char *name,
                               char label[PATH_MAX]) {
  struct reader file = open_proc_file(directory, name);
  ssize_t length = file.fd;

  *label = '\0';
  or_exit(errno == ENOENT ? 0 : file.fd, "open", name);
  if (file.fd >= 0) {
    length = read_line(&file, label, PATH_MAX);
    or_exit(length < 0 && errno && errno != EINVAL ? -1 : 0, "read", name);
  }
  refuse_if(length >= PATH_MAX, name, "is too long");
}

void take_label_or_exit(int proc, const struct target *target) {
  char ours[PATH_MAX], label[PATH_MAX], request[PATH_MAX + 8] = "";

  read_label_or_exit(proc, "self/attr/current", ours);
  read_label_or_exit(target->directory, "attr/current", label);
  if (strcmp(ours, label) == 0) {
    return;
  }

  /* AppArmor tells "PROFILE (MODE)" and takes "exec PROFILE"
   * (aa_change_profile(2)). A context of SELinux has colons and no blank. */

  char *mode = strrchr(label, ' ');
  bool has_mode = mode && mode[1] == '(';
  if (has_mode) {
    *mode = '\0';
  }
  if (has_mode || strcmp(label, "unconfined") == 0) {
    strcpy(request, "exec ");
  }
  write_file_or_exit(proc, "self/attr/exec", strcat(request, label));
}

/* ---- The capabilities ---- */

bool limit_capabilities_or_exit(const struct target *target) {
  char line[LINE_SIZE];
  const char *word = proc_line(target->directory, "status", "CapBnd:", line);
  int present;

  or_exit(word ? 0 : -1, "read", "CapBnd of TARGET");
  uint64_t bounding = read_hex(word);
  for (int n = 0; (present = prctl(PR_CAPBSET_READ, n)) >= 0; n++) {
    if (present && !(bounding >> n & 1)) {
      struct numbered name = numbered("capability ", n, "");
      show_call("prctl", "PR_CAPBSET_DROP, n",
                (const char *[]){NULL, name.text});
      or_exit(prctl(PR_CAPBSET_DROP, n), "prctl PR_CAPBSET_DROP", name.text);
    }
  }
  or_exit(errno == EINVAL ? 0 : -1, "prctl", "PR_CAPBSET_READ");
  word = proc_line(target->directory, "status", "NoNewPrivs:", line);
  or_exit(word ? 0 : -1, "read", "NoNewPrivs of TARGET");
  return *word != '0';
}
