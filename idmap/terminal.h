/* terminal.h: a terminal for PROG that is not the caller's.
 *
 * A process that has a terminal open can type into it (TIOCSTI), and the shell
 * outside reads that when PROG has ended (CVE-2016-2779, CVE-2017-5226). A
 * session of its own does not keep the host's root from that. So each of
 * descriptors 0-2 that is a terminal becomes a new one, the slave of a pty.
 * The process that waits outside copies what is typed on the caller's terminal
 * to the master, and what PROG writes back. A file or a pipe goes in as it is.
 * If none of the three is a terminal, all become the new one: a booted system
 * needs a console.
 */

#pragma once

#include "wait.h"
#include <sys/stat.h>
#include <termios.h>

/* What is typed on the new terminal. */
enum input {
  NO_INPUT, /* nothing: standard input is no terminal, another of 0-2 is one */
  BYTES,    /* what standard input has: none of 0-2 is a terminal */
  LINES,    /* lines of the caller's terminal, which others may read too */
  KEYS      /* all keys: standard input and output are the same terminal */
};

/* Bytes that were read and are still to be written. */
struct flow {
  ssize_t length, done;
  int64_t since; /* when bytes were last read or written, by milliseconds() */
  char bytes[4096];
};

struct terminal {
  int master, slave;
  bool is_replaced[3]; /* which descriptors of PROG are the slave */
  enum input input;
  int in, out; /* of the caller; in is -1 if there is no input, or no more */

  /* For terminal.c alone. */
  bool is_raw;    /* the caller's terminal is in raw mode */
  bool is_hidden; /* the caller's terminal does not echo, as the new one does
                     not */
  bool at_end;    /* the end of LINES is still to be typed */
  int escapes;    /* how many ^] were read in a row, */
  int64_t first;  /* and when the first of them was */
  struct termios before; /* the caller's settings */
  struct flow typed, shown;
  tcflag_t post; /* OPOST, if the new terminal had it while the other was raw */
};

/* Before the child is made: the new terminal of which MASTER is the master,
 * opened with O_NONBLOCK. PROC is a checked /proc. */
struct terminal terminal_or_exit(int proc, int master);

/* The master of a new pty, whose slave is in our /dev/pts. It does not block.
 */
int open_ptmx_or_exit(void);

/* The same in the devpts on dev/pts below the directory ROOT. Processes that we
 * do not trust can change what is there: so it exits if that is no devpts.
 * *OWNER is what fstat(2) says of its ptmx. */
int open_ptmx_below_or_exit(int proc, int root, struct stat *owner);

/* In the child: opens the slave anew, by its name in /dev/pts in the mount
 * namespace of the child. Only such a descriptor can be bound on /dev/console.
 */
void reopen_slave_or_exit(struct terminal *terminal);

/* In the child: replaces those of descriptors 0-2 that were terminals by the
 * slave, and closes the master and the caller's terminals. */
void replace_terminals_or_exit(const struct terminal *terminal);

/* In the process that will be PROG: begins a session. If TERMINAL is not NULL,
 * and something can be typed there, it becomes the controlling terminal. */
void begin_session_or_exit(const struct terminal *terminal);

/* Waits until CHILD has ended, or did not end in time, and returns how it
 * ended, for end_as(). Passes on the signals that are read from SIGNALS, a
 * signalfd of all of them, and copies between TERMINAL, which may be NULL, and
 * the caller's terminal, which has its settings back afterwards. */
siginfo_t wait_for_child(struct child *child, struct terminal *terminal,
                         int signals);
