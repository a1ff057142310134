/* idmap: run a program in new namespaces, with ids of its own.
 *
 * A process in a new user namespace has all capabilities in it, but no ids:
 * each shows as 65534 until the maps are written. That happens once, from
 * outside, by a process with the right to each id. So there are two processes:
 * one goes inside, the other stays outside, writes the maps and lets the first
 * one go on. With a new PID namespace, the process outside then waits; without,
 * it ends, and the one inside becomes PROG.
 *
 * It refuses a map that the kernel would read as another one, and never runs
 * PROG with an id that the map does not have. The maps come before the exec: a
 * process whose uid inside is not 0 loses its capabilities there
 * (capabilities(7)).
 */

#include "map.h"
#include "namespaces.h"
#include "terminal.h"
#include <grp.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

const char tool[] = "idmap";
const char usage[] =
    "usage: idmap [-Kptv] [-e NAME=VALUE]... [-g MAP] [-H NAME] [-n LIST] "
    "[-O CMD] [-o CMD] [-s allow|deny] [-u MAP] [PROG [ARG]...]\n\n"
    "  -e NAME=VALUE  add to PROG's environment, which is these alone then\n"
    "  -g MAP      map these group ids, such as root,sub or 0:100000:65536\n"
    "  -H NAME     name the new UTS namespace\n"
    "  -K          make no user namespace\n"
    "  -n LIST     make these namespaces, such as mnt,pid, or all\n"
    "  -O CMD      run a shell command outside after the end of PROG\n"
    "  -o CMD      run a shell command outside before PROG runs\n"
    "  -p          print the maps, and do nothing\n"
    "  -s WORD     allow PROG to drop groups, or deny that (the default)\n"
    "  -t          give PROG a terminal of its own\n"
    "  -u MAP      map these user ids\n" COMMON_OPTIONS;

struct plan {
  char *given[128]; /* the argument of each option, "" for one without */
  int proc;         /* a checked /proc, or -1 */
  bool is_user;     /* a user namespace is made, and the maps are for it */
  bool waits;       /* PROG is a child, and this process waits for it */
  bool has_terminal;
  struct terminal terminal;
  struct ids users, groups;

  /* What is inside. */
  int namespaces; /* flags of clone(2), without CLONE_NEWUSER */
  bool is_denied; /* setgroups(2) is */
  uid_t uid;      /* PROG's, as it sees them */
  gid_t gid;
  char **environment;
  bool has_session; /* of its own */
  struct caller_signals signals;
};

/* Waits for a child. Returns its status, or -1 if a signal ended it. If it
 * stops, as by Ctrl-Z, so does this process. Children that no one but this
 * process is to know of are made without SIGCHLD, which the caller may ignore:
 * for these there is __WALL. */
static int status_or_exit(pid_t pid) {
  siginfo_t end;

  while (or_exit(waitid(P_PID, pid, &end, WEXITED | WSTOPPED | __WALL),
                 "waitid", "for a child") == 0 &&
         end.si_code == CLD_STOPPED) {
    kill(getpid(), SIGSTOP);
  }
  return end.si_code == CLD_EXITED ? end.si_status : -1;
}

/* ---- Outside: the maps ---- */

/* A user may map the own id alone without help, and the own group alone where
 * setgroups(2) is denied (user_namespaces(7)). */
static bool is_own(const struct ids *ids) {
  return ids->map.length == 1 && ids->map.ranges[0].count == 1 &&
         ids->map.ranges[0].first[OUTSIDE] == ids->id;
}

/* Starts newuidmap(1) or newgidmap(1) for the process PID. They are not looked
 * for in our PATH, which can be anyone's. */
