/* nsjoin: enter the namespaces of a process, and run a program there.
 *
 * setns(2) changes namespaces and nothing else. Descriptors, environment, keys,
 * groups and signals stay the caller's; so does the file of this program, which
 * a process of the container reaches through /proc. Before it enters a
 * container that is not trusted, all of this has to be left outside.
 *
 * It refuses a join of which a part could be another process', and to enter if
 * its file could be overwritten, or if PROG would have more rights than root of
 * the mount namespace. The process that the caller started never enters.
 */

#include "../idmap/namespaces.h"
#include "../idmap/terminal.h"
#include "confinement.h"
#include "leave.h"
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

const char tool[] = "nsjoin";
const char usage[] =
    "usage: nsjoin [-Eetvx] [-a LIST] [-g GID] [-k LIST] [-n LIST] [-u UID] "
    "TARGET [PROG [ARG]...]\n\n"
    "  -a LIST     take on TARGET's limits: cgroup, label, caps or all\n"
    "  -E          keep the caller's environment\n"
    "  -e          take the environment of TARGET\n"
    "  -g GID      run PROG with this group id\n"
    "  -k LIST     keep these descriptors open for PROG, such as 3,5-7\n"
    "  -n LIST     join only these namespaces, such as user,mnt\n"
    "  -t          give PROG a terminal of TARGET's /dev/pts\n"
    "  -u UID      run PROG with this user id\n"
    "  -x          enter although nsjoin is no sealed copy\n" COMMON_OPTIONS;

struct entry {
  char *given['z']; /* the argument of each option, or NULL */
  int confinement;  /* of -a */
  int namespaces;   /* of -n, or 0 */

  int proc; /* a checked /proc, or -1 */
  struct target target;
  bool is_careful;           /* what is joined is a container */
  struct terminal *terminal; /* of -t, or NULL */

  int link;    /* between the process outside and the one that goes inside */
  pid_t *prog; /* PROG's PID once it exists, which both see */
};

/* ---- Find the target ---- */

static void read_options_or_exit(int argc, char **argv, struct entry *entry) {
  static char none[1];
  char **given = entry->given;
  uint64_t id;
  int letter;

  while ((letter = option_or_exit(argc, argv, "+:a:Eeg:hk:n:tu:Vvx", "")) >=
         0) {
    given[letter] = optarg ? optarg : none;
    usage_error_if((letter == 'u' || letter == 'g') &&
                       !read_number(optarg, UINT32_MAX - 1, &id),
                   optarg, "is no id");
  }
  entry->confinement = read_confinement_or_exit(given['a']);
  entry->namespaces = read_namespaces_or_exit(given['n'], -1);
  usage_error_if(given['E'] && given['e'], "-e", "goes without -E");
  usage_error_if(!argv[optind], "TARGET", "is missing");
}

static void find_target(struct entry *entry, const char *word) {
  struct target *target = &entry->target;

  entry->proc = open_proc();
  *target = target_or_exit(entry->proc, word);
  if (target->pid) {
    compare_namespaces_or_exit(entry->proc, target, entry->namespaces);
  }
  refuse_if(!target->pid &&
                (entry->confinement || entry->namespaces || entry->given['e']),
            word, "is no process, which -a, -e and -n need");

  /* In these, processes of the container meet PROG, or PROG meets its files. */

  entry->is_careful =
      target->flags & (CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID);
  usage_error_if(entry->given['k'] && !entry->is_careful, "-k",
                 "needs a mount, user or PID namespace: others close nothing");
}

/* ---- Look at it ---- */

/* A process inside can open /proc/PID/exe of one that enters, and write to it
 * when that has ended (CVE-2019-5736). Only the seals tell that it cannot: argv
 * and the environment tell what anyone wrote there. */
static void refuse_unsealed(int proc) {
  int seals =
      fcntl(openat(proc, "self/exe", O_RDONLY | O_CLOEXEC), F_GET_SEALS);

  refuse_if(seals < 0 || (seals & SEALS) != SEALS, "this program",
            "could be overwritten from inside: use seal nsjoin, or -x");
}

/* The terminal is of the devpts where PROG will look for its name. */
static void make_terminal(struct entry *entry) {
  static struct terminal terminal;
  struct stat owner;

  refuse_if(entry->target.root < 0, "-t",
            "needs the root of a process, for its /dev/pts");
  int master = open_ptmx_below_or_exit(entry->proc, entry->target.root, &owner);
  terminal = terminal_or_exit(entry->proc, master);
  CALL_OR_EXIT("the new terminal", fchown, terminal.slave, owner.st_uid,
               owner.st_gid);
  entry->terminal = &terminal;
}

