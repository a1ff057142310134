/* wait.h: waiting for PROG as a good parent.
 *
 * A new PID or time namespace holds only the children of the process that asked
 * for it, so somebody stays behind and waits. To the shell, that process is
 * PROG: what is sent to it must reach PROG, it must stop when PROG stops, end
 * as PROG ended, and not leave PROG behind when it is killed itself.
 *
 * All signals are blocked meanwhile and read one by one, so none is lost
 * between two calls, and no handler runs at a bad moment.
 */

#ifndef WAIT_H
#define WAIT_H

#include "../idmap/first/step.h"
#include <linux/sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>

/* The kernel's idea of these two, not libc's: all 64 signals, of which musl
 * would leave out three, and an action without a handler. */
#define SET_SIZE 8
struct action {
  unsigned long handler, flags, restorer, mask;
};

/* What a child has to put back before it becomes PROG. */
struct signals {
  uint64_t mask;
  struct action child;
};

/* Takes SIGCHLD back from "ignored", a state that is inherited and in which a
 * child's status is lost. Returns what it was. */
static inline struct action take_sigchld(void) {
  struct action initial = {0}, before;

  if (CALL(rt_sigaction, SIGCHLD, &initial, &before, SET_SIZE) < 0) {
    err(FAILED, "rt_sigaction SIGCHLD");
  }
  return before;
}

/* Before the child is made: blocks all signals, and sees to SIGCHLD. */
static inline struct signals hold_signals(void) {
  uint64_t all = ~0UL;
  struct signals before;

  if (CALL(rt_sigprocmask, SIG_SETMASK, &all, &before.mask, SET_SIZE) < 0) {
    err(FAILED, "rt_sigprocmask");
  }
  before.child = take_sigchld();
  return before;
}

static inline void release_signals(const struct signals *before) {
  if (CALL(rt_sigaction, SIGCHLD, &before->child, NULL, SET_SIZE) < 0 ||
      CALL(rt_sigprocmask, SIG_SETMASK, &before->mask, NULL, SET_SIZE) < 0) {
    err(FAILED, "rt_sigprocmask");
  }
}

/* In the child, last of all before exec: have it killed when its parent dies,
 * PARENT being a pipe or socket whose other end only the parent has open. The
 * setting is lost with any later change of ids, and says nothing of a parent
 * that has died already: prctl(2), PR_SET_PDEATHSIG. */
static inline void die_with_parent(int parent) {
  struct pollfd gone = {.fd = parent};
  struct timespec now = {0, 0};

  if (CALL(prctl, PR_SET_PDEATHSIG, SIGKILL) < 0) {
    err(FAILED, "prctl PR_SET_PDEATHSIG");
  }
  if (CALL(ppoll, &gone, 1, &now, NULL, 0) != 0) {
    _exit(FAILED);
  }
}

/* What follows NAME at the start of a line of TEXT, or NULL. */
static inline const char *find_line(const char *text, const char *name) {
  size_t length = strlen(name);

  while (*text) {
    const char *end = strchrnul(text, '\n');
    if ((size_t)(end - text) > length && memcmp(text, name, length) == 0) {
      return text + length;
    }
    text = end + (*end == '\n');
  }
  return NULL;
}

/* A set of signals or capabilities, as /proc/PID/status has it, to its line's
 * end. */
static inline uint64_t hex(const char *digit) {
  uint64_t bits = 0;

  for (; *digit > ' '; digit++) {
    bits = bits * 16 + (*digit > '9' ? *digit - 'a' + 10 : *digit - '0');
  }
  return bits;
}

/* Whether SET, such as SigCgt, of STATUS, a /proc/PID/status, has SIGNAL. */
static inline bool status_has(const char *status, const char *set, int signal) {
  const char *at = find_line(status, set);

  return !at || hex(at) >> (signal - 1) & 1;
}

struct child {
  int pid, dir; /* dir: of its /proc/PID, or -1 */
  int alive;    /* our end of a pipe or socket, which closes when we die */
  bool is_init; /* PROG is PID 1 of a namespace */
  bool inside;  /* a SIGSTOP of PROG's may be from inside, and nobody sees it */
  bool stopped; /* it is, by our SIGSTOP */
  bool leads;   /* PROG leads a session, which nobody else is in */
  bool hostile; /* PROG must end when we are told to, whatever it does */
  bool had_key; /* a Ctrl-C or Ctrl-\ has been sent on to it */
  int told;     /* the signal that told it to end by that limit */
  int killed_by; /* a signal that had to become SIGKILL, or 0 */
  long limit;    /* when our patience ends, as now() has it, or 0 */
};