static pid_t start_helper_or_exit(const struct plan *plan,
                                  const struct ids *ids, char *name,
                                  pid_t pid) {
  char text[MAP_SIZE], *rest = text, *word;
  char *argv[3 * MOST_RANGES + 3] = {name};
  char *places[] = {"PATH=/usr/bin:/usr/local/bin:/run/wrappers/bin", NULL};
  struct numbered target = numbered("", pid, "");
  int argc = 2;

  pid_t helper = or_exit(fork_with(0), "clone", name);
  if (helper > 0) {
    return helper;
  }
  argv[1] = target.text;
  print_map(&ids->map, false, text);
  while ((word = strsep(&rest, " \n")) && *word) {
    argv[argc++] = word;
  }
  restore_signals_or_exit(&plan->signals);
  environ = places;
  SHOW(execvp, name, argv);
  refuse_if(errno == ENOENT, name,
            "is not installed: delegated ids need it (package uidmap)");
  fail("exec", name);
}

/* Writes the maps of the process PID, which waits. */
static void write_maps(const struct plan *plan, pid_t pid) {
  const struct ids *both[] = {&plan->users, &plan->groups};
  const char *files[] = {"/uid_map", "/gid_map"};
  char *names[] = {"newuidmap", "newgidmap"}, line[LINE_SIZE];
  struct numbered file = numbered("", pid, "/setgroups");
  pid_t helpers[2] = {0};
  int statuses[2] = {0};

  /* Only before the groups are mapped can setgroups(2) be denied. A file can be
   * closed to a group: to drop that group would be a gain (CVE-2014-8989). */

  if (plan->is_denied) {
    write_file_or_exit(plan->proc, file.text, "deny");
  }
  const char *wanted = plan->is_denied ? "deny" : "allow";
  char *state = proc_line(plan->proc, file.text, "", line);
  refuse_if(!state || strcmp(state, wanted) != 0, file.text,
            plan->is_denied ? "is not deny" : "is not allow here");

  /* The two helpers need 0.6 ms each, so they run side by side. What the kernel
   * has then must be what was meant, whoever wrote it. */

  for (int i = 0; i < 2; i++) {
    if (both[i]->uid == 0 || is_own(both[i])) {
      file = numbered("", pid, files[i]);
      write_map_or_exit(plan->proc, file.text, &both[i]->map);
    } else {
      helpers[i] = start_helper_or_exit(plan, both[i], names[i], pid);
    }
  }
  for (int i = 0; i < 2; i++) {
    statuses[i] = helpers[i] ? status_or_exit(helpers[i]) : 0;
  }
  for (int i = 0; i < 2; i++) {
    refuse_if(statuses[i] != 0, names[i], "failed");
    file = numbered("", pid, files[i]);
    verify_map_or_exit(plan->proc, file.text, &both[i]->map);
  }
}

/* ---- Outside: -o and -O ---- */

/* Runs the shell command of -o or -O, with PID, and STATUS if it is not "", in
 * its environment. */
static bool run_command(const struct plan *plan, const char *command, pid_t pid,
                        const char *status) {
  const char *script = "export PID=\"$1\" ${2:+STATUS=\"$2\"}; eval \"$0\"";
  struct numbered number = numbered("", pid, "");

  pid_t child = or_exit(fork_with(0), "clone", "for a command");
  if (child > 0) {
    return status_or_exit(child) == 0;
  }
  restore_signals_or_exit(&plan->signals);
  execl("/bin/sh", "sh", "-c", script, command, number.text, status, NULL);
  fail("exec", "/bin/sh");
}

/* ---- Inside ---- */

