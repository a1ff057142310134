/* leave.c: what of the caller stays outside. leave.h has the contract. */

#include "leave.h"
#include "../pivot/proc.h"
#include <grp.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>

/* ---- Environment ---- */

/* Adds NAME and VALUE, joined, to an environment of our own: setenv(3) and its
 * malloc(3) would be an eighth of this program. */
static void add_variable_or_exit(const char *name, const char *value) {
  static char *variables[4096], text[1 << 17], *next = text;
  static int count;
  size_t room = text + sizeof(text) - next;

  refuse_if(count == 4095 || strlen(name) + strlen(value) >= room,
            "environment", "is too large");
  variables[count++] = next;
  next = stpcpy(stpcpy(next, name), value) + 1;
  environ = variables;
}

/* Takes the variables that the process DIRECTORY in /proc was started with. */
static void take_environment_or_exit(int directory) {
  struct reader file = open_proc_file(directory, "environ");
  char variable[LINE_SIZE];
  size_t length = 0;
  int byte;

  or_exit(file.fd, "open", "environ of TARGET");
  do {
    byte = read_byte(&file);
    refuse_if(length == LINE_SIZE, "environ of TARGET", "is too large");
    variable[length++] = byte > 0 ? byte : '\0';
    if (byte <= 0) {
      length = 0;
      if (strchr(variable, '=')) {
        add_variable_or_exit(variable, "");
      }
    }
  } while (byte >= 0);
  or_exit(errno ? -1 : 0, "read", "environ of TARGET");
}

void leave_environment_or_exit(int directory) {
  const char *value = getenv("TERM");
  char term[256] = "";

  if (directory < 0 && value && strlen(value) < sizeof(term)) {
    strcpy(term, value);
  }
  for (char **variable = environ; *variable; variable++) {
    memset(*variable, 0, strlen(*variable));
  }
  *environ = NULL;
  if (*term) {
    add_variable_or_exit("TERM=", term);
  }
  if (directory >= 0) {
    take_environment_or_exit(directory);
  }
}

void complete_environment_or_exit(uid_t uid) {
  const char *user = uid == 0 ? "root" : "", *home = "/", *shell = "/bin/sh";
  int etc = open("/etc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  int fd = openat(etc, "passwd",
                  O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  char text[LINE_SIZE], *rest = text, *fields[7], *line;
  ssize_t length = read(fd, text, LINE_SIZE - 1);
  uint64_t id;

  text[length < 0 ? 0 : length] = '\0';
  while ((line = strsep(&rest, "\n"))) {
    bool is_long = strlen(line) > 1024;
    for (int i = 0; i < 7; i++) {
      fields[i] = strsep(&line, ":");
    }
    if (!is_long && fields[6] && !line && *fields[0] &&
        read_number(fields[2], UINT32_MAX, &id) && id == uid) {
      user = fields[0];
      home = *fields[5] == '/' ? fields[5] : home;
      shell = *fields[6] == '/' ? fields[6] : shell;
      break;
    }
  }
  add_variable_or_exit(
      "PATH=", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  add_variable_or_exit("HOME=", home);
  if (*user) {
    add_variable_or_exit("USER=", user);
    add_variable_or_exit("LOGNAME=", user);
  }
  add_variable_or_exit("SHELL=", shell);
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

bool owns_user_namespace_or_exit(const struct target *target) {
  unsigned owner = -1;

  if (target->flags & CLONE_NEWUSER) {
    int user = open_namespace_or_exit(target, "ns/user");
    or_exit(ioctl(user, NS_GET_OWNER_UID, &owner), "ioctl", "NS_GET_OWNER_UID");
  }
  return owner == geteuid();
}

void drop_groups_or_exit(bool may_stay) {
  int failed = getgroups(0, NULL) == 0 ? 0 : SHOW(setgroups, 0, NULL);

  or_exit(failed && errno == EPERM && may_stay ? 0 : failed, "setgroups", "");
  refuse_if(!failed && getgroups(0, NULL) != 0, "setgroups", "dropped none");
}

void take_id_or_exit(const struct target *target, bool is_user,
                     const char *asked) {
  const char *call = is_user ? "setresuid" : "setresgid";
  const char *word = asked ? asked : "0";
  char line[LINE_SIZE];
  uint64_t id = 0;

  if (!asked && !(target->flags & CLONE_NEWUSER)) {
    return;
  }
  refuse_if(!read_number(word, UINT32_MAX, &id), word, "is no id");
  show_call(call, "id", (const char *[]){word});
  int failed = is_user ? setresuid(id, id, id) : setresgid(id, id, id);

  /* EINVAL means that the id is not mapped (setresuid(2)). */

  if (failed && errno == EINVAL && !asked) {
    char *ids =
        proc_line(target->directory, "status", is_user ? "Uid:" : "Gid:", line);
    refuse_if(!ids || !strsep(&ids, "\t") || !ids, target->word,
              "does not tell its ids, and 0 is not mapped");
    take_id_or_exit(target, is_user, strsep(&ids, "\t"));
    return;
  }
  or_exit(failed, call, word);
  refuse_if(id != (is_user ? geteuid() : getegid()), call, "changed nothing");
}

/* ---- What else is inherited ---- */

/* setns(2) into a user namespace clears the inheritable capabilities. After any
 * other join PROG would have them (capabilities(7)). The ambient set is always
 * part of the inheritable one. */
void drop_capabilities_or_exit(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {{0}, {0}};

  or_exit(capget(&header, data), "capget", "");
  data[0].inheritable = data[1].inheritable = 0;
  show_call("capset", "no inheritable capabilities", (const char *[]){NULL});
  or_exit(capset(&header, data), "capset", "");
}

/* exec(2) keeps SIG_IGN and the mask, and resets what has a handler. Two
 * signals cannot be ignored, and two or three are libc's own: EINVAL. libc
 * blocks signals in setresuid(3) and the like, so the mask comes last. */
void reset_signals_or_exit(void) {
  struct sigaction initial = {.sa_handler = SIG_DFL};
  sigset_t none;

  show_call("sigaction", "each signal, SIG_DFL", (const char *[]){NULL, NULL});
  for (int number = 1; number < NSIG; number++) {
    int failed = sigaction(number, &initial, NULL);
    or_exit(failed && errno == EINVAL ? 0 : failed, "sigaction", "SIG_DFL");
  }
  sigemptyset(&none);
  or_exit(sigprocmask(SIG_SETMASK, &none, NULL), "sigprocmask", "no signal");
}