/* How long a process that has been told to end may take, in milliseconds. */
#define PATIENCE 2000

/* Milliseconds of a clock that nobody sets. */
static inline long now(void) {
  struct timespec time;

  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000L + time.tv_nsec / 1000000;
}

static inline bool is_stop(int signal) {
  return signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

/* Reads the file NAME of CHILD's /proc/PID, or as much as there is room for. */
static inline void read_of(const struct child *child, const char *name,
                           char *text, size_t size) {
  long fd = CALL(openat, child->dir, name, O_RDONLY | O_CLOEXEC);
  long n = CALL(read, fd, (void *)text, size - 1);

  close_fd(fd);
  text[n < 0 ? 0 : n] = '\0';
}

/* PID 1 gets no signal that it has no handler for: not from inside, and from
 * outside only SIGKILL and SIGSTOP. pid_namespaces(7). One that it blocks, it
 * will ask for; one that it ignores, it means to. While it asks, as tini does,
 * in sigtimedwait(2), what it asks for does not show as blocked. And who has
 * nobody to be continued by is not stopped from a terminal: setpgid(2). */
static inline bool would_not_get(const struct child *child, int signal) {
  static char status[1 << 20]; /* its "Groups:" may be 65536 */
  char call[24];
  unsigned long number;

  if (!child->is_init && !(child->leads && is_stop(signal))) {
    return false;
  }
  read_of(child, "status", status, sizeof(status));
  read_of(child, "syscall", call, sizeof(call));
  return !status_has(status, "SigBlk:\t", signal) &&
         !status_has(status, "SigIgn:\t", signal) &&
         !status_has(status, "SigCgt:\t", signal) &&
         !(digits(call, ULONG_MAX, &number) && number == SYS_rt_sigtimedwait);
}

/* Sends SIGNAL to CHILD; if WHOLE and it leads a session, to its process group.
 */
static inline void send_signal(const struct child *child, int signal,
                               bool whole) {
  if (!whole || !child->leads || CALL(kill, -child->pid, signal) < 0) {
    CALL(kill, child->pid, signal);
  }
}

/* Ends CHILD, for SIGNAL, and with it our waiting: it may be frozen. */
static inline void kill_child(struct child *child, int signal) {
  child->killed_by = signal;
  child->limit = now() + PATIENCE;
  send_signal(child, SIGKILL, true);
}

/* Whether INFO is of a key, Ctrl-C or Ctrl-\: the kernel sends these. */
static inline bool is_key(const struct signalfd_siginfo *info) {
  return info->ssi_code == SI_KERNEL &&
         (info->ssi_signo == SIGINT || info->ssi_signo == SIGQUIT);
}

/* Whether this process had SIGNAL ignored when it started, as nohup(1) has it.
 */
static inline bool is_ignored(int signal) {
  struct action action;

  return CALL(rt_sigaction, signal, NULL, &action, SET_SIZE) == 0 &&
         action.handler == (unsigned long)SIG_IGN;
}

/* Sends on to CHILD what was sent to us. */
static inline void forward(struct child *child,
                           const struct signalfd_siginfo *info) {
  int signal = info->ssi_signo;
  bool key = info->ssi_code == SI_KERNEL && signal != SIGALRM;

  if (child->hostile &&
      (signal == SIGINT || signal == SIGTERM || signal == SIGHUP)) {
    if (is_ignored(signal)) {
      return;
    }
    if (!is_key(info) && !child->limit) {
      child->limit = now() + PATIENCE;
      child->told = signal;
    }
  }
  if (child->leads && is_key(info)) {
    if (child->had_key) {
      kill_child(child, signal);
      return;
    }
    child->had_key = true;
  }
  if (signal != SIGCONT && signal != SIGURG && signal != SIGWINCH &&
      would_not_get(child, signal)) {
    if (is_stop(signal)) {
      child->stopped = true;
      send_signal(child, SIGSTOP, true);
    } else {
      child->killed_by = signal;
      CALL(kill, child->pid, SIGKILL);
    }
    return;
  }

  /* A key of the terminal: the kernel sent it to all of the foreground, so PROG
   * has it already, unless it left for a process group of its own. The alarm(2)
   * of who became us is not from there: exec keeps it. */

  if (key && signal != SIGCONT) {
    long group = CALL(getpgid, child->pid);
    if (group == CALL(getpgid, 0)) {
      return;
    }
  }
  send_signal(child, signal, key || signal == SIGCONT);
}

/* Takes notice of what became of CHILD; true when it has ended, and how in
 * *END. Stops when CHILD has stopped; but where that may be from inside, only
 * for what a terminal sends, or we did: who else stopped it can continue it,
 * and would leave us stopped, and with us the end of the container. */
static inline bool has_ended(struct child *child, siginfo_t *end) {
  long failed;

  end->si_pid = 0;
  while ((failed = CALL(waitid, P_PID, child->pid, end,
                        WEXITED | WSTOPPED | WNOHANG, NULL)) == 0 &&
         end->si_pid) {
    if (end->si_code != CLD_STOPPED) {
      if (end->si_code == CLD_KILLED && child->killed_by) {
        end->si_status = child->killed_by;
      }
      return true;
    }
    if (!child->inside || is_stop(end->si_status) || child->stopped) {
      child->stopped = false;
      long self = CALL(getpid);
      CALL(kill, self, SIGSTOP);
    }
    end->si_pid = 0;
  }
  if (failed) {
    warn("waitid");
    *end = (siginfo_t){.si_code = CLD_EXITED};
    end->si_pid = child->pid;
    end->si_status = FAILED;
  }
  return failed;
}

/* What is left of the time that CHILD may take, for ppoll(2), in *LEFT. NULL if
 * there is no limit. */
static inline struct timespec *time_left(const struct child *child,
                                         struct timespec *left) {
  long rest = child->limit ? child->limit - now() : 0;

  rest = rest > 0 ? rest : 0;
  *left = (struct timespec){rest / 1000, rest % 1000 * 1000000};
  return child->limit ? left : NULL;
}

/* When time is up: kills CHILD, or if it was killed before, gives it up. True
 * then, and in *END is how it would have ended. */
static inline bool is_given_up(struct child *child, siginfo_t *end) {
  if (!child->limit || child->limit > now()) {
    return false;
  }
  if (!child->killed_by) {
    kill_child(child, child->told);
    return false;
  }
  *end = (siginfo_t){.si_code = CLD_KILLED};
  end->si_pid = child->pid;
  end->si_status = child->killed_by;
  return true;
}

/* A descriptor that gives the signals which hold_signals() blocked. */
static inline int open_signals(void) {
  uint64_t all = ~0UL;
  int fd = CALL(signalfd4, -1, &all, SET_SIZE, SFD_CLOEXEC);

  if (fd < 0) {
    err(FAILED, "signalfd");
  }
  return fd;
}

/* Waits until CHILD has ended, with SIGNALS of open_signals(). */
static inline siginfo_t wait_for(struct child *child, int signals) {
  struct signalfd_siginfo info;
  siginfo_t end;

  while (!has_ended(child, &end) && !is_given_up(child, &end)) {
    struct pollfd ready = {.fd = signals, .events = POLLIN};
    struct timespec left;

    long n = CALL(ppoll, &ready, 1, time_left(child, &left), NULL, 0);
    if (n < 0 && errno != EINTR) {
      err(FAILED, "ppoll");
    }
    if (n > 0 && CALL(read, signals, &info, sizeof(info)) == sizeof(info) &&
        info.ssi_signo != SIGCHLD) {
      forward(child, &info);
    }
  }
  return end;
}

/* Ends this process as that child ended. */
static inline _Noreturn void end_as(const siginfo_t *end) {
  struct action initial = {0};
  uint64_t unblocked = 0;
  int signal = end->si_status;

  if (end->si_code == CLD_EXITED) {
    _exit(signal);
  }

  /* The core is PROG's to leave, and not that of a process that waited. A
   * limit of 0 says nothing to a core_pattern that is a pipe: core(5). */

  CALL(prctl, PR_SET_DUMPABLE, 0);
  CALL(rt_sigaction, signal, &initial, NULL, SET_SIZE);
  CALL(rt_sigprocmask, SIG_SETMASK, &unblocked, NULL, SET_SIZE);
  long self = CALL(getpid);
  CALL(kill, self, signal);
  _exit(128 + signal);
}

#endif