static void bring_up_loopback(void) {
  struct ifreq lo = {.ifr_name = "lo"};
  int fd =
      or_exit(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket", "lo");

  lo.ifr_flags = IFF_UP;
  show_call("ioctl", "SIOCSIFFLAGS lo up", (const char *[]){NULL});
  or_exit_here(ioctl(fd, SIOCSIFFLAGS, &lo), "ioctl", "SIOCSIFFLAGS lo");
  close(fd);
}

/* The ids that PROG has. What the kernel made of them is read back. */
static void take_ids(const struct plan *plan) {
  if (!plan->is_denied && plan->users.uid != 0) {
    or_exit(SHOW(setgroups, 0, NULL), "setgroups", "");
  }
  const struct numbered uid = numbered("", plan->uid, "");
  const struct numbered gid = numbered("", plan->gid, "");

  show_call("setresgid", "gid", (const char *[]){gid.text});
  or_exit(setresgid(plan->gid, plan->gid, plan->gid), "setresgid", gid.text);
  show_call("setresuid", "uid", (const char *[]){uid.text});
  or_exit(setresuid(plan->uid, plan->uid, plan->uid), "setresuid", uid.text);
  refuse_if(geteuid() != plan->uid || getegid() != plan->gid, uid.text,
            "was not taken as user id");
}

/* Enters the namespaces that -o comes before. */
static void enter_last_namespaces(const struct plan *plan) {
  int flags = plan->namespaces;

  /* Since Linux 6.1 exec(2) would enter the time namespace that this process
   * has unshared. Older kernels need setns(2). */

  if (flags & CLONE_NEWTIME) {
    const char *name = "self/ns/time_for_children";
    int fd =
        or_exit(openat(plan->proc, name, O_RDONLY | O_CLOEXEC), "open", name);
    or_exit_here(SHOW(setns, fd, CLONE_NEWTIME), "setns", name);
    close(fd);
  }

  /* The root of a cgroup namespace is the cgroup that this process is in, and
   * -o may have moved it. */

  if (flags & CLONE_NEWCGROUP) {
    or_exit_here(SHOW(unshare, CLONE_NEWCGROUP), "unshare", "CLONE_NEWCGROUP");
  }
}

/* What is made in the new namespaces before PROG runs. */
static void prepare_inside(struct plan *plan) {
  const char *name = plan->given['H'];

  if (plan->is_user) {
    take_ids(plan);
  }
  if (plan->has_terminal) {
    reopen_slave_or_exit(&plan->terminal);
    replace_terminals_or_exit(&plan->terminal);
  }
  if (plan->has_session) {
    begin_session_or_exit(plan->has_terminal ? &plan->terminal : NULL);
  }

  /* What is mounted inside must not be seen outside. What is unmounted outside
   * must go here too, or its device would stay in use: so slave and not private
   * (mount_namespaces(7)). */

  if (plan->namespaces & CLONE_NEWNS) {
    CALL_OR_EXIT("/", mount, NULL, "/", NULL, MS_REC | MS_SLAVE, NULL);
  }
  if (plan->namespaces & CLONE_NEWNET) {
    bring_up_loopback();
  }
  if (name) {
    or_exit(SHOW(sethostname, name, strlen(name)), "sethostname", name);
  }
  if (plan->namespaces & CLONE_NEWPID) {
    leave_keyring_or_exit(plan->proc);
  }
}

/* Waits for one byte on LINK. False at its end: the other process is dead. */
static bool is_told(int link) {
  char word;

  return or_exit(read(link, &word, 1), "read", "from the other process") == 1;
}

static void tell_or_exit(int link) {
  or_exit(send(link, "", 1, MSG_NOSIGNAL) < 0 && errno != EPIPE ? -1 : 0,
          "send", "to the other process");
}

/* The process that becomes PROG. LINK leads to the process outside, or is -1 if
 * there is none. If that is a child, it is OUTSIDE, otherwise 0. */
static _Noreturn void be_inside(struct plan *plan, char **prog, int link,
                                pid_t outside) {
  const char *shell = getenv("SHELL");
  char *words[] = {(char *)(shell && *shell ? shell : "/bin/sh"), NULL};

  /* Before it tells that it is there: a signal that is blocked when it comes,
   * and has no handler in PID 1 later, would be lost. */

  restore_signals_or_exit(&plan->signals);

  /* The clock offsets can be set as long as no process is in the namespace: so
   * -o comes before this process enters (time_namespaces(7)). */

  if (plan->namespaces & CLONE_NEWTIME) {
    or_exit_here(SHOW(unshare, CLONE_NEWTIME), "unshare", "CLONE_NEWTIME");
  }
  if (link >= 0) {
    tell_or_exit(link);
    bool is_done = is_told(link);
    int status = outside ? status_or_exit(outside) : 0;
    refuse_if(status < 0, "the process outside", "was killed");
    if (!is_done || status != 0) {
      _exit(FAILED); /* the process outside has told why */
    }
  }
  enter_last_namespaces(plan);
  prepare_inside(plan);

  /* musl blocks all signals during setgroups(2), setresuid(2) and setresgid(2),
   * and does not look whether they are unblocked again. */

  restore_signals_or_exit(&plan->signals);
  if (plan->waits) {
    die_with_parent_or_exit(link);
  }
  environ = plan->environment;
  execute(*prog ? prog : words);
}

/* ---- Outside: from the first process inside to its end ---- */

/* Closes all but what the waiting process needs. If PROG closes a pipe or
 * unmounts a file system, this process must not have it open. */
static void close_unneeded(const struct plan *plan, int link, int signals) {
  const struct terminal *terminal = &plan->terminal;
  const int needed[] = {plan->proc,       signals,         link,
                        terminal->master, terminal->slave, terminal->in,
                        terminal->out};

  close_others_or_exit(NULL, needed, plan->has_terminal ? 7 : 3);
  for (int fd = 0; fd <= 1 && !plan->given['O']; fd++) {
    if (!plan->has_terminal || (terminal->in != fd && terminal->out != fd)) {
      close(fd);
    }
  }
}

/* login(1), for one, wants the terminal to belong to root. */
static void give_terminal(const struct plan *plan) {
  uint32_t uid = 0, gid = 0;

  translate(&plan->users.map, INSIDE, plan->uid, &uid);
  translate(&plan->groups.map, INSIDE, plan->gid, &gid);
  or_exit(fchown(plan->terminal.slave, uid, gid), "fchown", "the new terminal");
}

/* The process that stays in the caller's namespaces, with their rights. The
 * process INSIDE is at the other end of LINK. */
static _Noreturn void be_outside(struct plan *plan, int link, pid_t inside) {
  const char *before = plan->given['o'], *after = plan->given['O'];
  struct child child = {.pid = inside,
                        .proc = plan->proc,
                        .link = link,
                        .is_init = plan->namespaces & CLONE_NEWPID,
                        .has_session = plan->has_session};
  sigset_t all = all_signals();
  int fd = signalfd_or_exit(&all);
  bool goes_on = is_told(link);

  if (goes_on && plan->is_user) {
    write_maps(plan, inside);
    if (plan->has_terminal) {
      give_terminal(plan);
    }
  }
  const char *done = goes_on ? after : NULL;
  if (goes_on && before && !run_command(plan, before, inside, "")) {
    warn("-o", "the command failed");
    goes_on = false;
  }

  /* If it is not told to go on, the process inside ends with its link. */

  if (plan->waits) {
    close_unneeded(plan, goes_on ? link : -1, fd);
  }
  if (goes_on) {
    tell_or_exit(link);
  }
  if (!plan->waits) {
    _exit(goes_on ? 0 : FAILED);
  }
  siginfo_t end =
      wait_for_child(&child, plan->has_terminal ? &plan->terminal : NULL, fd);

  /* -O undoes what -o did, so it runs after a failed -o too. */

  int status = end.si_status + (end.si_code == CLD_EXITED ? 0 : 128);
  struct numbered text = numbered("", status, "");
  refuse_if(done && !run_command(plan, done, inside, text.text), "-O",
            "the command failed");
  end_as(&end);
}

/* ---- Both processes ---- */

/* Groups of root that the map does not have would still open files inside, and
 * where setgroups(2) is denied they could not be dropped there. A user may not
 * drop any: they stay, for better or worse. GROUPS are those that were dropped,
 * for the process outside. Returns how many, or -1 if none were. */
static int drop_foreign_groups(const struct plan *plan, gid_t groups[65536]) {
  char line[LINE_SIZE];
  uint32_t inside;
  bool is_foreign = false;

  if (!plan->is_user || plan->users.uid != 0) {
    return -1;
  }
  int count = or_exit(getgroups(65536, groups), "getgroups", "");
  for (int i = 0; i < count; i++) {
    is_foreign |= !translate(&plan->groups.map, OUTSIDE, groups[i], &inside);
  }

  /* Where this is denied already, they were there before us. */

  char *state = is_foreign ? proc_line(plan->proc, "self/setgroups", "", line)
                           : strcpy(line, "deny");
  if (state && strcmp(state, "deny") == 0) {
    return -1;
  }
  or_exit(SHOW(setgroups, 0, NULL), "setgroups", "");
  return count;
}

/* Whether the process inside writes its maps itself: its own ids, where it does
 * not get setgroups(2) (user_namespaces(7)). It saves the process outside. */
static bool writes_own_maps(const struct plan *plan) {
  return plan->is_user && plan->is_denied && is_own(&plan->users) &&
         is_own(&plan->groups) && !plan->waits && !plan->given['o'];
}

/* Makes the namespaces, and the second process if one is needed. PID 1 of a
 * namespace has to be a child: the PID of a process does not change, so
 * unshare(2) makes that namespace for children only. Otherwise the child is
 * outside, and PROG takes the place of this process. */
static _Noreturn void make_namespaces(struct plan *plan, char **prog) {
  static gid_t groups[65536];
  int flags = plan->namespaces & ~(CLONE_NEWCGROUP | CLONE_NEWTIME);
  int ends[2] = {-1, -1}, count;
  pid_t self = getpid(), other = 0;
  bool is_inside = true, writes_own = writes_own_maps(plan);

  flags |= plan->is_user ? CLONE_NEWUSER : 0;
  plan->signals = block_signals_or_exit();
  show_pid = plan->waits;
  if (plan->has_terminal) {
    plan->terminal = terminal_or_exit(plan->proc, open_ptmx_or_exit());
  }
  count = drop_foreign_groups(plan, groups);
  if (plan->waits || plan->given['o'] || (plan->is_user && !writes_own)) {
    or_exit(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends),
            "socketpair", "");
    if (plan->waits) {
      show_namespaces("clone", flags);
    }
    other = fork_with(plan->waits ? flags | SIGCHLD : 0);
    or_exit_here(other, "clone", "");
    is_inside = plan->waits ? other == 0 : other != 0;
    close(ends[!is_inside]);
  }
  if (!is_inside) {

    /* The process outside, and so each command of -o and -O, gets root's groups
     * back. */

    if (count >= 0) {
      or_exit(setgroups(count, groups), "setgroups", "");
    }
    be_outside(plan, ends[0], plan->waits ? other : self);
  }
  if (!plan->waits && flags) {
    show_namespaces("unshare", flags);
    or_exit_here(unshare(flags), "unshare", "");
  }
  if (writes_own) {
    write_maps(plan, self);
  }
  be_inside(plan, prog, ends[1], other);
}

