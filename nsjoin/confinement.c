/* confinement.c: the limits that a container is under. confinement.h has the
 * contract. */

#include "confinement.h"
#include "../idmap/wait.h"
#include "../pivot/proc.h"
#include <stdlib.h>
#include <sys/prctl.h>

int read_confinement_or_exit(char *list) {
  int asked = 0;
  char *word;

  while ((word = strsep(&list, ","))) {
    int found = strcmp(word, "cgroup") == 0  ? CGROUP
                : strcmp(word, "label") == 0 ? LABEL
                : strcmp(word, "caps") == 0  ? CAPS
                : strcmp(word, "all") == 0   ? CGROUP | LABEL | CAPS
                                             : 0;
    usage_error_if(!found, word, "is not cgroup, label, caps or all");
    asked |= found;
  }
  return asked;
}

/* ---- The cgroup ---- */

/* Exits unless this process is in TARGET's cgroup of each hierarchy: of those
 * of version 1 none was joined, and what is mounted as cgroup2 can be a part of
 * the hierarchy, with paths of its own. A line is HIERARCHY:CONTROLLERS:PATH,
 * and all processes have them in the same order (cgroups(7)). */
static void compare_cgroups_or_exit(int proc, const struct target *target) {
  struct reader ours = open_proc_file(proc, "self/cgroup");
  struct reader theirs = open_proc_file(target->directory, "cgroup");
  char own[LINE_SIZE] = "", other[LINE_SIZE] = "";
  bool is_line;

  or_exit(ours.fd < 0 ? -1 : theirs.fd, "open", "cgroup of TARGET");
  do {
    is_line = next_line_or_exit(&theirs, other);
    refuse_if(next_line_or_exit(&ours, own) != is_line ||
                  strcmp(own, other) != 0,
              other, "is TARGET's cgroup, and not ours");
  } while (is_line);
}

void join_cgroup_or_exit(int proc, const struct target *target) {
  struct reader table = mounts_or_exit(proc, "self/mountinfo");
  char own[LINE_SIZE], other[LINE_SIZE], name[2 * LINE_SIZE];
  const char *ours = proc_line(proc, "self/cgroup", "0::", own);
  const char *theirs = proc_line(target->directory, "cgroup", "0::", other);
  struct mount mount;

  if (ours && theirs && strcmp(ours, theirs) != 0) {
    do {
      refuse_if(!next_mount_or_exit(&table, &mount), "cgroup2",
                "is not mounted");
    } while (strcmp(mount.type, "cgroup2") != 0);
    stpcpy(stpcpy(stpcpy(name, mount.point), theirs), "/cgroup.procs");
    write_file_or_exit(AT_FDCWD, name, "0");
  }
  compare_cgroups_or_exit(proc, target);
}

/* ---- The label ---- */

/* The label NAME below DIRECTORY, in LINE; "" if there is none: a kernel
 * without labels has no such file, or answers EINVAL. */
static char *label_or_exit(int directory, const char *name,
                           char line[LINE_SIZE]) {
  char *label = proc_line(directory, name, "", line);

  or_exit(label || errno == ENOENT || errno == EINVAL ? 0 : -1, "read", name);
  return label ? label : strcpy(line, "");
}

void take_label_or_exit(int proc, const struct target *target) {
  char own[LINE_SIZE], other[LINE_SIZE], request[LINE_SIZE + 8] = "";
  char *label = label_or_exit(target->directory, "attr/current", other);

  if (strcmp(label, label_or_exit(proc, "self/attr/current", own)) == 0) {
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

void limit_capabilities_or_exit(const struct target *target) {
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
  if (*word != '0') {
    CALL_OR_EXIT("no_new_privs", prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  }
}
