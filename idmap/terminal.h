/* terminal.h: a terminal for PROG, which is not ours.
 *
 * Whoever has our terminal open can type into it (TIOCSTI), and the shell
 * outside reads that when PROG has ended: CVE-2016-2779, CVE-2017-5226. A
 * session of its own does not stop the host's root. So PROG gets a new
 * terminal, the slave of a pty, and we, who stay outside, copy what is typed on
 * ours to its master, and what comes back to ours.
 *
 * Standard input becomes the new terminal. If it was one, so do standard output
 * and error where they are terminals: what goes into a file or a pipe is not
 * for a terminal's hands. If it was none, all three are, as in a script that
 * has a terminal made to get one: the end of its input is typed as a key, and
 * what comes back goes to standard output.
 */

#ifndef TERMINAL_H
#define TERMINAL_H

#include "../nsjoin/wait.h"
#include <linux/magic.h>
#include <linux/stat.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <termios.h>

/* A pty holds at most 64 KiB and what was written last. */
#define IN_FLIGHT 0x20000

struct terminal {
  int master, slave;
  int ours;    /* our own terminal, or -1 if standard input is none */
  int in, out; /* what is relayed: ours, or 0 and 1 */
  bool shared; /* ours keeps its settings: others in a pipeline may use it */
  bool taken;  /* ours is in raw mode */
  bool midline;
  struct termios saved, raw;
};

/* Bytes on their way. */
struct flow {
  long length, done;
  char bytes[4096];
};

static inline bool is_terminal(int fd) {
  struct termios settings;

  return CALL(ioctl, fd, TCGETS, &settings) == 0;
}

/* A shell's job in the background leaves the terminal alone. A terminal that is
 * not our controlling one has no such thing. */
static inline bool in_background(const struct terminal *terminal) {
  int group;

  return syscall(SYS_ioctl, terminal->ours, TIOCGPGRP, &group) == 0 &&
         group != syscall(SYS_getpgid, 0);
}

static inline void resize(const struct terminal *terminal) {
  struct winsize size;

  if (syscall(SYS_ioctl, terminal->out, TIOCGWINSZ, &size) == 0) {
    syscall(SYS_ioctl, terminal->master, TIOCSWINSZ, &size);
  }
}