/* ---- The plan ---- */

/* The id that PROG has inside: 0 if that is mapped, otherwise the caller's. */
static uint32_t choose_id_or_exit(const struct ids *ids) {
  const char *name = ids->gids ? "group id " : "user id ";
  uint32_t id = 0, outside;

  refuse_if(!translate(&ids->map, INSIDE, 0, &outside) &&
                !translate(&ids->map, OUTSIDE, ids->id, &id),
            numbered(name, ids->id, "").text,
            "is not in the map, and 0 inside is not either");
  return id;
}

static _Noreturn void print_maps_or_exit(const struct plan *plan) {
  char text[2 * MAP_SIZE + 1];

  print_map(&plan->users.map, true, text);
  strcat(text, "\n");
  print_map(&plan->groups.map, true, text + strlen(text));
  print_or_exit(text);
  _exit(0);
}

static void plan_ids_or_exit(struct plan *plan) {
  identify_or_exit(plan->proc, false, &plan->users);
  identify_or_exit(plan->proc, true, &plan->groups);
  make_map_or_exit(plan->given['u'], &plan->users);
  make_map_or_exit(plan->given['g'], &plan->groups);
  if (plan->given['p']) {
    print_maps_or_exit(plan);
  }
  plan->uid = choose_id_or_exit(&plan->users);
  plan->gid = choose_id_or_exit(&plan->groups);
  refuse_if(!plan->is_denied && plan->users.uid != 0 && is_own(&plan->groups),
            "-s allow",
            numbered("needs a line in /etc/subgid, such as ", plan->users.uid,
                     ":100000:65536")
                .text);
}

