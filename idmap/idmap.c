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
#include "hints.h"
#include "words.h"
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/vfs.h>

ABOUT("idmap", "[-Kpv] [-g MAP] [-H NAME] [-n LIST] [-O CMD] [-o CMD]\n"
               "             [-s allow|deny] [-u MAP] [PROG [ARG]...]\n");

struct plan {
  int namespaces;         /* CLONE_NEW... of clone(2) */
  bool deny, user, waits; /* setgroups(2) denied; new user ns; PROG a child */
  struct map uids, gids;
  struct caller users, groups;
  unsigned long uid, gid; /* PROG's, inside */
  const char *hostname, *before, *after;
};

static const struct {
  const char *name;
  int flag;
} namespaces[] = {
    {"cgroup", CLONE_NEWCGROUP}, {"ipc", CLONE_NEWIPC}, {"mnt", CLONE_NEWNS},
    {"net", CLONE_NEWNET},       {"pid", CLONE_NEWPID}, {"time", CLONE_NEWTIME},
    {"user", CLONE_NEWUSER},     {"uts", CLONE_NEWUTS},
};

/* The flags of clone(2) for LIST, names as in /proc/PID/ns, or "all". */
static int parse_namespaces(const char *list) {
  int flags = 0;

  for (const char *word = list, *end; word; word = *end ? end + 1 : NULL) {
    size_t length = (end = strchrnul(word, ',')) - word;
    bool all = length == 3 && memcmp(word, "all", 3) == 0, known = all;
    for (size_t i = 0; i < sizeof(namespaces) / sizeof(*namespaces); i++) {
      const char *name = namespaces[i].name;
      if (all || (strlen(name) == length && memcmp(word, name, length) == 0)) {
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
  int proc = CALL(openat, AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

  if (proc < 0) {
    err(FAILED, "open /proc");
  }
  if (CALL(fstatfs, proc, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC) {
    errx(FAILED, "/proc is not a procfs: maps are written there");
  }
  return proc;
}

static void who(struct caller *caller, bool gids, int proc) {
  const char *path = gids ? "self/gid_map" : "self/uid_map";
  int fd = CALL(openat, proc, path, O_RDONLY | O_CLOEXEC);

  if (fd < 0) {
    err(FAILED, "open /proc/%s", path);
  }
  caller->gids = gids;
  caller->uid = CALL(geteuid);
  caller->id = gids ? CALL(getegid) : (long)caller->uid;
  caller->file = gids ? "/etc/subgid" : "/etc/subuid";
  caller->accounts = gids ? "/etc/group" : "/etc/passwd";
  read_map(fd, &caller->parent);
  close_fd(fd);
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

static void write_file(int dir, const char *name, const char *text,
                       size_t length) {
  int fd = CALL(openat, dir, name, O_WRONLY | O_CLOEXEC);

  if (fd < 0) {
    err(FAILED, "open /proc/PID/%s", name);
  }
  if (CALL(write, fd, (void *)text, length) != (long)length) {
    err(FAILED, "write /proc/PID/%s", name);
  }
  close_fd(fd);
}

/* What a user may map without help: one id, his own. root needs none. */
static bool is_direct(const struct map *map, const struct caller *caller) {
  return caller->uid == 0 || (map->length == 1 && map->ranges[0].count == 1 &&
                              map->ranges[0].outside == caller->id);
}

static siginfo_t wait_for_helper(int pid) {
  siginfo_t end;

  if (CALL(waitid, P_PID, pid, &end, WEXITED, NULL) < 0) {
    err(FAILED, "waitid");
  }
  return end;
}

static bool succeeded(const siginfo_t *end) {
  return end->si_code == CLD_EXITED && end->si_status == 0;
}

/* Starts newuidmap(1) or newgidmap(1) for the process PID. The search for them
 * is ours, and not PATH's. */
static int start_helper(const char *program, int pid, const struct map *map,
                        const struct signals *signals) {
  static const char *const dirs[] = {"/usr/bin/", "/usr/local/bin/",
                                     "/run/wrappers/bin/"};
  struct line words = {.length = 0};
  char *argv[3 * MOST_RANGES + 3];
  extern char **environ;
  int argc = 1;

  put_number(&words, pid);
  put_char(&words, '\0');
  for (int i = 0; i < map->length; i++) {
    put_number(&words, map->ranges[i].inside);
    put_char(&words, '\0');
    put_number(&words, map->ranges[i].outside);
    put_char(&words, '\0');
    put_number(&words, map->ranges[i].count);
    put_char(&words, '\0');
  }
  for (char *at = words.text; at < words.text + words.length; argc++) {
    argv[argc] = at;
    at += strlen(at) + 1;
  }
  argv[argc] = NULL;

  long helper = CALL(clone, SIGCHLD, 0, 0, 0, 0);

  if (helper < 0) {
    err(FAILED, "clone");
  }
  if (helper > 0) {
    return helper;
  }
  release_signals(signals);
  for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
    char path[64];
    strcpy(stpcpy(path, dirs[i]), program);
    argv[0] = path;
    CALL(execve, path, &argv[0], &environ[0]);
    if (errno != ENOENT) {
      err(FAILED, "exec %s", path);
    }
  }
  err(FAILED, "exec %s", program);
}

static void finish_helper(const char *program, int pid) {
  siginfo_t end = wait_for_helper(pid);

  if (!succeeded(&end)) {
    warnx("%s failed", program);
    if (CALL(prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) {
      warnx("hint: no_new_privs is set, and %s is setuid", program);
    }
    _exit(FAILED);
  }
}

static void write_map(int dir, const char *name, const struct map *map) {
  struct line text;

  text.length = 0;
  put_map(&text, map, false);
  write_file(dir, name, text.text, text.length);
}

/* What the kernel understood is what was meant, or PROG does not run. */
static void check_map(int dir, const char *name, const struct map *meant) {
  struct map map;
  int fd = CALL(openat, dir, name, O_RDONLY | O_CLOEXEC);

  if (fd < 0) {
    err(FAILED, "open /proc/PID/%s", name);
  }
  read_map(fd, &map);
  close_fd(fd);
  if (!same_map(&map, meant)) {
    errx(FAILED, "/proc/PID/%s is not the map that was written", name);
  }
}

/* Writes the maps of the process PID, whose directory in /proc is DIR. */
static void write_maps(const struct plan *plan, int pid, int dir,
                       const struct signals *signals) {
  bool direct_uids = is_direct(&plan->uids, &plan->users);
  bool direct_gids = is_direct(&plan->gids, &plan->groups);
  int uid_helper = 0, gid_helper = 0;

  /* Only before the groups are mapped can it be denied to drop one, and a group
   * that a file denies its readers is a reason to drop it (CVE-2014-8989). */

  if (plan->deny) {
    write_file(dir, "setgroups", "deny", 4);
  }
  if (!direct_uids) {
    uid_helper = start_helper("newuidmap", pid, &plan->uids, signals);
  }
  if (!direct_gids) {
    gid_helper = start_helper("newgidmap", pid, &plan->gids, signals);
  }
  if (direct_uids) {
    write_map(dir, "uid_map", &plan->uids);
  }
  if (direct_gids) {
    write_map(dir, "gid_map", &plan->gids);
  }
  if (uid_helper) {
    finish_helper("newuidmap", uid_helper);
  }
  if (gid_helper) {
    finish_helper("newgidmap", gid_helper);
  }
  check_map(dir, "uid_map", &plan->uids);
  check_map(dir, "gid_map", &plan->gids);
}

static void put_variable(struct line *line, const char *name, long number) {
  put_string(line, name);
  put_number(line, number);
  put_char(line, '\0');
}

/* Runs the shell command of -o or -O where we are, with PID, and STATUS unless
 * it is negative, in its environment. */
static bool run_command(const char *command, int pid, long status,
                        const struct signals *signals) {
  extern char **environ;
  struct line variables = {.length = 0};
  int count = 0, kept = 0;

  long child = CALL(clone, SIGCHLD, 0, 0, 0, 0);

  if (child < 0) {
    err(FAILED, "clone");
  }
  if (child > 0) {
    siginfo_t end = wait_for_helper(child);
    return succeeded(&end);
  }
  release_signals(signals);
  while (environ[count]) {
    count++;
  }
  char *argv[] = {"sh", "-c", (char *)command, NULL}, *envp[count + 3];
  for (int i = 0; i < count; i++) {
    if (strncmp(environ[i], "PID=", 4) && strncmp(environ[i], "STATUS=", 7)) {
      envp[kept++] = environ[i];
    }
  }
  put_variable(&variables, "PID=", pid);
  envp[kept++] = variables.text;
  if (status >= 0) {
    envp[kept++] = variables.text + variables.length;
    put_variable(&variables, "STATUS=", status);
  }
  envp[kept] = NULL;
  CALL(execve, "/bin/sh", &argv[0], &envp[0]);
  err(FAILED, "exec /bin/sh");
}

/* The side that stays: all that PROG waits for. */
static void outside(const struct plan *plan, int pid, int dir,
                    const struct signals *signals) {
  if (plan->user) {
    write_maps(plan, pid, dir, signals);
  }
  if (plan->before && !run_command(plan->before, pid, -1, signals)) {
    errx(FAILED, "-o: %s: failed", plan->before);
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
    err(FAILED, "ioctl SIOCSIFFLAGS lo");
  }
  close_fd(fd);
}

static void take_ids(const struct plan *plan) {
  unsigned long uid = plan->uid, gid = plan->gid;

  if (!plan->deny && CALL(setgroups, 0, NULL) < 0) {
    err(FAILED, "setgroups");
  }
  if (CALL(setresgid, gid, gid, gid) < 0) {
    err(FAILED, "setresgid %ld", (long)gid);
  }
  if (CALL(setresuid, uid, uid, uid) < 0) {
    err(FAILED, "setresuid %ld", (long)uid);
  }
}

/* The side that goes in, once its maps are written. */
static void inside(const struct plan *plan) {

  /* Its root is the cgroup that we are in now, and -o may have moved us. */

  if (plan->namespaces & CLONE_NEWCGROUP &&
      CALL(unshare, CLONE_NEWCGROUP) < 0) {
    err(FAILED, "unshare CLONE_NEWCGROUP");
  }
  if (plan->user) {
    take_ids(plan);
  }

  /* What is mounted here must not be seen outside. What is mounted outside may
   * come in, so that it can be unmounted there, too: slave, not private. */

  if (plan->namespaces & CLONE_NEWNS &&
      CALL(mount, NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) {
    err(FAILED, "mount --make-rslave /");
  }
  if (plan->namespaces & CLONE_NEWNET) {
    bring_up_loopback();
  }
  if (plan->hostname &&
      CALL(sethostname, plan->hostname, strlen(plan->hostname)) < 0) {
    err(FAILED, "sethostname %s", plan->hostname);
  }

  /* The session keyring is in no namespace: its keys would come along. A
   * kernel without keys has no such call. */

  if (plan->namespaces & CLONE_NEWPID &&
      CALL(keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS) {
    err(FAILED, "keyctl KEYCTL_JOIN_SESSION_KEYRING");
  }
}

/* --- Both ---------------------------------------------------------------- */

/* The directory of PID in PROC, or -1 if that is. */
static int open_child(int proc, int pid) {
  struct line path;

  if (proc < 0) {
    return -1;
  }
  path.length = 0;
  put_number(&path, pid);
  put_char(&path, '\0');
  const char *name = path.text;
  int dir = CALL(openat, proc, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

  if (dir < 0) {
    err(FAILED, "open /proc/%s", name);
  }
  return dir;
}

/* root's own groups are no ids of the map, and yet would open files. What a
 * user is in stays in force, for better or worse: he may not drop it, and
 * neither may the root of a namespace where that is denied. */
static void drop_groups(const struct plan *plan, int proc) {
  char state[5] = "";

  if (!plan->user || plan->users.uid != 0 || CALL(setgroups, 0, NULL) == 0) {
    return;
  }
  int error = errno;
  int fd = CALL(openat, proc, "self/setgroups", O_RDONLY | O_CLOEXEC);
  if (fd < 0 || CALL(read, fd, &state, 4) < 0 || strcmp(state, "deny") != 0) {
    errno = error;
    err(FAILED, "setgroups");
  }
  close_fd(fd);
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

/* PROG takes the place of this process, so who stays outside is a child, made
 * before we go in. A user with one id of his own can do without. */
static void enter(const struct plan *plan, int proc) {
  bool alone = !plan->before &&
               (!plan->user ||
                (plan->users.uid != 0 && is_direct(&plan->uids, &plan->users) &&
                 is_direct(&plan->gids, &plan->groups)));
  struct signals signals;
  int ends[2], self = CALL(getpid);
  long child = 0;

  if (!alone) {
    signals = hold_signals();
    make_pipe(ends);
    child = CALL(clone, SIGCHLD, 0, 0, 0, 0);
    if (child < 0) {
      err(FAILED, "clone");
    }
    if (child == 0) {
      close_fd(ends[1]);
      wait_for_word(ends[0]);
      outside(plan, self, open_child(proc, self), &signals);
      _exit(0);
    }
    close_fd(ends[0]);
  }
  drop_groups(plan, proc);

  int flags = plan->namespaces & ~CLONE_NEWCGROUP;
  if (CALL(unshare, flags) < 0) {
    warn("unshare");
    explain(errno, proc);
    _exit(FAILED);
  }

  if (alone) {
    outside(plan, self, open_child(proc, self), NULL);
  } else {
    CALL(write, ends[1], "", 1);
    siginfo_t end = wait_for_helper(child);
    if (!succeeded(&end)) {
      _exit(FAILED);
    }
    close_fd(ends[1]);
    release_signals(&signals);
  }
  inside(plan);
}

/* PROG is a child, as PID 1 of its namespace has to be. */
static void enter_and_wait(const struct plan *plan, int proc, char **argv) {
  static gid_t groups[65536];
  struct signals signals = hold_signals();
  int flags = (plan->namespaces & ~(CLONE_NEWCGROUP | CLONE_NEWTIME)) | SIGCHLD;
  int ends[2];
  long count = CALL(getgroups, 65536, &groups);

  make_pipe(ends);
  drop_groups(plan, proc);
  struct child child = {.pid = CALL(clone, flags, 0, 0, 0, 0),
                        .is_init = plan->namespaces & CLONE_NEWPID};

  if (child.pid < 0) {
    warn("clone");
    explain(errno, proc);
    _exit(FAILED);
  }
  if (child.pid == 0) {
    close_fd(ends[1]);
    wait_for_word(ends[0]);
    if (plan->namespaces & CLONE_NEWTIME && CALL(unshare, CLONE_NEWTIME) < 0) {
      err(FAILED, "unshare CLONE_NEWTIME");
    }
    inside(plan);
    release_signals(&signals);
    die_with_parent(ends[0]);
    run(argv);
  }

  close_fd(ends[0]);
  if (plan->user && plan->users.uid == 0) {
    CALL(setgroups, count, &groups);
  }
  child.dir = open_child(proc, child.pid);
  outside(plan, child.pid, child.dir, &signals);
  CALL(write, ends[1], "", 1);

  siginfo_t end = wait_for(&child, open_signals());

  if (plan->after) {
    long status = end.si_status + (end.si_code == CLD_EXITED ? 0 : 128);
    if (!run_command(plan->after, child.pid, status, &signals)) {
      errx(FAILED, "-O: %s: failed", plan->after);
    }
  }
  end_as(&end);
}

static void print_maps(const struct plan *plan) {
  struct line text;

  text.length = 0;
  put_map(&text, &plan->uids, true);
  put_char(&text, '\n');
  put_map(&text, &plan->gids, true);
  put_char(&text, '\0');
  print(text.text);
}

int main(int argc, char **argv) {
  char *uids = NULL, *gids = NULL, *value = NULL;
  char *shell[] = {getenv("SHELL"), NULL};
  static struct plan plan;
  bool print_only = false;
  int letter, proc = -1;

  plan.user = plan.deny = true;
  argv = begin(argc, argv);
  while ((letter = option(&argv, "Kg:H:n:O:o:ps:u:", &value))) {
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
      plan.namespaces = parse_namespaces(value);
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
    case 'u':
      uids = value;
    }
  }
  if (!plan.user && (uids || gids || !plan.deny || print_only)) {
    errx(USAGE, "-K makes no maps: it goes without -g, -p, -s and -u");
  }
  if (plan.hostname && !(plan.namespaces & CLONE_NEWUTS)) {
    errx(USAGE, "-H needs a new uts namespace");
  }

  plan.waits = plan.namespaces & CLONE_NEWPID || plan.after;
  if (plan.user || plan.waits) {
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
  } else {
    plan.namespaces &= ~CLONE_NEWUSER;
  }

  if (!*argv) {
    argv = shell;
    *argv = *argv ? *argv : "/bin/sh";
  }
  if (plan.waits) {
    enter_and_wait(&plan, proc, argv);
  }
  enter(&plan, proc);
  run(argv);
}
