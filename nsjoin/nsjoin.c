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
  /* What was asked for. */
  int confinement, namespaces; /* of -a and -n, or 0 */
  const char *keep;            /* of -k */
  bool keeps_environment, takes_environment, has_terminal, may_be_unsealed;
  struct id uid, gid;

  /* What was found. */
  int proc; /* a checked /proc, or -1 */
  struct target target;
  bool is_careful; /* what is joined is a container */
  struct terminal terminal;

  /* Of the process that goes inside. */
  int link;           /* to the process outside, or -1 if there is none */
  int standard_error; /* PROG's descriptor 2, or -1 */
  pid_t *prog;        /* PROG's PID, once it has one; both processes see it */
};

/* ---- Find the target ---- */

static void read_options_or_exit(int argc, char **argv, struct entry *entry) {
  int letter;

  while ((letter = option_or_exit(argc, argv, "+:a:Eeg:hk:n:tu:Vvx", "a")) >=
         0) {
    entry->keeps_environment |= letter == 'E';
    entry->takes_environment |= letter == 'e';
    entry->has_terminal |= letter == 't';
    entry->may_be_unsealed |= letter == 'x';
    if (letter == 'a') {
      entry->confinement |= read_confinement_or_exit(optarg);
    } else if (letter == 'k') {
      entry->keep = optarg;
    } else if (letter == 'n') {
      entry->namespaces = read_namespaces_or_exit(optarg, -1);
    } else if (letter == 'u' || letter == 'g') {
      uint64_t id;
      usage_error_if(!read_number(optarg, UINT32_MAX - 1, &id), optarg,
                     "is no id");
      *(letter == 'u' ? &entry->uid : &entry->gid) = (struct id){true, id};
    }
  }
  usage_error_if(entry->keeps_environment && entry->takes_environment, "-e",
                 "goes without -E");
  usage_error_if(!argv[optind], "TARGET", "is missing");
}