/* Adds VARIABLE to ENVIRONMENT. As with env(1), the last one of a name counts.
 */
static void add_variable_or_exit(char **environment, char *variable) {
  size_t length = strcspn(variable, "=") + 1;

  usage_error_if(!strchr(variable, '=') || *variable == '=', variable,
                 "is not NAME=VALUE");
  while (*environment && strncmp(*environment, variable, length) != 0) {
    environment++;
  }
  *environment = variable;
}

/* Options that exclude each other; FLAGS are the namespaces of -n. */
static void refuse_contradictions(char **given, int flags, bool all) {
  const char *groups = given['s'], *name = given['H'];

  usage_error_if(groups && strcmp(groups, "deny") && strcmp(groups, "allow"),
                 groups, "is neither allow nor deny");
  usage_error_if(given['K'] && (given['u'] || given['g'] || given['s'] ||
                                given['p'] || !(flags & ~CLONE_NEWUSER)),
                 "-K", "needs -n, and no -g, -p, -s or -u");
  usage_error_if(given['K'] && flags & CLONE_NEWUSER && !all, "-K",
                 "makes no user namespace");
  usage_error_if(name && (!(flags & CLONE_NEWUTS) || strlen(name) > 64), "-H",
                 "needs a new uts namespace and at most 64 bytes");
}