/* Refuses what is not safe to enter, and keeps what will be out of reach. */
static void look_at_target(struct entry *entry) {
  struct target *target = &entry->target;
  const int ours[] = {entry->proc, target->fd, target->directory};
  char **given = entry->given;

  if (entry->is_careful) {
    if (!given['x']) {
      refuse_unsealed(entry->proc);
    }
    refuse_directories();
    close_others_or_exit(given['k'], ours, 3);

    /* From now on only root of our own user namespace can trace this process,
     * or open what its /proc/PID leads to (ptrace(2)). exec(2) takes that back.
     */

    CALL_OR_EXIT("PR_SET_DUMPABLE", prctl, PR_SET_DUMPABLE, 0);
    if (target->pid &&
        (!entry->namespaces || entry->namespaces & CLONE_NEWNS)) {
      open_root_or_exit(target);
    }
  }
  if (target->flags & CLONE_NEWNS) {
    look_at_mounts_or_exit(entry->proc, target);
  }
  if (given['t']) {
    make_terminal(entry);
  }
  if (given['e'] || (entry->is_careful && !given['E'])) {
    leave_environment_or_exit(given['e'] ? target->directory : -1);
  }
}

/* ---- The process that stays outside ---- */

/* Copies to our stderr what the process inside has said. Another process inside
 * may have found its end of LINK: so without control characters. Returns
 * whether LINK is still open. */
