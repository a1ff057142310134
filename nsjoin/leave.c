/* leave.c: what of the caller stays outside. leave.h has the contract. */

#include "leave.h"
#include "../pivot/proc.h"
#include <grp.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>

/* ---- Environment ---- */

/* Whether WORD can be the value of a variable: not empty, shorter than SIZE,
 * and without control characters. */
static bool is_plain(const char *word, size_t size) {
  bool has_control = false;

  for (const char *next = word; *next; next++) {
    has_control |= (unsigned char)*next < ' ' || *next == 0x7f;
  }
  return *word && strlen(word) < size && !has_control;
}

/* Adds VARIABLE, which must stay, to an environment of our own: setenv(3) and
 * its malloc(3) would be an eighth of this program. */
static void add_variable_or_exit(char *variable) {
  static char *variables[4096];
  static int count;

  refuse_if(count == 4095, "-e", "TARGET has too many variables");
  variables[count++] = variable;
  environ = variables;
}

void wipe_environment_or_exit(bool keeps_term) {
  static char term[64] = "TERM=";
  const char *value = getenv("TERM");
  bool is_known =
      keeps_term && value && is_plain(value, sizeof(term) - strlen(term));

  strcat(term, is_known ? value : "");
  for (char **variable = environ; *variable; variable++) {
    memset(*variable, 0, strlen(*variable));
  }
  *environ = NULL;
  if (is_known) {
    add_variable_or_exit(term);
  }
}

void take_environment_or_exit(int directory) {
  static char text[1 << 17]; /* the environment points into it */
  struct reader file = open_proc_file(directory, "environ");
  size_t length = 0;
  int byte;

  or_exit(file.fd, "open", "environ of TARGET");
  while ((byte = read_byte(&file)) >= 0 && length < sizeof(text)) {
    text[length++] = byte;
  }
  or_exit(byte < 0 && errno ? -1 : 0, "read", "environ of TARGET");
  refuse_if(length == sizeof(text), "-e", "TARGET's environment is too large");
  close(file.fd);
  for (char *next = text; next < text + length; next += strlen(next) + 1) {
    if (strchr(next, '=') && *next != '=') {
      add_variable_or_exit(next);
    }
  }
}

/* Finds the line of user UID in /etc/passwd, with its seven FIELDS, which then
 * are in TEXT. If there is no good one, they stay as they are. */