/* What the options ask for that does not depend on ids. */
static void plan_namespaces_or_exit(struct plan *plan) {
  char **given = plan->given;
  bool all = given['n'] && strcmp(given['n'], "all") == 0;
  int flags = given['n'] ? read_namespaces_or_exit(given['n'], plan->proc) : 0;
  bool is_pid = flags & CLONE_NEWPID;

  refuse_contradictions(given, flags, all);
  plan->is_user = !given['K'];
  plan->is_denied =
      plan->is_user && !(given['s'] && strcmp(given['s'], "allow") == 0);
  plan->namespaces = flags & ~CLONE_NEWUSER;
  plan->has_terminal = given['t'];
  plan->waits = is_pid || given['O'] || plan->has_terminal;
  refuse_if(plan->proc < 0 &&
                (plan->is_user || plan->waits || flags & CLONE_NEWTIME),
            "/proc", "is no whole procfs of our PID namespace");

  /* A caller who hands over a terminal hands over the session that it controls.
   * Otherwise kill(0), SIGCONT and /dev/tty must reach nothing outside. If the
   * kernel does not tell what a descriptor is, isatty(3) is false. */

  plan->has_session =
      plan->has_terminal || (is_pid && !isatty(0) && !isatty(1) && !isatty(2));
}

int main(int argc, char **argv) {
  static struct plan plan;
  char *environment[argc + 1];
  int letter;

  begin_or_exit(argc);
  memset(environment, 0, sizeof(environment));
  while ((letter = option_or_exit(argc, argv, "+:e:g:H:hKn:O:o:ps:tu:Vv",
                                  "e")) >= 0) {
    plan.given[letter] = optarg ? optarg : "";
    if (letter == 'e') {
      add_variable_or_exit(environment, optarg);
    }
  }
  plan.environment = plan.given['e'] ? environment : environ;
  plan.proc = open_proc();
  plan_namespaces_or_exit(&plan);
  if (plan.is_user) {
    plan_ids_or_exit(&plan);
  }
  make_namespaces(&plan, argv + optind);
}
