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
    "usage: idmap [-Kptv] [-e NAME=VALUE]... [-g MAP] [-H NAME] [-n LIST]\n"
    "             [-O CMD] [-o CMD] [-s allow|deny] [-u MAP] [PROG "
    "[ARG]...]\n\n"
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
  /* What is inside. */
  int namespaces; /* flags of clone(2), without CLONE_NEWUSER */
  bool is_user;   /* a user namespace is made, and the maps are for it */
  bool is_denied; /* setgroups(2) is */
  uid_t uid;      /* PROG's, as it sees them */
  gid_t gid;
  const char *hostname;
  char **environment;             /* PROG's, if it is not the caller's */
  bool has_terminal, has_session; /* of its own */
  struct terminal terminal;
  bool waits; /* PROG is a child, and this process waits for it */

  /* What is outside. */
  struct ids users, groups;
  const char *before, *after; /* the commands of -o and -O */
  pid_t helper;               /* the process outside, if that does not wait */
  int proc;                   /* a checked /proc */
};

/* ---- Outside: the maps ---- */

/* A user may map the own id alone without help, and the own group alone where
 * setgroups(2) is denied (user_namespaces(7)). */
static bool is_own(const struct ids *ids) {
  return ids->map.length == 1 && ids->map.ranges[0].count == 1 &&
         ids->map.ranges[0].first[OUTSIDE] == ids->id;
}

/* Starts newuidmap(1) or newgidmap(1) for the process PID. They are not looked
 * for in PATH, which can be anyone's. */
static pid_t start_helper_or_exit(const struct plan *plan, bool gids, pid_t pid,
                                  const struct caller_signals *signals) {
  const char *const directories[] = {"/usr/bin", "/usr/local/bin",
                                     "/run/wrappers/bin"};
  const char *name = gids ? "/newgidmap" : "/newuidmap";
  char text[MAP_SIZE], path[64], *rest = text, *word;
  char *argv[3 * MOST_RANGES + 3] = {path};
  struct numbered target = numbered("", pid, "");
  int argc = 2;

  pid_t helper = or_exit(fork(), "fork", name + 1);
  if (helper > 0) {
    return helper;
  }
  argv[1] = target.text;
  print_map(gids ? &plan->groups.map : &plan->users.map, false, text);
  while ((word = strsep(&rest, " \n"))) {
    if (*word) {
      argv[argc++] = word;
    }
  }
  if (signals) {
    restore_signals_or_exit(signals);
  }
  for (int i = 0; i < 3; i++) {
    stpcpy(stpcpy(path, directories[i]), name);
    SHOW(execv, path, argv);
    if (errno != ENOENT) {
      break;
    }
  }
  refuse_if(errno == ENOENT, name + 1,
            "is not installed: delegated ids need it (package uidmap)");
  fail("exec", path);
}

/* Ends the step if that helper refused. It has told why. */
static void wait_for_helper(bool gids, pid_t helper) {
  refuse_if(helper && !succeeds_or_exit(helper),
            gids ? "newgidmap" : "newuidmap", "failed");
}

/* Writes the maps of the process PID, which waits. SIGNALS are the caller's if
 * ours are blocked. */
