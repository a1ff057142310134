/* namespaces.c: the eight kinds of namespaces. namespaces.h has the contract.
 */

#include "namespaces.h"
#include <linux/keyctl.h>

const struct kind kinds[KINDS] = {
    {"cgroup", CLONE_NEWCGROUP}, {"ipc", CLONE_NEWIPC}, {"mnt", CLONE_NEWNS},
    {"net", CLONE_NEWNET},       {"pid", CLONE_NEWPID}, {"time", CLONE_NEWTIME},
    {"user", CLONE_NEWUSER},     {"uts", CLONE_NEWUTS}};

int read_namespaces_or_exit(char *list, int proc) {
  int flags = 0;
  char *word;

  while ((word = strsep(&list, ","))) {
    bool all = strcmp(word, "all") == 0, is_known = false;
    for (int i = 0; i < KINDS; i++) {
      char path[32] = "self/ns/";
      if (all || strcmp(word, kinds[i].name) == 0) {
        strcat(path, kinds[i].name);
        bool exists = proc < 0 || look_up_or_exit(proc, path).stx_mode;
        refuse_if(!exists && !all, path,
                  "is not there: this kernel has no such namespaces");
        flags |= exists ? kinds[i].flag : 0;
        is_known = true;
      }
    }
    usage_error_if(!is_known, word,
                   "is not cgroup, ipc, mnt, net, pid, time, user, uts or all");
  }
  return flags;
}

void show_namespaces(const char *call, int flags) {
  char names[128] = "";

  for (int i = 0; i < KINDS; i++) {
    if (flags & kinds[i].flag) {
      strcat(strcat(names, *names ? " " : ""), kinds[i].name);
    }
  }
  show_call(call, names, (const char *[]){NULL});
}

/* The session keyring is in no namespace, so its keys would come along
 * (session-keyring(7)). A kernel without keys has no /proc/keys; a filter may
 * answer ENOSYS too. */
void leave_keyring_or_exit(int proc) {
  int failed = SHOW(keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);

  if (failed < 0 && errno == ENOSYS &&
      !look_up_or_exit(proc, "keys").stx_mode) {
    return;
  }
  or_exit(failed, "keyctl", "KEYCTL_JOIN_SESSION_KEYRING");
}
