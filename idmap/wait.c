/* wait.c: waiting for PROG as a good parent. wait.h has the contract. */

#include "wait.h"
#include "../pivot/proc.h"
#include <poll.h>
#include <sys/prctl.h>

/* ---- Signals of this process ---- */

sigset_t all_signals(void) {
  sigset_t all;

  memset(&all, 0xff, sizeof(all));
  return all;
}

struct caller_signals block_signals_or_exit(void) {
  struct sigaction initial = {.sa_handler = SIG_DFL};
  struct caller_signals before;
  sigset_t all = all_signals();

  or_exit(sigprocmask(SIG_SETMASK, &all, &before.mask), "sigprocmask", "");
  or_exit(sigaction(SIGCHLD, &initial, &before.child), "sigaction", "SIGCHLD");
  return before;
}

void restore_signals_or_exit(const struct caller_signals *before) {
  or_exit(sigaction(SIGCHLD, &before->child, NULL), "sigaction", "SIGCHLD");
  or_exit(sigprocmask(SIG_SETMASK, &before->mask, NULL), "sigprocmask", "");
}

int signalfd_or_exit(const sigset_t *set) {
  return or_exit(signalfd(-1, set, SFD_CLOEXEC), "signalfd", "");
}

int64_t milliseconds(void) {
  struct timespec now = {0};

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- What is sent to PROG ---- */

void die_with_parent_or_exit(int link) {
  struct pollfd parent = {.fd = link};

  or_exit(SHOW(prctl, PR_SET_PDEATHSIG, SIGKILL), "prctl", "PR_SET_PDEATHSIG");

  /* The parent may have died before that. Then its end of the link is closed.
   */

  if (or_exit(poll(&parent, 1, 0), "poll", "the link") != 0) {
    _exit(FAILED);
  }
}

static bool is_stop(int signal) {
  return signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

static bool is_end(int signal) {
  return signal == SIGINT || signal == SIGTERM || signal == SIGHUP;
}

bool is_key(const struct signalfd_siginfo *info) {
  return info->ssi_code == SI_KERNEL &&
         (info->ssi_signo == SIGINT || info->ssi_signo == SIGQUIT);
}

uint64_t read_hex(const char *digit) {
  uint64_t bits = 0;

  for (; *digit; digit++) {
    bits = bits << 4 | (*digit > '9' ? *digit - 'a' + 10 : *digit - '0');
  }
  return bits;
}

/* The set NAME, such as "SigCgt:", of CHILD's status; all signals, if that
 * cannot be read. */
static uint64_t signal_set(const struct child *child, const char *name) {
  char line[LINE_SIZE];
  const char *set = proc_line(
      child->proc, numbered("", child->pid, "/status").text, name, line);

  return set ? read_hex(set) : UINT64_MAX;
}

/* Whether CHILD waits in sigtimedwait(2), as tini does. A signal that it waits
 * for is blocked, but for that time does not show as blocked. */
static bool waits_for_signals(const struct child *child) {
  char line[LINE_SIZE];
  const char *call = proc_line(
      child->proc, numbered("", child->pid, "/syscall").text, "", line);
  uint64_t number;

  return call && read_digits(call, INT_MAX, &number) && is_sigtimedwait(number);
}

/* Whether CHILD has become PROG. Before that, it has signals blocked for a
 * moment, in setresuid(3) of musl for one: that does not mean that it waits for
 * them, and a signal that comes then would be lost. */
static bool runs_prog(const struct child *child) {
  struct pollfd link = {.fd = child->link};

  return child->link < 0 || poll(&link, 1, 0) != 0;
}

/* PID 1 of a namespace gets no signal that it has no handler for: none from
 * inside, and from outside SIGKILL and SIGSTOP alone (pid_namespaces(7)). And
 * the stop signal of a key does not stop a process whose parent is in another
 * session: the kernel assumes that no one would continue it (setpgid(2)). */
bool would_discard(const struct child *child, int signal) {
  uint64_t stays = signal_set(child, "SigIgn:") | signal_set(child, "SigCgt:");

  stays |= runs_prog(child) ? signal_set(child, "SigBlk:") : 0;
  return (child->is_init || (child->has_session && is_stop(signal))) &&
         !(stays >> (signal - 1) & 1) && !waits_for_signals(child);
}

/* Sends SIGNAL to CHILD, or to its process group if TO_GROUP and if it leads
 * one. */
static void send_signal(const struct child *child, int signal, bool to_group) {
  if (!to_group || !child->has_session || kill(-child->pid, signal) < 0) {
    kill(child->pid, signal);
  }
}

void kill_child(struct child *child, int signal) {
  child->killed_by = signal;
  child->limit = milliseconds() + WAIT_LIMIT;
  send_signal(child, SIGKILL, true);
}

/* Whether the caller had SIGNAL ignored, as nohup(1) does. */
static bool is_ignored(int signal) {
  struct sigaction caller = {.sa_handler = SIG_DFL};

  sigaction(signal, NULL, &caller);
  return caller.sa_handler == SIG_IGN;
}

void pass_on(struct child *child, const struct signalfd_siginfo *info) {
  int signal = info->ssi_signo;

  /* The kernel sends SIGALRM too, for an alarm(2) of the program that became
   * this process: a timer outlives exec. */

  bool by_terminal = info->ssi_code == SI_KERNEL && signal != SIGALRM;

  if (child->may_resist && is_end(signal)) {
    if (is_ignored(signal)) {
      return;
    }
    if (!is_key(info) && !child->limit) {
      child->limit = milliseconds() + WAIT_LIMIT;
      child->told_by = signal;
    }
  }
  if (child->has_session && is_key(info)) {
    if (child->had_key) {
      kill_child(child, signal);
      return;
    }
    child->had_key = true;
  }

  /* What means nothing without a handler is passed on as it is. A signal that
   * would end or stop any other process ends or stops this one too. */

  if (signal != SIGCONT && signal != SIGURG && signal != SIGWINCH &&
      would_discard(child, signal)) {
    if (is_stop(signal)) {
      child->we_stopped = true;
      send_signal(child, SIGSTOP, true);
    } else {
      child->killed_by = signal;
      kill(child->pid, SIGKILL);
    }
    return;
  }

  /* The signal of a key is sent to all processes of the foreground: PROG has it
   * already, unless it is in another process group. */

  if (by_terminal && signal != SIGCONT && getpgid(child->pid) == getpgid(0)) {
    return;
  }
  send_signal(child, signal, by_terminal || signal == SIGCONT);
}

/* ---- How PROG ends ---- */

bool has_stopped(struct child *child, siginfo_t *end) {
  int failed;

  end->si_pid = 0;
  failed = waitid(P_PID, child->pid, end, WEXITED | WSTOPPED | WNOHANG);
  if (failed) {
    warn_errno("waitid", "for PROG");
    end->si_code = CLD_EXITED;
    end->si_status = FAILED;
    end->si_pid = child->pid;
  } else if (end->si_pid && end->si_code == CLD_STOPPED) {
    return true;
  } else if (end->si_pid && end->si_code == CLD_KILLED && child->killed_by) {
    end->si_status = child->killed_by;
  } else if (!end->si_pid && time_left(child) == 0) {

    /* Time is up: kill CHILD, or if that was done before, wait no longer. */

    if (!child->killed_by) {
      kill_child(child, child->told_by);
      return false;
    }
    end->si_code = CLD_KILLED;
    end->si_status = child->killed_by;
    end->si_pid = child->pid;
  }
  return false;
}

void stop_with(struct child *child, int signal) {

  /* The process that stopped PROG can continue it. But if that is inside, it
   * would leave this process stopped, and no one would end the container. */

  if (!child->may_be_stopped_inside || is_stop(signal) || child->we_stopped) {
    child->we_stopped = false;
    kill(getpid(), SIGSTOP);
  }
}

int time_left(const struct child *child) {
  int64_t rest = child->limit - milliseconds();

  return !child->limit ? -1 : rest > 0 ? rest : 0;
}

_Noreturn void end_as(const siginfo_t *end) {
  struct sigaction initial = {.sa_handler = SIG_DFL};
  int signal = end->si_status;
  sigset_t none;

  if (end->si_code == CLD_EXITED) {
    _exit(signal);
  }

  /* The core file is PROG's to leave, not ours. RLIMIT_CORE would not do: a
   * core_pattern that is a pipe ignores it (core(5)). */

  prctl(PR_SET_DUMPABLE, 0);
  sigaction(signal, &initial, NULL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  kill(getpid(), signal);
  _exit(128 + signal);
}