static void write_maps(const struct plan *plan, pid_t pid,
                       const struct caller_signals *signals) {
  bool is_root = plan->users.uid == 0;
  pid_t uid_helper = 0, gid_helper = 0;
  struct numbered name = numbered("", pid, "/setgroups");
  struct numbered uid_map = numbered("", pid, "/uid_map");
  struct numbered gid_map = numbered("", pid, "/gid_map");
  char line[LINE_SIZE];

  /* Only before the groups are mapped can setgroups(2) be denied. A file can be
   * closed to a group: to drop that group would be a gain (CVE-2014-8989). */

  if (plan->is_denied) {
    write_file_or_exit(plan->proc, name.text, "deny");
  }
  const char *wanted = plan->is_denied ? "deny" : "allow";
  char *state = proc_line(plan->proc, name.text, "", line);
  refuse_if(!state || strcmp(state, wanted) != 0, name.text,
            plan->is_denied ? "is not deny" : "is not allow here");

  /* The two need 0.6 ms each, so they run side by side. */

  if (!is_root && !is_own(&plan->users)) {
    uid_helper = start_helper_or_exit(plan, false, pid, signals);
  }
  if (!is_root && !is_own(&plan->groups)) {
    gid_helper = start_helper_or_exit(plan, true, pid, signals);
  }
  wait_for_helper(false, uid_helper);
  wait_for_helper(true, gid_helper);
  if (!uid_helper) {
    write_map_or_exit(plan->proc, uid_map.text, &plan->users.map);
  }
  if (!gid_helper) {
    write_map_or_exit(plan->proc, gid_map.text, &plan->groups.map);
  }
  verify_map_or_exit(plan->proc, uid_map.text, &plan->users.map);
  verify_map_or_exit(plan->proc, gid_map.text, &plan->groups.map);
}

/* ---- Outside: -o and -O ---- */

/* Runs the shell command of -o or -O, with PID, and STATUS if it is not
 * negative, in its environment. */
static bool run_command(const char *command, pid_t pid, int status,
                        const struct caller_signals *signals) {
  const char *script = "export PID=\"$1\" ${2:+STATUS=\"$2\"}; eval \"$0\"";
  struct numbered first = numbered("", pid, "");
  struct numbered second = numbered("", status < 0 ? 0 : status, "");

  pid_t child = or_exit(fork(), "fork", "for a command");
  if (child > 0) {
    return succeeds_or_exit(child);
  }
  if (signals) {
    restore_signals_or_exit(signals);
  }
  execl("/bin/sh", "sh", "-c", script, command, first.text,
        status < 0 ? "" : second.text, NULL);
  fail("exec", "/bin/sh");
}