static void find_user(uid_t uid, char text[LINE_SIZE], char *fields[7]) {
  int etc = open("/etc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  int fd = openat(etc, "passwd",
                  O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  ssize_t length = read(fd, text, LINE_SIZE - 1);
  char *rest = text, *found[7], *line;
  uint64_t id;

  text[length < 0 ? 0 : length] = '\0';
  while ((line = strsep(&rest, "\n"))) {
    for (int i = 0; i < 7; i++) {
      found[i] = strsep(&line, ":");
    }
    if (found[6] && !line && read_number(found[2], UINT32_MAX, &id) &&
        id == uid && is_plain(found[0], 256)) {
      memcpy(fields, found, sizeof(found));
      return;
    }
  }
}

/* A PATH that was read in passwd, or if that is no good one, OTHERWISE. */
static const char *path_or(const char *path, const char *otherwise) {
  return path && *path == '/' && is_plain(path, 256) ? path : otherwise;
}

void complete_environment_or_exit(uid_t uid) {
  char text[LINE_SIZE], root[] = "root", *fields[7] = {uid == 0 ? root : NULL};
  static char store[2048], *next = store;

  find_user(uid, text, fields);
  const char *const variables[][2] = {
      {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
      {"HOME", path_or(fields[5], "/")},
      {"USER", fields[0]},
      {"LOGNAME", fields[0]},
      {"SHELL", path_or(fields[6], "/bin/sh")}};
  for (int i = 0; i < 5; i++) {
    if (variables[i][1]) {
      add_variable_or_exit(next);
      next =
          stpcpy(stpcpy(stpcpy(next, variables[i][0]), "="), variables[i][1]);
      next++;
    }
  }
}

/* ---- Descriptors ---- */

/* An open directory of the caller's is a way out (CVE-2016-9962). */
void refuse_directories(void) {
  for (int fd = 0; fd <= 2; fd++) {
    refuse_if(is_inherited(fd) && S_ISDIR(look_up_or_exit(fd, "").stx_mode),
              numbered("descriptor ", fd, "").text,
              "is a directory, a way out of the container");
  }
}

/* ---- Who PROG is ---- */

/* A file can be closed to a group, so to drop a group can be a gain. Root of a
 * user namespace may not do it where setgroups is "deny" (CVE-2014-8989). Root
 * of ours may: so before the join. Groups that no one may drop can stay if the
 * caller made that user namespace: then its processes have them anyway. */
bool drop_groups_or_exit(const struct target *target) {
  unsigned owner;

  if (getgroups(0, NULL) == 0 || SHOW(setgroups, 0, NULL) == 0) {
    return false;
  }
  or_exit(errno == EPERM && target->flags & CLONE_NEWUSER ? 0 : -1, "setgroups",
          "");
  int user = open_namespace_or_exit(target, "ns/user");
  or_exit(ioctl(user, NS_GET_OWNER_UID, &owner), "ioctl", "NS_GET_OWNER_UID");
  return owner == geteuid();
}

void drop_groups_inside_or_exit(const struct target *target, bool may_stay) {
  if (target->flags & CLONE_NEWUSER && getgroups(0, NULL) != 0) {
    int failed = SHOW(setgroups, 0, NULL);
    or_exit(may_stay && errno == EPERM ? 0 : failed, "setgroups", "inside");
  }
}

/* Calls SET, whose name is CALL, with ID; if that is not known, with 0, or with
 * that of the FIELD of TARGET's status. It is read after the join, so it is the
 * one in the user namespace that was joined. */
static void take_id_or_exit(int (*set)(uint32_t, uint32_t, uint32_t),
                            const char *call, struct id id,
                            const struct target *target, const char *field) {
  struct numbered name = numbered("", id.number, "");
  char line[LINE_SIZE];
  uint64_t theirs = 0;

  show_call(call, "id", (const char *[]){name.text});
  if (set(id.number, id.number, id.number) == 0) {
    return;
  }

  /* EINVAL means that the id is not mapped (setresuid(2)). */

  or_exit(errno == EINVAL && !id.is_known ? 0 : -1, call, name.text);
  const char *ids = proc_line(target->directory, "status", field, line);
  const char *effective = ids ? strchr(ids, '\t') : NULL;
  refuse_if(!effective || !read_digits(effective + 1, UINT32_MAX, &theirs),
            target->word, "does not tell its ids, and 0 is not mapped");
  take_id_or_exit(set, call, (struct id){true, theirs}, target, field);
}

/* The group first: a user other than 0 could not change it any more. */
void take_ids_or_exit(const struct target *target, struct id uid,
                      struct id gid) {
  bool enters = target->flags & CLONE_NEWUSER;

  if (enters || gid.is_known) {
    take_id_or_exit(setresgid, "setresgid", gid, target, "Gid:");
  }
  if (enters || uid.is_known) {
    take_id_or_exit(setresuid, "setresuid", uid, target, "Uid:");
  }
}

/* ---- What else is inherited ---- */

/* A process in a user namespace that it joined has none of these. Elsewhere
 * they would be PROG's after exec (capabilities(7)). The ambient set is always
 * part of the inheritable one. */
void drop_capabilities_or_exit(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {{0}, {0}};

  or_exit(capget(&header, data), "capget", "");
  data[0].inheritable = data[1].inheritable = 0;
  show_call("capset", "no inheritable capabilities", (const char *[]){NULL});
  or_exit(capset(&header, data), "capset", "");
}

/* exec(2) keeps SIG_IGN and the mask, and resets what has a handler. Two or
 * three signals are libc's own: EINVAL. libc blocks signals in setresuid(3) and
 * the like, so the mask comes last. */
void reset_signals_or_exit(void) {
  struct sigaction initial = {.sa_handler = SIG_DFL}, inherited = initial;
  sigset_t none;

  for (int number = 1; number < NSIG; number++) {
    struct numbered name = numbered("", number, "");
    int failed = sigaction(number, NULL, &inherited);
    if (!failed && inherited.sa_handler == SIG_IGN) {
      show_call("sigaction", "number, SIG_DFL",
                (const char *[]){name.text, NULL});
      failed = sigaction(number, &initial, NULL);
    }
    or_exit(failed && errno == EINVAL ? 0 : failed, "sigaction", name.text);
  }
  sigemptyset(&none);
  or_exit(sigprocmask(SIG_SETMASK, &none, NULL), "sigprocmask", "no signal");
}
