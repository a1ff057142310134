/* idmap: enter new namespaces, as somebody.
 *
 * A process in a new user namespace has all rights in it and no identity: until
 * its maps are written every id is 65534, and they can be written only once,
 * from outside, by somebody with the right to each id in them. So there are two
 * sides here: one goes in, the other stays outside, writes the maps and lets it
 * go on. With a new PID namespace, PROG has to be a child, and the outside side
 * waits for it.
 *
 * It refuses a map that the kernel would read as another, and runs PROG only as
 * an id that it maps.
 */

#include "../nsjoin/wait.h"
#include "first/descriptors.h"
#include "hints.h"
#include "terminal.h"
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>

ABOUT("idmap", "[-Kptv] [-g MAP] [-H NAME] [-n LIST] [-O CMD] [-o CMD]\n"
               "             [-s allow|deny] [-u MAP] [PROG [ARG]...]\n");

struct plan {
  int namespaces;         /* CLONE_NEW... of clone(2) */
  bool deny, user, waits; /* setgroups(2) denied; new user ns; PROG a child */
  bool has_terminal;      /* PROG gets a new one */
  bool leads;             /* PROG leads a session of its own */
  struct map uids, gids;
  struct caller users, groups;
  unsigned long uid, gid; /* PROG's, inside */
  const char *hostname, *before, *after;
  struct terminal terminal;
};

/* The flags of clone(2) for LIST, names as in /proc/PID/ns, or "all". */
static int parse_namespaces(const char *list) {
  int flags = 0;

  for (const char *word = list, *end; word; word = *end ? end + 1 : NULL) {
    size_t length = (end = strchrnul(word, ',')) - word;
    bool all = is_word(word, length, "all"), known = all;
    for (size_t i = 0; i < sizeof(namespaces) / sizeof(*namespaces); i++) {
      if (all || is_word(word, length, namespaces[i].name)) {
        flags |= namespaces[i].flag;
        known = true;
      }
    }
    if (!known) {
      errx(USAGE,
           "%s: namespaces are cgroup, ipc, mnt, net, pid, time, user "
           "and uts, or all",
           list);
    }
  }
  return flags;
}