/* login(1), for one, wants the terminal to belong to root. */
static void give_terminal(const struct plan *plan) {
  uint32_t uid = 0, gid = 0;

  translate(&plan->users.map, INSIDE, plan->uid, &uid);
  translate(&plan->groups.map, INSIDE, plan->gid, &gid);
  or_exit(fchown(plan->terminal.slave, uid, gid), "fchown", "the new terminal");
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

/* Waits for one byte on LINK. False at its end: the other process is dead. */
static bool is_told(int link) {
  char word;

  return or_exit(read(link, &word, 1), "read", "from the other process") == 1;
}

static void send_word_or_exit(int link) {
  or_exit(send(link, "", 1, MSG_NOSIGNAL) < 0 && errno != EPIPE ? -1 : 0,
          "send", "to the other process");
}

/* The process outside is dead. It has told why, unless it was killed; if it is
 * the HELPER, that is told here. */
static _Noreturn void exit_as_outside(pid_t helper) {
  siginfo_t end = {.si_code = 0};

  if (helper) {
    waitid(P_PID, helper, &end, WEXITED);
  }
  refuse_if(end.si_code == CLD_KILLED, "the process outside", "was killed");
  _exit(FAILED);
}

/* Enters the namespaces that -o comes before. */
static void enter_last_namespaces(const struct plan *plan) {
  int flags = plan->namespaces;

  /* exec enters a time namespace that was unshared only since Linux 6.1. */

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

/* The process that will be PROG, in its new namespaces. LINK leads to the
 * process outside, or is -1 if there is none: then the maps are written. */
static void go_inside(struct plan *plan, int link) {
  int flags = plan->namespaces;

  /* Its clock offsets can be set as long as no process is in it: so -o comes
   * before this process enters (time_namespaces(7)). */

  if (flags & CLONE_NEWTIME) {
    or_exit_here(SHOW(unshare, CLONE_NEWTIME), "unshare", "CLONE_NEWTIME");
  }
  if (link >= 0) {
    send_word_or_exit(link);
    if (!is_told(link)) {
      exit_as_outside(plan->helper);
    }
  }

  enter_last_namespaces(plan);
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

  if (flags & CLONE_NEWNS) {
    CALL_OR_EXIT("/", mount, NULL, "/", NULL, MS_REC | MS_SLAVE, NULL);
  }
  if (flags & CLONE_NEWNET) {
    bring_up_loopback();
  }
  if (plan->hostname) {
    const char *name = plan->hostname;
    or_exit(SHOW(sethostname, name, strlen(name)), "sethostname", name);
  }
  if (flags & CLONE_NEWPID) {
    leave_keyring_or_exit(plan->proc);
  }
}

static _Noreturn void become_prog(const struct plan *plan, char **prog) {
  const char *shell = getenv("SHELL");
  char *words[] = {(char *)(shell && *shell ? shell : "/bin/sh"), NULL};

  if (plan->environment) {
    environ = plan->environment;
  }
  execute(*prog ? prog : words);
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
  if (!is_foreign) {
    return -1;
  }
  if (SHOW(setgroups, 0, NULL) == 0) {
    return count;
  }

  /* Where this is denied already, they were there before us. */

  int error = errno;
  char *state = proc_line(plan->proc, "self/setgroups", "", line);
  errno = error;
  or_exit(state && strcmp(state, "deny") == 0 ? 0 : -1, "setgroups", "");
  return -1;
}

static void link_or_exit(int ends[2]) {
  or_exit(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends),
          "socketpair", "");
}

/* PROG takes the place of this process. */
static _Noreturn void replace(struct plan *plan, char **prog) {
  struct sigaction initial = {.sa_handler = SIG_DFL};
  struct caller_signals signals;
  static gid_t groups[65536];
  pid_t self = getpid();
  int user = plan->is_user ? CLONE_NEWUSER : 0, ends[2] = {-1, -1};
  int flags = user | (plan->namespaces & ~(CLONE_NEWCGROUP | CLONE_NEWTIME));

  /* For the own ids alone the process inside can write the maps itself. */

  bool writes_own = plan->is_user && plan->is_denied && is_own(&plan->users) &&
                    is_own(&plan->groups);
  bool needs_helper = plan->before || (plan->is_user && !writes_own);

  or_exit(sigprocmask(SIG_SETMASK, NULL, &signals.mask), "sigprocmask", "");
  or_exit(sigaction(SIGCHLD, &initial, &signals.child), "sigaction", "SIGCHLD");
  if (needs_helper) {
    link_or_exit(ends);
    plan->helper = or_exit(fork(), "fork", "for the process outside");
    if (plan->helper == 0) {
      close(ends[0]);
      if (!is_told(ends[1])) {
        _exit(FAILED); /* the process inside has told why */
      }
      if (plan->is_user && !writes_own) {
        write_maps(plan, self, NULL);
      }
      refuse_if(plan->before && !run_command(plan->before, self, -1, NULL),
                "-o", "the command failed");
      send_word_or_exit(ends[1]);
      _exit(0);
    }
    close(ends[1]);
  }
  drop_foreign_groups(plan, groups);
  if (flags) {
    show_namespaces("unshare", flags);
    or_exit_here(unshare(flags), "unshare", "");
  }
  if (writes_own) {
    write_maps(plan, self, NULL);
  }
  go_inside(plan, ends[0]);
  if (plan->helper && !succeeds_or_exit(plan->helper)) {
    _exit(FAILED);
  }

  /* musl blocks all signals during fork(2), setgroups(2), setresuid(2) and
   * setresgid(2), and does not look whether they are unblocked again. */

  restore_signals_or_exit(&signals);
  become_prog(plan, prog);
}

/* Closes all but what the waiting process needs. If PROG closes a pipe or
 * unmounts a file system, this process must not have it open. */
static void close_unneeded(const struct plan *plan, int link, int signals) {
  const struct terminal *terminal = &plan->terminal;
  const int needed[] = {plan->proc,       signals,         link,
                        terminal->master, terminal->slave, terminal->in,
                        terminal->out};

  close_others_or_exit(NULL, needed, plan->has_terminal ? 7 : 3);
  for (int fd = 0; fd <= 1 && !plan->after; fd++) {
    if (!plan->has_terminal || (terminal->in != fd && terminal->out != fd)) {
      close(fd);
    }
  }
}

/* Runs -O after the end, which is END, and ends as PROG did. */
static _Noreturn void finish(const struct plan *plan, pid_t pid,
                             const siginfo_t *end,
                             const struct caller_signals *signals) {
  int status = end->si_status + (end->si_code == CLD_EXITED ? 0 : 128);

  refuse_if(plan->after && !run_command(plan->after, pid, status, signals),
            "-O", "the command failed");
  end_as(end);
}

/* Runs -o. If it fails, -O is run all the same: it undoes what -o did. */
static void run_before(const struct plan *plan, pid_t pid,
                       const struct caller_signals *signals) {
  siginfo_t end = {.si_code = CLD_EXITED};

  if (plan->before && !run_command(plan->before, pid, -1, signals)) {
    warn("-o", "the command failed");
    kill(pid, SIGKILL);
    end.si_status = FAILED;
    finish(plan, pid, &end, signals);
  }
}

/* PROG is a child, as PID 1 of a namespace has to be: the PID of a process does
 * not change, so unshare(2) makes that namespace for children only. */
static _Noreturn void wait_outside(struct plan *plan, char **prog) {
  struct caller_signals signals = block_signals_or_exit();
  sigset_t all = all_signals();
  static gid_t groups[65536];
  int user = plan->is_user ? CLONE_NEWUSER : 0, ends[2];
  int flags = user | (plan->namespaces & ~(CLONE_NEWCGROUP | CLONE_NEWTIME));

  link_or_exit(ends);
  if (plan->has_terminal) {
    plan->terminal = terminal_or_exit(plan->proc, open_ptmx_or_exit());
  }
  int count = drop_foreign_groups(plan, groups);
  show_pid = true;
  show_namespaces("clone", flags);
  struct child child = {
      .pid = or_exit_here(fork_with(flags | SIGCHLD), "clone", ""),
      .proc = plan->proc,
      .is_init = plan->namespaces & CLONE_NEWPID,
      .has_session = plan->has_session};
  if (child.pid == 0) {
    close(ends[1]);

    /* Before it tells that it is there: a signal that is blocked when it comes,
     * and has no handler in PID 1 later, would be lost. */

    restore_signals_or_exit(&signals);
    go_inside(plan, ends[0]);
    restore_signals_or_exit(&signals); /* as in replace() */
    die_with_parent_or_exit(ends[0]);
    become_prog(plan, prog);
  }

  /* What runs outside has root's groups again. */

  close(ends[0]);
  if (count >= 0) {
    or_exit(setgroups(count, groups), "setgroups", "");
  }
  int fd = signalfd_or_exit(&all);
  if (!is_told(ends[1])) {
    siginfo_t ended = wait_for_child(&child, fd);
    end_as(&ended);
  }
  if (plan->is_user) {
    write_maps(plan, child.pid, &signals);
    if (plan->has_terminal) {
      give_terminal(plan);
    }
  }

  run_before(plan, child.pid, &signals);
  close_unneeded(plan, ends[1], fd);
  send_word_or_exit(ends[1]);
  siginfo_t end = plan->has_terminal ? relay(&plan->terminal, &child, fd)
                                     : wait_for_child(&child, fd);
  finish(plan, child.pid, &end, &signals);
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

static void plan_ids_or_exit(struct plan *plan, char **given) {
  identify_or_exit(plan->proc, false, &plan->users);
  identify_or_exit(plan->proc, true, &plan->groups);
  make_map_or_exit(given['u'], &plan->users);
  make_map_or_exit(given['g'], &plan->groups);
  if (given['p']) {
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

/* Fills GIVEN with the argument of each option, or what is not NULL for one
 * without; and PLAN with the variables of -e. */
static void read_options_or_exit(int argc, char **argv, char **given,
                                 struct plan *plan) {
  static char *environment[4096], flag[] = "";
  int letter, count = 0;

  while ((letter = option_or_exit(argc, argv, "+:e:g:H:hKn:O:o:ps:tu:Vv",
                                  "e")) >= 0) {
    given[letter] = optarg ? optarg : flag;
    if (letter == 'e') {
      usage_error_if(!strchr(optarg, '=') || *optarg == '=', optarg,
                     "is not NAME=VALUE");
      usage_error_if(count == 4095, "-e", "is given too often");

      /* As with env(1), the last one of a name counts. */

      size_t length = strcspn(optarg, "=") + 1;
      int i = 0;
      while (i < count && strncmp(environment[i], optarg, length) != 0) {
        i++;
      }
      environment[i] = optarg;
      count += i == count;
      plan->environment = environment;
    }
  }
}

/* Whether one of descriptors 0-2 is a terminal for certain. If the kernel does
 * not tell, PROG gets a session of its own, since that keeps more from it. */
static bool has_terminal(void) {
  return isatty(0) || isatty(1) || isatty(2);
}

/* Options that exclude each other; FLAGS are the namespaces of -n. */
static void refuse_contradictions(char **given, int flags, bool all) {
  const char *groups = given['s'] ? given['s'] : "deny", *name = given['H'];

  usage_error_if(strcmp(groups, "deny") && strcmp(groups, "allow"), groups,
                 "is neither allow nor deny");
  usage_error_if(given['K'] && (given['u'] || given['g'] || given['s'] ||
                                given['p'] || !(flags & ~CLONE_NEWUSER)),
                 "-K", "needs -n, and no -g, -p, -s or -u");
  usage_error_if(given['K'] && flags & CLONE_NEWUSER && !all, "-K",
                 "makes no user namespace");
  usage_error_if(name && (!(flags & CLONE_NEWUTS) || strlen(name) > 64), "-H",
                 "needs a new uts namespace and at most 64 bytes");
}

/* What the options ask for that does not depend on ids. */
static void plan_namespaces_or_exit(struct plan *plan, char **given) {
  bool all = given['n'] && strcmp(given['n'], "all") == 0;
  int flags = given['n'] ? read_namespaces_or_exit(given['n'], plan->proc) : 0;
  bool is_pid = flags & CLONE_NEWPID;

  plan->is_user = !given['K'];
  plan->is_denied =
      plan->is_user && !(given['s'] && strcmp(given['s'], "allow") == 0);
  plan->namespaces = flags & ~CLONE_NEWUSER;
  plan->hostname = given['H'];
  plan->before = given['o'];
  plan->after = given['O'];
  plan->has_terminal = given['t'];
  plan->waits = is_pid || plan->after || plan->has_terminal;

  refuse_contradictions(given, flags, all);
  refuse_if(plan->proc < 0 &&
                (plan->is_user || plan->waits || flags & CLONE_NEWTIME),
            "/proc", "is no whole procfs of our PID namespace");

  /* A caller who hands over a terminal hands over the session that it controls.
   * Otherwise kill(0), SIGCONT and /dev/tty must reach nothing outside. */

  plan->has_session = plan->has_terminal || (is_pid && !has_terminal());
}

int main(int argc, char **argv) {
  static struct plan plan;
  char *given[128] = {NULL};

  begin_or_exit(argc);
  read_options_or_exit(argc, argv, given, &plan);
  plan.proc = open_proc();
  plan_namespaces_or_exit(&plan, given);
  if (plan.is_user) {
    plan_ids_or_exit(&plan, given);
  }
  if (plan.waits) {
    wait_outside(&plan, argv + optind);
  }
  replace(&plan, argv + optind);
}
