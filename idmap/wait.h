/* wait.h: waiting for PROG as a good parent.
 *
 * A new PID or time namespace is only for children of the process that asked
 * for it, so a process stays outside and waits. For the shell, that process is
 * PROG. What is sent to it must reach PROG; it must stop when PROG stops, end
 * as PROG ended, and not leave PROG behind when it is killed itself.
 *
 * All signals are blocked meanwhile and read one by one. So none is lost
 * between two calls, and no handler runs at a bad moment.
 */

#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>

/* What PROG inherits from the caller, and the waiting process must change. */
struct caller_signals {
  sigset_t mask;
  struct sigaction child; /* of SIGCHLD: if ignored, no status is kept */
};

/* Blocks all signals, and sets SIGCHLD to SIG_DFL, so that the kernel keeps the
 * status of a child. Returns what was set before. */
struct caller_signals block_signals_or_exit(void);

/* In a child, before its exec: sets the mask and SIGCHLD as they were BEFORE.
 */
void restore_signals_or_exit(const struct caller_signals *before);

/* A signalfd(2) for the signals of SET, which must be blocked. */
int signalfd_or_exit(const sigset_t *set);

/* All signals. sigfillset(3) of musl leaves out three. */
sigset_t all_signals(void);

/* ---- The child that is PROG ---- */

struct child {
  pid_t pid;
  int proc;         /* a checked /proc, or -1 */
  int link;         /* its other end is closed when PROG runs; or -1 */
  bool is_init;     /* PROG is PID 1 of a PID namespace */
  bool has_session; /* PROG leads a session of its own */
  bool may_resist;  /* SIGINT, SIGTERM, SIGHUP end PROG whatever it does */
  bool may_be_stopped_inside; /* by SIGSTOP, which no one outside would see */

  /* For wait.c alone. */
  bool we_stopped; /* PROG, by SIGSTOP */
  bool had_key;    /* one Ctrl-C or Ctrl-\ was passed on to PROG */
  int told_by;     /* the signal that began the limit */
  int killed_by;   /* the signal that had to become SIGKILL */
  int64_t limit;   /* when the waiting ends, as milliseconds() has it, or 0 */
};

/* In the child, the last call before exec: from now on it is killed when its
 * parent dies. LINK is a pipe or socket whose other end the parent alone has:
 * if that is closed, the parent is dead already, and the child exits.
 * The setting is lost if PROG changes its ids, gains capabilities or clears it
 * (PR_SET_PDEATHSIG of prctl(2)). */
void die_with_parent_or_exit(int link);

/* Passes on to CHILD a signal that was read from a signalfd. */
void pass_on(struct child *child, const struct signalfd_siginfo *info);

/* Whether the kernel would discard SIGNAL if we sent it to CHILD. */
bool would_discard(const struct child *child, int signal);

/* Whether the signal of INFO is from Ctrl-C or Ctrl-\ on the caller's terminal.
 */
bool is_key(const struct signalfd_siginfo *info);

/* Sends SIGKILL to CHILD. has_stopped() then tells that SIGNAL ended it, at the
 * latest after WAIT_LIMIT: CHILD may be frozen. */
void kill_child(struct child *child, int signal);

/* Looks at CHILD without waiting. Returns true if it has stopped: then
 * si_status of END is the signal, for stop_with(), which stops this process
 * too. Otherwise si_pid of END is 0 if CHILD runs, and END is how CHILD ended
 * if it has ended, or did not end in time. */
bool has_stopped(struct child *child, siginfo_t *end);
void stop_with(struct child *child, int signal);

/* Milliseconds until CHILD must have ended, 0 if that time is over, or -1 if
 * there is no limit: for poll(2). */
int time_left(const struct child *child);

/* Ends this process as END tells of a child: with its status, or of its signal.
 */
_Noreturn void end_as(const siginfo_t *end);

/* ---- Time, numbers ---- */

/* The bits of DIGITS, a set of signals or capabilities in /proc/PID/status:
 * lower-case hexadecimal digits alone. (strtoull(3) is larger.) */
uint64_t read_hex(const char *digits);

/* Milliseconds that a program has to end after it was told to. */
enum { WAIT_LIMIT = 2000 };

/* The monotonic clock in milliseconds: to set the date does not change it. */
int64_t milliseconds(void);