/* The master of a new pty, whose slave is in /dev/pts. */
static inline int open_ptmx(void) {
  int master = CALL(openat, AT_FDCWD, "/dev/ptmx",
                    O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

  if (master < 0) {
    err(FAILED, "open /dev/ptmx");
  }
  return master;
}

/* Before the child is made: fills TERMINAL for MASTER, a new pty's, which is
 * not blocking. PROC is a procfs. Exits if that fails. */
static inline void open_terminal(struct terminal *terminal, int master,
                                 int proc) {
  struct termios settings = {0};
  int unlocked = 0;

  if (CALL(ioctl, master, TIOCSPTLCK, &unlocked) < 0) {
    err(FAILED, "ioctl TIOCSPTLCK");
  }

  /* Ours, too, is held open while PROG lives: when the last slave is closed,
   * which getty(8) does to open it anew, the master would be at its end. */

  int slave = CALL(ioctl, master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0) {
    err(FAILED, "ioctl TIOCGPTPEER (needs Linux 4.13)");
  }
  *terminal = (struct terminal){
      .master = master, .slave = slave, .ours = -1, .out = 1, .shared = true};

  /* Opened anew, it can be made not to block without our doing that to the
   * shell's descriptor. After su(1) it may belong to somebody else. */

  if (is_terminal(0)) {
    int ours = CALL(openat, proc, "self/fd/0",
                    O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    terminal->ours = terminal->in = terminal->out = ours < 0 ? 0 : ours;
    terminal->shared = !is_terminal(1);
  }

  /* It looks like ours. What is typed is shown once: by ours, if that is not in
   * raw mode. */

  int model =
      terminal->ours < 0 || in_background(terminal) ? slave : terminal->ours;
  if (CALL(ioctl, model, TCGETS, &settings) < 0) {
    err(FAILED, "ioctl TCGETS");
  }
  if (terminal->shared) {
    settings.c_lflag &= ~ECHO;
  }
  if (CALL(ioctl, slave, TCSETS, &settings) < 0) {
    err(FAILED, "ioctl TCSETS");
  }
  resize(terminal);
}

/* In the child: opens the slave by its name, and so in the mount namespace that
 * the child is in. No other descriptor could be bound on /dev/console. */
static inline void reopen_slave(struct terminal *terminal) {
  struct statx meant, st;
  struct line path;
  int number;

  if (CALL(ioctl, terminal->master, TIOCGPTN, &number) < 0) {
    err(FAILED, "ioctl TIOCGPTN");
  }
  path.length = 0;
  put_string(&path, "/dev/pts/");
  put_number(&path, number);
  put_char(&path, '\0');
  const char *name = path.text;
  int slave =
      CALL(openat, AT_FDCWD, name, O_RDWR | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
  if (slave < 0) {
    err(FAILED, "open %s", name);
  }
  if (CALL(statx, slave, "", AT_EMPTY_PATH, STATX_INO, &st) < 0 ||
      CALL(statx, terminal->slave, "", AT_EMPTY_PATH, STATX_INO, &meant) < 0) {
    err(FAILED, "statx %s", name);
  }
  if (st.stx_ino != meant.stx_ino || st.stx_dev_major != meant.stx_dev_major ||
      st.stx_dev_minor != meant.stx_dev_minor) {
    errx(FAILED, "%s is not the new terminal", name);
  }
  terminal->slave = slave;
}

/* In the child: makes the slave its controlling terminal and its descriptors
 * 0-2, as far as that is meant, and lets go of ours. */
static inline void use_terminal(const struct terminal *terminal) {
  int slave = terminal->slave;

  if (CALL(setsid) < 0) {
    err(FAILED, "setsid");
  }
  if (CALL(ioctl, slave, TIOCSCTTY, 0) < 0) {
    err(FAILED, "ioctl TIOCSCTTY");
  }
  for (int fd = 0; fd <= 2; fd++) {
    if ((terminal->ours < 0 || is_terminal(fd)) &&
        CALL(dup3, slave, fd, 0) < 0) {
      err(FAILED, "dup3");
    }
  }
  close_fd(terminal->master);
  if (terminal->ours > 2) {
    close_fd(terminal->ours);
  }
}

/* What follows is done for each key, and not shown by -v. */

/* Puts ours in raw mode, in which all keys are bytes, when it is for us to use.
 * False if nothing is to be read from it now, and nobody will say when. */
static inline bool take(struct terminal *terminal) {
  struct termios now = {0};

  if (terminal->ours < 0) {
    return true;
  }
  if (in_background(terminal)) {
    terminal->taken = false;
    return false;
  }
  if (terminal->taken || syscall(SYS_ioctl, terminal->ours, TCGETS, &now) < 0) {
    return true;
  }

  /* A pager at the end of a pipeline reads keys one by one, and they are its.
   */

  if (terminal->shared) {
    return now.c_lflag & ICANON;
  }

  /* After a SIGSTOP nobody may have put back what was. */

  if (memcmp(&now, &terminal->raw, sizeof(now)) != 0) {
    terminal->saved = now;
    cfmakeraw(&now);
    terminal->raw = now;
    syscall(SYS_ioctl, terminal->ours, TCSETS, &now);
  }
  terminal->taken = true;
  resize(terminal);
  return true;
}

static inline void give_back(struct terminal *terminal) {
  if (terminal->taken && !in_background(terminal)) {
    syscall(SYS_ioctl, terminal->ours, TCSETS, &terminal->saved);
  }
  terminal->taken = false;
}

/* Reads from FD what it has. As read(2), but 0 too if FD is at a bad end. */
static inline long fill(struct flow *flow, int fd) {
  long n = syscall(SYS_read, fd, flow->bytes, sizeof(flow->bytes));

  flow->done = 0;
  flow->length = n > 0 ? n : 0;
  return n < 0 && errno != EAGAIN ? 0 : n;
}

/* Writes to FD what it takes. False if it will never take any more. */
static inline bool drain(struct flow *flow, int fd) {
  long n = syscall(SYS_write, fd, flow->bytes + flow->done,
                   flow->length - flow->done);

  flow->done += n > 0 ? n : 0;
  if (flow->done == flow->length) {
    flow->length = 0;
  }
  return n >= 0 || errno == EAGAIN;
}

/* For a SIGNAL that the terminal sends to PROG, and PROG does not get. */
static inline void press(struct child *child, int signal) {
  struct signalfd_siginfo info = {.ssi_signo = signal};

  if (!child->killed_by && would_not_get(child, signal)) {
    forward(child, &info);
  }
}

/* What was typed is in TYPED, or nothing if that was the end of it. Sends the
 * signals of those keys that the kernel sends in vain, to a PROG that is PID 1
 * and in the foreground. */
static inline void type(struct terminal *terminal, struct flow *typed,
                        struct child *child) {
  static const unsigned char keys[][2] = {
      {VINTR, SIGINT}, {VQUIT, SIGQUIT}, {VSUSP, SIGTSTP}};
  struct termios settings;
  int group;

  if (syscall(SYS_ioctl, terminal->master, TCGETS, &settings) < 0) {
    return;
  }

  /* In the middle of a line the key means only that the line goes out. */

  if (!typed->length) {
    memset(typed->bytes, settings.c_cc[VEOF], 2);
    typed->length = settings.c_cc[VEOF] ? 1 + terminal->midline : 0;
    terminal->midline = false;
    return;
  }
  terminal->midline = typed->bytes[typed->length - 1] != '\n';
  if (settings.c_lflag & ISIG &&
      syscall(SYS_ioctl, terminal->master, TIOCGPGRP, &group) == 0 &&
      group == child->pid) {
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
      int key = settings.c_cc[keys[i][0]];
      if (key && memchr(typed->bytes, key, typed->length)) {
        press(child, keys[i][1]);
      }
    }
  }
}

/* PROG's terminal is gone, as it is when a terminal's line is cut. */
static inline void hang_up(struct terminal *terminal, struct child *child) {
  close_fd(terminal->slave);
  close_fd(terminal->master);
  terminal->in = terminal->master = -1;
  press(child, SIGHUP);
}

/* Takes one of SIGNALS. True if CHILD has ended, and how is in *END; or if it
 * had before, and we are told to end, too. */
static inline bool heed(struct terminal *terminal, struct child *child,
                        int signals, siginfo_t *end) {
  struct signalfd_siginfo info;

  if (syscall(SYS_read, signals, &info, sizeof(info)) != sizeof(info)) {
    return false;
  }
  if (info.ssi_signo == SIGCHLD) {

    /* If it has stopped, we do as well, and not with a raw terminal. */

    give_back(terminal);
    return !end->si_pid && has_ended(child, end);
  }
  if (info.ssi_signo == SIGWINCH) {
    resize(terminal);
    return false;
  }
  if (info.ssi_signo == SIGCONT) {
    terminal->taken = false;
  }
  if (!end->si_pid) {
    forward(child, &info);
    return false;
  }
  return info.ssi_signo != SIGCONT;
}

/* Waits until CHILD has ended, as wait_for() does, and relays TERMINAL. One
 * buffer each way, read into when it is empty: who writes too fast waits. */
static inline siginfo_t relay(struct terminal *terminal, struct child *child,
                              int signals) {
  struct flow typed = {0}, shown = {0};
  siginfo_t end = {0};
  bool broken = false;
  long rest = IN_FLIGHT;

  for (;;) {

    /* What PROG wrote last is still shown. What others write who have its
     * terminal open when it has ended may never stop. */

    if (end.si_pid && !shown.length) {
      if (rest <= 0 || fill(&shown, terminal->master) <= 0) {
        break;
      }
      rest -= shown.length;
    }

    bool ours = take(terminal), cut = broken && terminal->master >= 0;
    struct timespec soon = {0, cut ? 0 : 250000000};
    struct pollfd fds[] = {
        {signals, POLLIN, 0},
        {ours && !end.si_pid && !typed.length ? terminal->in : -1, POLLIN, 0},
        {typed.length ? terminal->master : -1, POLLOUT, 0},
        {shown.length ? -1 : terminal->master, POLLIN, 0},
        {shown.length ? terminal->out : -1, POLLOUT, 0}};
    syscall(SYS_ppoll, fds, 5, cut || !ours ? &soon : NULL, NULL, 0);

    if (fds[0].revents) {
      if (heed(terminal, child, signals, &end)) {
        if (rest < IN_FLIGHT) {
          break;
        }
        close_fd(terminal->slave);
      }
      continue;
    }
    if (cut) {
      hang_up(terminal, child);
      continue;
    }
    if (fds[1].revents && fill(&typed, terminal->in) >= 0) {
      if (!typed.length && (terminal->ours < 0 || fds[1].revents & POLLHUP)) {
        terminal->in = -1;
      }
      type(terminal, &typed, child);
    }
    if (fds[2].revents && !drain(&typed, terminal->master)) {
      typed.length = 0;
    }
    if (fds[3].revents) {
      fill(&shown, terminal->master);
    }

    /* Then PROG is sent the SIGPIPE that we get, and after that SIGHUP. */

    if (fds[4].revents && !drain(&shown, terminal->out)) {
      shown.length = 0;
      broken = true;
    }
  }
  give_back(terminal);
  return end;
}

#endif