static void find_target(struct entry *entry, const char *word) {
  struct target *target = &entry->target;

  entry->proc = open_proc();
  *target = target_or_exit(entry->proc, word);
  if (target->pid) {
    compare_namespaces_or_exit(entry->proc, target, entry->namespaces);
  }
  refuse_if(!target->pid && (entry->confinement || entry->takes_environment ||
                             entry->namespaces),
            word, "is no process, which -a, -e and -n need");

  /* In these, processes of the container meet PROG, or PROG meets its files. */

  entry->is_careful =
      target->flags & (CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID);
  usage_error_if(entry->keep && !entry->is_careful, "-k",
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
  int root = entry->target.root;
  struct stat owner;

  refuse_if(root < 0 && entry->target.flags & CLONE_NEWNS, "-t",
            "needs a process as TARGET, for its /dev/pts");
  int master = root < 0 ? open_ptmx_or_exit()
                        : open_ptmx_below_or_exit(entry->proc, root, &owner);
  entry->terminal = terminal_or_exit(entry->proc, master);
  if (root >= 0) {
    CALL_OR_EXIT("the new terminal", fchown, entry->terminal.slave,
                 owner.st_uid, owner.st_gid);
  }
}

/* Refuses what is not safe to enter, and keeps what will be out of reach. */
static void look_at_target(struct entry *entry) {
  struct target *target = &entry->target;
  const int ours[] = {entry->proc, target->fd, target->directory};

  if (entry->is_careful) {
    if (!entry->may_be_unsealed) {
      refuse_unsealed(entry->proc);
    }
    refuse_directories();
    close_others_or_exit(entry->keep, ours, 3);
    bool keeps_root = entry->namespaces && !(entry->namespaces & CLONE_NEWNS);
    if (target->pid && !keeps_root) {
      open_root_or_exit(target);
    }
  }
  if (target->flags & CLONE_NEWNS) {
    look_at_mounts_or_exit(entry->proc, target);
  }
  if (entry->has_terminal) {
    make_terminal(entry);
  }
  if (entry->takes_environment ||
      (entry->is_careful && !entry->keeps_environment)) {
    wipe_environment_or_exit(!entry->takes_environment);
  }
  if (entry->takes_environment) {
    take_environment_or_exit(target->directory);
  }

  /* From now on only root of our own user namespace can trace this process, or
   * open what its /proc/PID leads to (ptrace(2)). exec(2) takes that back. */

  if (entry->is_careful) {
    CALL_OR_EXIT("PR_SET_DUMPABLE", prctl, PR_SET_DUMPABLE, 0);
  }
}

/* ---- The process that stays outside ---- */

/* Copies to our stderr what the process inside has said. Another process inside
 * may have found its end of LINK: so not without end, and without control
 * characters. Returns whether LINK is still open. */
static bool copy_messages(int link) {
  char bytes[4096];
  ssize_t n = 1;

  for (int rest = 16; rest > 0 && n > 0; rest--) {
    n = read(link, bytes, sizeof(bytes));
    for (ssize_t i = 0; i < n; i++) {
      unsigned char byte = bytes[i];
      bytes[i] = (byte < ' ' && byte != '\n') || byte == 0x7f ? '?' : byte;
    }
    fwrite(bytes, 1, n > 0 ? n : 0, stderr);
  }
  return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* A signalfd of SIGCHLD, and of those of SIGINT, SIGTERM and SIGHUP that the
 * caller did not have ignored. */
static int ending_signals_or_exit(void) {
  const int ending[] = {SIGINT, SIGTERM, SIGHUP};
  struct sigaction caller = {.sa_handler = SIG_DFL};
  sigset_t set;

  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  for (int i = 0; i < 3; i++) {
    sigaction(ending[i], NULL, &caller);
    if (caller.sa_handler != SIG_IGN) {
      sigaddset(&set, ending[i]);
    }
  }
  return signalfd_or_exit(&set);
}

/* Ends this process of SIGNAL, and before it HELPER, unless that is 0, and
 * PROG. They may be frozen, so their end is not waited for. If PROG's PID is
 * not known yet, PROG ends as we do: it looks whether the link is open. */
static _Noreturn void give_up(pid_t helper, const struct entry *entry,
                              int signal) {
  siginfo_t end = {.si_code = CLD_KILLED};

  if (helper) {
    kill(helper, SIGKILL);
  }
  if (*entry->prog) {
    kill(*entry->prog, SIGKILL);
  }
  end.si_status = signal;
  end_as(&end);
}

/* Waits until HELPER has ended and PROG runs, which closes their ends of the
 * link. The signals to end do end this process meanwhile, whatever the
 * container does to those two. Other signals stay for later. */
static void wait_for_helper(pid_t helper, const struct entry *entry) {
  struct signalfd_siginfo info;
  int64_t limit = INT64_MAX;
  siginfo_t end = {0};
  bool is_open = true;
  int signals = ending_signals_or_exit();

  /* Another process inside may hold the link: after a while PROG runs. */

  while (!end.si_pid || (is_open && milliseconds() < limit)) {
    struct pollfd ready[] = {{signals, POLLIN, 0},
                             {is_open ? entry->link : -1, POLLIN, 0}};
    int n = poll(ready, 2, end.si_pid ? WAIT_LIMIT : -1);
    or_exit(n < 0 && errno == EINTR ? 0 : n, "poll", "the link");
    if (ready[1].revents) {
      is_open = copy_messages(entry->link);
    }
    if (ready[0].revents &&
        read(signals, &info, sizeof(info)) == sizeof(info) &&
        info.ssi_signo != SIGCHLD) {
      give_up(end.si_pid ? 0 : helper, entry, info.ssi_signo);
    }
    if (!end.si_pid) {
      or_exit(waitid(P_PID, helper, &end, WEXITED | WNOHANG), "waitid",
              "for a child");
      limit = milliseconds() + WAIT_LIMIT;
    }
  }
  close(signals);
  copy_messages(entry->link);
  if (end.si_code != CLD_EXITED || end.si_status != 0) {
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
                        .has_session = true,
                        .may_resist = entry->is_careful,
                        .may_be_stopped_inside = tcgetpgrp(0) != getpgrp()};
  siginfo_t end = wait_for_child(
      &child, entry->has_terminal ? &entry->terminal : NULL, signals);
  copy_messages(entry->link);
  end_as(&end);
}

/* ---- The process that goes inside ---- */

/* The messages of this process go to the link until exec. Standard error may be
 * a terminal that a process inside has stopped or filled. A descriptor that the
 * caller closed is our own "/" by now, which no process inside may find. */
static void prepare_descriptors(struct entry *entry) {
  struct terminal *terminal = &entry->terminal;

  entry->standard_error = terminal->is_replaced[2] ? terminal->slave : -1;
  if (!terminal->is_replaced[2] && is_inherited(2)) {
    entry->standard_error =
        or_exit(fcntl(2, F_DUPFD_CLOEXEC, 3), "fcntl", "F_DUPFD_CLOEXEC");
  }
  or_exit(dup3(entry->link, 2, O_CLOEXEC), "dup3", "the link");
  terminal->is_replaced[2] = false;
  if (entry->has_terminal) {
    replace_terminals_or_exit(terminal);
  }
  for (int fd = 0; fd <= 1; fd++) {
    or_exit(is_inherited(fd) ? 0 : dup3(entry->link, fd, O_CLOEXEC), "dup3",
            "the link");
  }
}

/* Makes the process that goes inside, and returns in that alone. This one stays
 * where no process of the container can stop, freeze or trace it. */
static void fork_helper(struct entry *entry) {
  struct caller_signals before = block_signals_or_exit();
  sigset_t all = all_signals();
  int signals = signalfd_or_exit(&all), ends[2];

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
  close(ends[helper != 0]);
  if (helper) {
    wait_outside(entry, helper, signals);
  }

  prepare_descriptors(entry);
  if (!entry->is_careful) {
    restore_signals_or_exit(&before);
  }
}

/* ---- Join ---- */

static void join(const struct entry *entry) {
  const struct target *target = &entry->target;
  bool drops_groups =
      entry->is_careful || entry->uid.is_known || entry->gid.is_known;

  /* This process enters the cgroup, and PROG with it. A process that waits for
   * them could be frozen there. */

  if (entry->confinement & CGROUP) {
    join_cgroup_or_exit(entry->proc, target);
  }
  if (entry->confinement & LABEL) {
    take_label_or_exit(entry->proc, target);
  }
  bool may_stay = drops_groups && drop_groups_or_exit(target);
  join_or_exit(entry->proc, target);
  if (drops_groups) {
    drop_groups_inside_or_exit(target, may_stay);
  }
  if (entry->confinement & CAPS) {
    limit_capabilities_or_exit(target);
  }
  take_ids_or_exit(target, entry->uid, entry->gid);
}

/* ---- Leave everything behind ---- */

static void leave_behind(const struct entry *entry) {
  const int slave = entry->has_terminal ? entry->terminal.slave : -1;
  const int ours[] = {entry->link, entry->standard_error, slave};

  if (!(entry->target.flags & CLONE_NEWUSER)) {
    drop_capabilities_or_exit();
  }
  leave_keyring_or_exit(entry->proc);
  reset_signals_or_exit();
  SHOW(umask, 022);
  if (!entry->keeps_environment && !entry->takes_environment) {
    complete_environment_or_exit(geteuid());
  }
  close_others_or_exit(entry->keep, ours, 3);
}

/* ---- Become PROG ---- */

/* Makes the process that becomes PROG, and returns in that alone. A process
 * keeps its PID, so setns(2) moves only its later children into a PID namespace
 * (pid_namespaces(7)). With CLONE_PARENT such a child is one of the process
 * outside too, which sees it stop and end (clone(2)). This process, which is in
 * our own PID namespace, ends. */
static void fork_prog(const struct entry *entry) {
  show_call("clone", "CLONE_PARENT", (const char *[]){NULL});
  pid_t pid =
      or_exit_here(fork_with(CLONE_PARENT | SIGCHLD), "clone", "inside");
  if (pid) {
    *entry->prog = pid;
    _exit(0);
  }
  begin_session_or_exit(entry->has_terminal ? &entry->terminal : NULL);
  die_with_parent_or_exit(entry->link);
}

static _Noreturn void become_prog(const struct entry *entry, char **argv) {
  const char *shell = getenv("SHELL");
  char *words[] = {(char *)(shell && *shell ? shell : "/bin/sh"), NULL};

  argv = *argv ? argv : words;
  if (entry->link < 0) {
    execute(argv);
  }
  show_call("execvp", "argv[0], argv", (const char *[]){argv[0], NULL});
  if (entry->standard_error >= 0) {
    or_exit(dup2(entry->standard_error, 2), "dup2", "standard error");
  }
  execvp(argv[0], argv);
  int error = errno;
  dup2(entry->link, 2);
  errno = error;
  fail_exec("exec", argv[0]);
}

int main(int argc, char **argv) {
  struct entry entry = {.link = -1};

  begin_or_exit(argc);
  read_options_or_exit(argc, argv, &entry);
  argv += optind;

  find_target(&entry, argv[0]);
  look_at_target(&entry);
  bool stays_outside = entry.is_careful || entry.has_terminal;
  if (stays_outside) {
    fork_helper(&entry);
  }
  join(&entry);
  if (entry.is_careful) {
    leave_behind(&entry);
  }
  if (stays_outside) {
    fork_prog(&entry);
  }
  become_prog(&entry, argv + 1);
}