static int open_proc(void) {
  struct statfs fs;
  int proc = open_in(AT_FDCWD, "/proc");

  if (CALL(fstatfs, proc, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC) {
    errx(FAILED, "/proc is not a procfs: maps are written there");
  }
  return proc;
}

/* Who we are, and what our user namespace maps. begin() saw to it that real and
 * effective ids are the same, and those the kernel told us at the start. */
static void who(struct caller *caller, bool gids, int proc) {
  caller->gids = gids;
  caller->uid = getauxval(AT_EUID);
  caller->id = gids ? getauxval(AT_EGID) : caller->uid;
  caller->file = gids ? "/etc/subgid" : "/etc/subuid";
  caller->accounts = gids ? "/etc/group" : "/etc/passwd";
  read_map(open_in(proc, gids ? "self/gid_map" : "self/uid_map"),
           &caller->parent);

  /* What is shown for an id without a number here is somebody else's. */

  if (!has_inside(&caller->parent, caller->id)) {
    errx(FAILED, "our own %s id is not mapped here", gids ? "group" : "user");
  }
}

/* The id that PROG gets: 0 if there is one, otherwise its caller's. */
static unsigned long choose_id(const struct map *map,
                               const struct caller *caller) {
  long inside = has_inside(map, 0) ? 0 : inside_of(map, caller->id);

  if (inside < 0) {
    errx(FAILED, "the map has neither 0 inside nor the caller's %ld",
         (long)caller->id);
  }
  return inside;
}

/* --- Outside ------------------------------------------------------------- */

/* After a call that a policy may refuse to a user, though he has all rights in
 * the namespace. */
_Noreturn static void fail(const char *call) {
  warn("%s", call);
  if (getauxval(AT_EUID) != 0) {
    explain_policy(errno);
  }
  _exit(FAILED);
}

/* Writes TEXT to the file NAME of the process whose directory in /proc is DIR.
 * Returns the file, to be read, or -1. */
static int write_file(int dir, const char *name, const char *text) {
  int fd = CALL(openat, dir, name, O_RDWR | O_CLOEXEC);

  if (fd < 0 || CALL(write, fd, text, strlen(text)) < 0) {
    warn("write /proc/PID/%s", name);
    return -1;
  }
  return fd;
}

/* What a user may map without help: his own id alone, and his own group alone
 * where it may not be dropped. */
static bool is_own(const struct map *map, const struct caller *caller) {
  return map->length == 1 && map->ranges[0].count == 1 &&
         map->ranges[0].outside == caller->id;
}

static int make_child(void) {
  int child = CALL(clone, SIGCHLD, 0, 0, 0, 0);

  if (child < 0) {
    err(FAILED, "clone");
  }
  return child;
}

/* With signals HELD, Ctrl-Z stops it and not us, which the shell waits for. */
static bool has_ended_well(int pid, bool held) {
  int states = held ? WEXITED | WSTOPPED : WEXITED;
  siginfo_t end;

  while (CALL(waitid, P_PID, pid, &end, states, NULL) == 0) {
    if (end.si_code != CLD_STOPPED) {
      return end.si_code == CLD_EXITED && end.si_status == 0;
    }
    long self = CALL(getpid);
    CALL(kill, self, SIGSTOP);
  }
  err(FAILED, "waitid");
}

/* Where newuidmap(1) and newgidmap(1) are looked for: not on PATH, which may be
 * anybody's. */
static const char helpers[][2][28] = {
    {"/usr/bin/newuidmap", "/usr/bin/newgidmap"},
    {"/usr/local/bin/newuidmap", "/usr/local/bin/newgidmap"},
    {"/run/wrappers/bin/newuidmap", "/run/wrappers/bin/newgidmap"},
};

/* Starts newuidmap(1) or newgidmap(1) for PID, the number in /proc of a child
 * of ours that we have not waited for: so nobody else has its number, whatever
 * becomes of it. SIGNALS is NULL where none are held. */
static int start_helper(bool gids, int pid, const struct map *map,
                        const struct signals *signals) {
  static char *argv[3 * MOST_RANGES + 3];
  struct line words;
  extern char **environ;
  int argc = 1;

  int helper = make_child();
  if (helper > 0) {
    return helper;
  }
  words.length = 0;
  put_number(&words, pid);
  put_char(&words, ' ');
  put_map(&words, map, false);
  put_char(&words, '\0');
  for (char *at = words.text; *at; at++) {
    argv[argc++] = at;
    while (*at > ' ') {
      at++;
    }
    *at = '\0';
  }
  if (signals) {
    release_signals(signals);
  }
  for (int i = 0; i < 3; i++) {
    const char *path = argv[0] = (char *)helpers[i][gids];
    CALL(execve, path, &argv[0], &environ[0]);
    if (errno != ENOENT) {
      break;
    }
  }
  err(FAILED, "exec %s", helpers[0][gids]);
}

/* Ends the step if the helper PID refused. It has said why, but not if it is
 * not what it should be. */
static void finish_helper(bool gids, int pid, bool held) {
  if (pid && !has_ended_well(pid, held)) {
    warnx("%s failed", helpers[0][gids] + 9);
    for (int i = 0; i < 3 && !explain_helper(helpers[i][gids]); i++) {
    }
    _exit(FAILED);
  }
}

/* Writes a map, unless a helper has. What the kernel understood has to be what
 * was meant, or PROG does not run. */
static void finish_map(int dir, const char *name, const struct map *meant,
                       bool helped, bool gids) {
  struct line text;
  struct map map;
  int fd;

  if (helped) {
    fd = open_in(dir, name);
  } else {
    text.length = 0;
    put_map(&text, meant, false);
    put_char(&text, '\0');
    if ((fd = write_file(dir, name, text.text)) < 0) {
      explain_map(errno, meant, gids);
      _exit(FAILED);
    }
  }
  read_map(fd, &map);
  if (!same_map(&map, meant)) {
    errx(FAILED, "/proc/PID/%s is not the map that was written", name);
  }
}

/* Writes the maps of the process PID, whose directory in /proc is DIR. */
static void write_maps(const struct plan *plan, int pid, int dir,
                       const struct signals *signals) {
  int uid_helper = 0, gid_helper = 0;

  /* Only before the groups are mapped can it be denied to drop one, and a group
   * that a file denies its readers is a reason to drop it (CVE-2014-8989). */

  if (plan->deny && write_file(dir, "setgroups", "deny") < 0) {
    _exit(FAILED);
  }
  if (plan->users.uid != 0 && !is_own(&plan->uids, &plan->users)) {
    uid_helper = start_helper(false, pid, &plan->uids, signals);
  }
  if (plan->users.uid != 0 && !is_own(&plan->gids, &plan->groups)) {
    gid_helper = start_helper(true, pid, &plan->gids, signals);
  }
  finish_helper(false, uid_helper, signals);
  finish_helper(true, gid_helper, signals);
  finish_map(dir, "uid_map", &plan->uids, uid_helper, false);
  finish_map(dir, "gid_map", &plan->gids, gid_helper, true);
}

/* Runs the shell command of -o or -O where we are, with PID, and STATUS unless
 * it is negative, in its environment. */
static bool run_command(const char *command, int pid, long status,
                        const struct signals *signals) {
  static const char script[] =
      "export PID=\"$1\" ${2:+STATUS=\"$2\"}; eval \"$0\"";
  extern char **environ;
  struct line first = {.length = 0}, second = {.length = 0};

  int child = make_child();
  if (child > 0) {
    return has_ended_well(child, signals);
  }
  if (signals) {
    release_signals(signals);
  }
  put_number(&first, pid);
  put_char(&first, '\0');
  if (status >= 0) {
    put_number(&second, status);
  }
  put_char(&second, '\0');
  char *argv[] = {
      "sh",        "-c", (char *)script, (char *)command, first.text,
      second.text, NULL};
  CALL(execve, "/bin/sh", &argv[0], &environ[0]);
  err(FAILED, "exec /bin/sh");
}

static void run_before(const struct plan *plan, int pid,
                       const struct signals *signals) {
  if (plan->before && !run_command(plan->before, pid, -1, signals)) {
    errx(FAILED, "the command of -o failed");
  }
}

/* --- Inside -------------------------------------------------------------- */

static void bring_up_loopback(void) {
  struct ifreq lo = {.ifr_name = "lo"};
  int fd = CALL(socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

  if (fd < 0) {
    err(FAILED, "socket");
  }
  lo.ifr_flags = IFF_UP;
  if (CALL(ioctl, fd, SIOCSIFFLAGS, &lo) < 0) {
    fail("ioctl SIOCSIFFLAGS lo");
  }
}

static void take_ids(const struct plan *plan) {
  unsigned long uid = plan->uid, gid = plan->gid;

  if (!plan->deny && plan->users.uid != 0 && CALL(setgroups, 0, NULL) < 0) {
    err(FAILED, "setgroups");
  }
  if (CALL(setresgid, gid, gid, gid) < 0) {
    err(FAILED, "setresgid %ld", (long)gid);
  }
  if (CALL(setresuid, uid, uid, uid) < 0) {
    err(FAILED, "setresuid %ld", (long)uid);
  }
}

/* A new time namespace is for children. Before Linux 6.1 exec does not enter
 * it, so we do. */
static void enter_time(int proc) {
  int fd = open_in(proc, "self/ns/time_for_children");

  if (CALL(setns, fd, CLONE_NEWTIME) < 0) {
    err(FAILED, "setns CLONE_NEWTIME");
  }
}

/* The side that goes in, once its maps are written. */
static void inside(struct plan *plan, int proc) {

  /* Its root is the cgroup that we are in now, and -o may have moved us. */

  if (plan->namespaces & CLONE_NEWCGROUP &&
      CALL(unshare, CLONE_NEWCGROUP) < 0) {
    fail("unshare CLONE_NEWCGROUP");
  }
  if (plan->namespaces & CLONE_NEWTIME) {
    enter_time(proc);
  }
  if (plan->user) {
    take_ids(plan);
  }
  if (plan->has_terminal) {
    reopen_slave(&plan->terminal);
    use_terminal(&plan->terminal);
    lead_session(&plan->terminal);
  } else if (plan->leads && CALL(setsid) < 0) {
    err(FAILED, "setsid");
  }

  /* What is mounted here must not be seen outside. What is mounted outside may
   * come in, so that it can be unmounted there, too: slave, not private. */

  if (plan->namespaces & CLONE_NEWNS &&
      CALL(mount, NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) {
    fail("mount --make-rslave /");
  }
  if (plan->namespaces & CLONE_NEWNET) {
    bring_up_loopback();
  }
  if (plan->hostname &&
      CALL(sethostname, plan->hostname, strlen(plan->hostname)) < 0) {
    err(FAILED, "sethostname %s", plan->hostname);
  }

  /* The session keyring is in no namespace: its keys would come along. A
   * kernel without keys has no /proc/keys; a filter may say ENOSYS as well. */

  if (plan->namespaces & CLONE_NEWPID &&
      CALL(keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 &&
      (errno != ENOSYS || CALL(faccessat, proc, "keys", F_OK) == 0 ||
       errno != ENOENT)) {
    err(FAILED, "keyctl KEYCTL_JOIN_SESSION_KEYRING");
  }
}

/* --- Both ---------------------------------------------------------------- */

/* The number in PROC of a child with PIDFD. If /proc is that of a PID namespace
 * above ours, it is not the one that clone(2) returned, which may be anybody's
 * there. */
static int number_of(int proc, int pidfd) {
  struct line path;
  char text[512];
  unsigned long pid;

  path.length = 0;
  put_string(&path, "self/fdinfo/");
  put_number(&path, pidfd);
  put_char(&path, '\0');
  long n = CALL(read, open_in(proc, path.text), &text, sizeof(text) - 1);
  text[n < 0 ? 0 : n] = '\0';
  const char *found = find_line(text, "Pid:\t");
  if (!found || !digits(found, INT_MAX, &pid) || pid == 0) {
    errx(FAILED, "our child is not in /proc");
  }
  return pid;
}

static int open_number(int proc, int pid) {
  struct line path;

  path.length = 0;
  put_number(&path, pid);
  put_char(&path, '\0');
  return open_in(proc, path.text);
}

static gid_t root_groups[65536]; /* root's own, in case that they are dropped */
static long group_count;

/* Those of root's groups that are no ids of the map would open files all the
 * same. What a user is in stays in force, for better or worse: he may not drop
 * it, and neither may the root of a namespace where that is denied. */
static void drop_groups(const struct plan *plan, int proc) {
  char state[5] = "";

  if (!plan->user || plan->users.uid != 0) {
    return;
  }
  group_count = CALL(getgroups, 65536, &root_groups);
  bool foreign = group_count < 0;
  for (long i = 0; i < group_count; i++) {
    foreign |= inside_of(&plan->gids, root_groups[i]) < 0;
  }
  if (!foreign || CALL(setgroups, 0, NULL) == 0) {
    return;
  }
  int error = errno;
  int fd = open_in(proc, "self/setgroups");
  if (CALL(read, fd, &state, 4) < 0 || strcmp(state, "deny") != 0) {
    errno = error;
    err(FAILED, "setgroups");
  }
}

static void make_pipe(int ends[2]) {
  if (CALL(pipe2, &ends[0], O_CLOEXEC) < 0) {
    err(FAILED, "pipe2");
  }
}

/* Goes on when the other side says so; does not if that is dead. */
static void wait_for_word(int pipe) {
  char word;

  if (CALL(read, pipe, &word, 1) != 1) {
    _exit(FAILED);
  }
}

_Noreturn static void fail_namespaces(const char *call, int flags) {
  warn("%s", call);
  explain_namespaces(errno, flags);
  _exit(FAILED);
}

/* A namespace of which we are to be part, and still the ones outside who may
 * write its maps: so a child makes it, and we join when they are written. */
static void join_mapped(const struct plan *plan, int proc) {
  int ends[2], pidfd;

  make_pipe(ends);
  long child =
      CALL(clone, CLONE_NEWUSER | CLONE_PIDFD | SIGCHLD, 0, &pidfd, 0, 0);

  if (child < 0) {
    fail_namespaces("clone", CLONE_NEWUSER);
  }
  if (child == 0) {
    close_fd(ends[1]);
    wait_for_word(ends[0]);
  }

  int pid = number_of(proc, pidfd), dir = open_number(proc, pid);
  write_maps(plan, pid, dir, NULL);

  int fd = open_in(dir, "ns/user");

  if (CALL(setns, fd, CLONE_NEWUSER) < 0) {
    err(FAILED, "setns CLONE_NEWUSER");
  }

  /* It must not be among PROG's children. */

  close_fd(ends[1]);
  has_ended_well(child, false);
}

/* Makes the process that runs -o when it gets a word, where we are now. */
static int prepare_before(const struct plan *plan, int ends[2]) {
  long self = CALL(getpid);

  make_pipe(ends);
  int child = make_child();
  if (child == 0) {
    close_fd(ends[1]);
    wait_for_word(ends[0]);
    run_before(plan, self, NULL);
    _exit(0);
  }
  return child;
}

/* PROG takes the place of this process. */
static void enter(struct plan *plan, int proc) {
  int flags = plan->namespaces & ~CLONE_NEWCGROUP, ends[2], before = 0;
  bool own = plan->user && plan->deny && is_own(&plan->uids, &plan->users) &&
             is_own(&plan->gids, &plan->groups);
  struct action inherited;
  bool children = plan->before || (plan->user && !own);

  if (children) {
    inherited = take_sigchld();
  }
  if (plan->before) {
    before = prepare_before(plan, ends);
  }
  drop_groups(plan, proc);
  if (plan->user && !own) {
    join_mapped(plan, proc);
    flags &= ~CLONE_NEWUSER;
  }
  if (flags && CALL(unshare, flags) < 0) {
    fail_namespaces("unshare", plan->namespaces);
  }
  if (own) {
    write_maps(plan, 0, open_in(proc, "self"), NULL);
  }
  if (before &&
      (CALL(write, ends[1], "", 1) != 1 || !has_ended_well(before, false))) {
    _exit(FAILED);
  }
  if (children && inherited.handler &&
      CALL(rt_sigaction, SIGCHLD, &inherited, NULL, SET_SIZE) < 0) {
    err(FAILED, "rt_sigaction SIGCHLD");
  }
  inside(plan, proc);
}

/* Closes all that the waiting process does not need: what PROG closes, a pipe
 * or a file system that it unmounts, must not be held by us. */
static void let_go(const struct plan *plan, const struct child *child,
                   int signals) {
  const struct terminal *terminal = &plan->terminal;
  const int needed[] = {child->dir,       child->alive,    signals,
                        terminal->master, terminal->slave, terminal->in,
                        terminal->out};
  int count = plan->has_terminal ? 7 : 3;
  struct line keep;

  for (int fd = 0; fd <= 1 && !plan->after; fd++) {
    if (!plan->has_terminal || (terminal->in != fd && terminal->out != fd)) {
      close_fd(fd);
    }
  }
  keep.length = 0;
  for (int i = 0; i < count; i++) {
    if (needed[i] > 2) {
      put_string(&keep, keep.length ? "," : "");
      put_number(&keep, needed[i]);
    }
  }
  put_char(&keep, '\0');
  close_others(keep.text);
}

/* login(1), for one, wants the terminal to be root's; and nobody inside can
 * give away what belongs to an id that is not mapped. */
static void give_terminal(const struct plan *plan) {
  long uid = outside_of(&plan->uids, plan->uid);
  long gid = outside_of(&plan->gids, plan->gid);

  if (CALL(fchown, plan->terminal.slave, uid, gid) < 0) {
    err(FAILED, "fchown of the terminal to %ld:%ld", uid, gid);
  }
}

/* PROG is a child, as PID 1 of its namespace has to be. */
static void enter_and_wait(struct plan *plan, int proc, char **argv) {
  struct signals signals = hold_signals();
  int flags = (plan->namespaces & ~(CLONE_NEWCGROUP | CLONE_NEWTIME)) |
              CLONE_PIDFD | SIGCHLD;
  int ends[2], pidfd;

  make_pipe(ends);
  if (plan->has_terminal) {
    open_terminal(&plan->terminal, open_ptmx(), proc);
  }
  drop_groups(plan, proc);
  struct child child = {.pid = CALL(clone, flags, 0, &pidfd, 0, 0),
                        .alive = ends[1],
                        .is_init = plan->namespaces & CLONE_NEWPID,
                        .leads = plan->leads};

  if (child.pid < 0) {
    fail_namespaces("clone", flags);
  }
  if (child.pid == 0) {
    close_fd(ends[1]);
    wait_for_word(ends[0]);
    if (plan->namespaces & CLONE_NEWTIME && CALL(unshare, CLONE_NEWTIME) < 0) {
      fail_namespaces("unshare", CLONE_NEWTIME);
    }
    inside(plan, proc);
    release_signals(&signals);
    die_with_parent(ends[0]);
    run(argv);
  }

  /* What runs outside has root's groups again, as far as it may. */

  close_fd(ends[0]);
  if (plan->user && plan->users.uid == 0) {
    CALL(setgroups, group_count, &root_groups);
  }
  int pid = number_of(proc, pidfd);
  child.dir = open_number(proc, pid);
  if (plan->user) {
    write_maps(plan, pid, child.dir, &signals);
    if (plan->has_terminal) {
      give_terminal(plan);
    }
  }
  run_before(plan, child.pid, &signals);

  /* Nothing that can fail may come after PROG is let go. If it is dead already,
   * it has said why. */

  int fd = open_signals();
  let_go(plan, &child, fd);
  if (CALL(write, ends[1], "", 1) != 1 && errno != EPIPE) {
    err(FAILED, "write to the child");
  }
  siginfo_t end = plan->has_terminal ? relay(&plan->terminal, &child, fd)
                                     : wait_for(&child, fd);

  if (plan->after) {
    long status = end.si_status + (end.si_code == CLD_EXITED ? 0 : 128);
    if (!run_command(plan->after, child.pid, status, &signals)) {
      errx(FAILED, "the command of -O failed");
    }
  }
  end_as(&end);
}

static _Noreturn void print_maps(const struct plan *plan) {
  struct line text;

  for (int gids = 0;; gids++) {
    text.length = 0;
    put_map(&text, gids ? &plan->gids : &plan->uids, true);
    put_char(&text, gids ? '\0' : '\n');
    if (gids) {
      print(text.text);
    }
    syscall(SYS_write, 1, text.text, text.length);
  }
}

int main(int argc, char **argv) {
  char *uids = NULL, *gids = NULL, *list = NULL, *value = NULL;
  char *shell[] = {getenv("SHELL"), NULL};
  static struct plan plan;
  bool print_only = false;
  int letter, proc = -1;

  plan.user = plan.deny = true;
  argv = begin(argc, argv);
  while ((letter = option(&argv, "Kg:H:n:O:o:pts:u:", &value))) {
    switch (letter) {
    case 'K':
      plan.user = false;
      break;
    case 'g':
      gids = value;
      break;
    case 'H':
      plan.hostname = value;
      break;
    case 'n':
      list = value;
      break;
    case 'O':
      plan.after = value;
      break;
    case 'o':
      plan.before = value;
      break;
    case 'p':
      print_only = true;
      break;
    case 's':
      plan.deny = strcmp(value, "deny") == 0;
      if (!plan.deny && strcmp(value, "allow") != 0) {
        errx(USAGE, "-s is allow or deny, not %s", value);
      }
      break;
    case 't':
      plan.has_terminal = true;
      break;
    case 'u':
      uids = value;
    }
  }
  plan.namespaces = list ? parse_namespaces(list) : 0;
  if (!plan.user && plan.namespaces == parse_namespaces("all")) {
    plan.namespaces &= ~CLONE_NEWUSER;
  }
  if (!plan.user && (uids || gids || !plan.deny || print_only ||
                     !plan.namespaces || plan.namespaces & CLONE_NEWUSER)) {
    errx(USAGE, "-K needs -n without user, and no -g, -p, -s or -u");
  }
  if (plan.hostname &&
      (!(plan.namespaces & CLONE_NEWUTS) || strlen(plan.hostname) > 64)) {
    errx(USAGE, "-H needs a new uts namespace and a name of at most 64 bytes");
  }

  plan.waits =
      plan.namespaces & CLONE_NEWPID || plan.after || plan.has_terminal;

  /* Who hands over a terminal hands over what it controls, the session and the
   * process group. Otherwise kill(0), SIGCONT and /dev/tty must not reach
   * anything of the caller's from inside. */

  plan.leads = plan.has_terminal ||
               (plan.namespaces & CLONE_NEWPID && !is_any_terminal());
  if (plan.user || plan.waits || plan.namespaces & CLONE_NEWTIME) {
    proc = open_proc();
  }
  if (plan.user) {
    plan.namespaces |= CLONE_NEWUSER;
    who(&plan.users, false, proc);
    who(&plan.groups, true, proc);
    make_map(uids, &plan.users, &plan.uids);
    make_map(gids, &plan.groups, &plan.gids);
    if (print_only) {
      print_maps(&plan);
    }
    plan.uid = choose_id(&plan.uids, &plan.users);
    plan.gid = choose_id(&plan.gids, &plan.groups);
    if (!plan.deny && plan.users.uid != 0 && is_own(&plan.gids, &plan.groups)) {
      errx(FAILED, "-s allow needs a delegated group, not one's own alone");
    }
  }

  if (!*argv) {
    argv = shell;
    *argv = *argv && **argv ? *argv : "/bin/sh";
  }
  if (plan.waits) {
    enter_and_wait(&plan, proc, argv);
  }
  enter(&plan, proc);
  run(argv);
}