static bool copy_messages(int link) {
  char bytes[4096];
  ssize_t n = read(link, bytes, sizeof(bytes));

  for (ssize_t i = 0; i < n; i++) {
    unsigned char byte = bytes[i];
    bytes[i] = (byte < ' ' && byte != '\n') || byte == 0x7f ? '?' : byte;
  }
  fwrite(bytes, 1, n > 0 ? n : 0, stderr);
  return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* SIGINT, SIGTERM and SIGHUP, but those that the caller had ignored. */
static sigset_t ending_signals(void) {
  const int ending[] = {SIGINT, SIGTERM, SIGHUP};
  struct sigaction caller = {.sa_handler = SIG_DFL};
  sigset_t set;

  sigemptyset(&set);
  for (int i = 0; i < 3; i++) {
    sigaction(ending[i], NULL, &caller);
    if (caller.sa_handler != SIG_IGN) {
      sigaddset(&set, ending[i]);
    }
  }
  return set;
}

/* Waits until PROG runs: then HELPER has ended, and the link is closed. Another
 * process inside may hold the link: then until PROG has existed for a while. If
 * a signal to end comes before PROG exists, this process ends of it, whatever
 * the container does to HELPER: that may be frozen, so its end is not waited
 * for. If PROG exists, that signal stays for wait_outside(). */
static void wait_for_helper(pid_t helper, const struct entry *entry) {
  sigset_t ending = ending_signals();
  struct pollfd ready[] = {{signalfd_or_exit(&ending), POLLIN, 0},
                           {entry->link, POLLIN, 0}};
  siginfo_t end;
  int n = 1;

  while (copy_messages(entry->link) && !ready[0].revents &&
         (n > 0 || !*entry->prog)) {
    n = or_exit(poll(ready, 2, WAIT_LIMIT), "poll", "the link");
  }
  close(ready[0].fd);
  if (!*entry->prog && ready[0].revents) {

    /* PROG may be made at this moment. Then it is in HELPER's process group, or
     * if it has left that, its PID is known. */

    kill(helper, SIGKILL);
    kill(-helper, SIGKILL);
    if (*entry->prog) {
      kill(*entry->prog, SIGKILL);
    }
    or_exit(sigprocmask(SIG_UNBLOCK, &ending, NULL), "sigprocmask", "");
  }
  or_exit(waitid(P_PID, helper, &end, WEXITED | (*entry->prog ? WNOHANG : 0)),
          "waitid", "for a child");
  if (!*entry->prog) {
    end_as(&end);
  }
}

static _Noreturn void wait_outside(struct entry *entry, pid_t helper,
                                   int signals) {
  wait_for_helper(helper, entry);

  /* In the foreground of a terminal there is someone who sees that this process
   * stops, and can continue it. */

  struct child child = {.pid = *entry->prog,
                        .proc = entry->proc,
                        .link = -1, /* a process inside may hold it */
                        .has_session = true,
                        .may_resist = true,
                        .may_be_stopped_inside = tcgetpgrp(0) != getpgrp()};
  siginfo_t end = wait_for_child(&child, entry->terminal, signals);
  copy_messages(entry->link);
  end_as(&end);
}

/* ---- The process that goes inside ---- */

/* No terminal of the caller's goes inside: until exec, the link is in its
 * place. So messages are not written to the new terminal either, which a
 * process inside can stop or fill. A descriptor that the caller closed is our
 * own "/" by now, which no process inside may find. */
static void leave_terminals(const struct entry *entry) {
  if (entry->terminal) {
    struct terminal link = *entry->terminal;
    link.slave = entry->link;
    replace_terminals_or_exit(&link);
  }
  for (int fd = 0; fd <= 2; fd++) {
    or_exit(is_inherited(fd) ? 0 : dup3(entry->link, fd, O_CLOEXEC), "dup3",
            "the link");
  }
}

/* Makes the process that goes inside, and returns in that alone. This one stays
 * where no process of the container can stop, freeze or trace it. */
static void fork_helper(struct entry *entry) {
  sigset_t all = all_signals();
  int signals, ends[2];

  block_signals_or_exit();
  signals = signalfd_or_exit(&all);
  entry->prog = mmap(NULL, sizeof(*entry->prog), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  or_exit(entry->prog == MAP_FAILED ? -1 : 0, "mmap", "the PID of PROG");
  or_exit(
      socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends),
      "socketpair", "the link");
  show_pid = true;
  show_call("clone", "SIGCHLD", (const char *[]){NULL});
  pid_t helper = or_exit(fork_with(SIGCHLD), "clone", "to go inside");
  entry->link = ends[helper == 0];
  or_exit(close(ends[helper != 0]), "close", "the link");
  if (helper) {
    wait_outside(entry, helper, signals);
  }

  /* In a process group of its own, it and a PROG that it makes end of one
   * signal. */

  begin_session_or_exit(NULL);
  leave_terminals(entry);
}

/* ---- Join ---- */

static void join(const struct entry *entry) {
  const struct target *target = &entry->target;
  char *uid = entry->given['u'], *gid = entry->given['g'];
  bool drops_groups = entry->is_careful || uid || gid;

  /* This process enters the cgroup, and PROG with it. A process that waits for
   * them could be frozen there. */

  if (entry->confinement & CGROUP) {
    join_cgroup_or_exit(entry->proc, target);
  }
  if (entry->confinement & LABEL) {
    take_label_or_exit(entry->proc, target);
  }
  bool may_stay = owns_user_namespace_or_exit(target);
  if (drops_groups) {
    drop_groups_or_exit(target->flags & CLONE_NEWUSER);
  }
  join_or_exit(entry->proc, target);
  if (drops_groups) {
    drop_groups_or_exit(may_stay);
  }
  if (entry->confinement & CAPS) {
    limit_capabilities_or_exit(target);
  }

  /* The group first: a user other than 0 could not change it any more. */

  take_id_or_exit(target, false, gid);
  take_id_or_exit(target, true, uid);
}

/* ---- Leave everything behind ---- */

static void leave_behind(const struct entry *entry) {
  const int ours[] = {entry->link,
                      entry->terminal ? entry->terminal->slave : -1};

  drop_capabilities_or_exit();
  leave_keyring_or_exit(entry->proc);
  reset_signals_or_exit();
  SHOW(umask, 022);
  if (!entry->given['E'] && !entry->given['e']) {
    complete_environment_or_exit(geteuid());
  }
  close_others_or_exit(entry->given['k'], ours, 2);
}

/* ---- Become PROG ---- */

/* Makes the process that becomes PROG, and returns in that alone. A process
 * keeps its PID, so setns(2) moves only its later children into a PID namespace
 * (pid_namespaces(7)). With CLONE_PARENT such a child is one of the process
 * outside too, which sees it stop and end (clone(2)). This process, which is in
 * our own PID namespace, ends. */
static void fork_prog(const struct entry *entry) {
  int flags = CLONE_PARENT | CLONE_PARENT_SETTID | SIGCHLD;

  show_call("clone", "CLONE_PARENT", (const char *[]){NULL});
  if (or_exit_here(fork_and_tell(flags, entry->prog), "clone", "inside")) {
    _exit(FAILED); /* no matter, once the PID is known */
  }
  begin_session_or_exit(entry->terminal);
  die_with_parent_or_exit(entry->link);
}

static _Noreturn void become_prog(const struct entry *entry, char **argv) {
  const char *shell = getenv("SHELL");
  char *words[] = {(char *)(shell && *shell ? shell : "/bin/sh"), NULL};

  argv = *argv ? argv : words;
  if (!entry->is_careful) {
    execute(argv);
  }
  show_call("execvp", "argv[0], argv", (const char *[]){argv[0], NULL});
  if (entry->terminal) {
    replace_terminals_or_exit(entry->terminal);
  }
  execvp(argv[0], argv);
  dup2(entry->link, 2);
  fail_exec("exec", argv[0]);
}

int main(int argc, char **argv) {
  struct entry entry = {.confinement = 0};

  begin_or_exit(argc);
  read_options_or_exit(argc, argv, &entry);
  argv += optind;

  find_target(&entry, argv[0]);
  look_at_target(&entry);
  if (entry.is_careful) {
    fork_helper(&entry);
  }
  join(&entry);
  if (entry.is_careful) {
    leave_behind(&entry);
    fork_prog(&entry);
  }
  become_prog(&entry, argv + 1);
}
