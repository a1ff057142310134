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

/* Blocks all signals, and has SIGCHLD keep the status of children. */
struct caller_signals block_signals_or_exit(void);

/* In a child, before its exec: takes that back. */
void restore_signals_or_exit(const struct caller_signals *before);

/* A descriptor that the signals of SET, which are blocked, are read from. */
int signalfd_or_exit(const sigset_t *set);

/* All signals. sigfillset(3) of musl leaves out three. */
sigset_t all_signals(void);

/* ---- The child that is PROG ---- */

struct child {
  pid_t pid;
  int proc;         /* a checked /proc, or -1 */
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
 * parent dies. LINK is a pipe or socket whose other end the parent alone has.
 * The setting is lost if PROG changes its ids, gains capabilities or clears it
 * (PR_SET_PDEATHSIG of prctl(2)). */
void die_with_parent_or_exit(int link);

/* Passes on to CHILD a signal that was read from a signalfd. */
void pass_on(struct child *child, const struct signalfd_siginfo *info);

/* Whether the kernel would discard SIGNAL, sent to CHILD. */
bool would_discard(const struct child *child, int signal);

/* Whether INFO is of Ctrl-C or Ctrl-\ on the caller's terminal. */
bool is_key(const struct signalfd_siginfo *info);

/* Kills CHILD, as if by SIGNAL, and waits no longer than WAIT_LIMIT for that:
 * it may be frozen. */
void kill_child(struct child *child, int signal);

/* Whether CHILD has stopped, by the signal that END then has; stop_with() stops
 * this process too. Otherwise END is how it has ended, or how it would have if
 * it did not end in time; si_pid is 0 if it goes on. */
bool has_stopped(struct child *child, siginfo_t *end);
void stop_with(struct child *child, int signal);

/* Milliseconds until CHILD must have ended, or -1, for poll(2). */
int time_left(const struct child *child);

/* Ends this process as that child ended: with its status, or of its signal. */
_Noreturn void end_as(const siginfo_t *end);

/* ---- Time, numbers ---- */

/* The bits of a set in /proc/PID/status. (strtoull(3) is larger.) */
uint64_t read_hex(const char *digits);

enum { WAIT_LIMIT = 2000 }; /* for a program that was told to end */

/* Milliseconds of a clock that nobody sets. */
int64_t milliseconds(void);
