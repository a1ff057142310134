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

/* An ioctl(2) that is no part of the step, but of the relay: not shown by -v.
 */
static inline bool control(int fd, int request, void *argument) {
  return syscall(SYS_ioctl, fd, request, argument) == 0;
}

static inline bool is_terminal(int fd) {
  struct termios settings;

  return control(fd, TCGETS, &settings);
}

/* Puts PREFIX and NUMBER, a file's name, into LINE. */
static inline const char *put_name(struct line *line, const char *prefix,
                                   int number) {
  line->length = 0;
  put_string(line, prefix);
  put_number(line, number);
  put_char(line, '\0');
  return line->text;
}

/* A shell's job in the background leaves the terminal alone. A terminal that is
 * not our controlling one has no such thing. */
static inline bool in_background(const struct terminal *terminal) {
  int group;

  return control(terminal->ours, TIOCGPGRP, &group) &&
         group != syscall(SYS_getpgid, 0);
}

static inline void resize(const struct terminal *terminal) {
  struct winsize size;

  if (control(terminal->out, TIOCGWINSZ, &size)) {
    control(terminal->master, TIOCSWINSZ, &size);
  }
}

static inline struct statx stat_of(int fd) {
  struct statx st;

  if (CALL(statx, fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st) < 0) {
    err(FAILED, "statx");
  }
  return st;
}

/* One side of a terminal, without waiting for it, or becoming its session. */
static inline int open_end(int directory, const char *path) {
  return CALL(openat, directory, path,
              O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/* The master of a new pty, whose slave is in /dev/pts. */
static inline int open_ptmx(void) {
  int master = open_end(AT_FDCWD, "/dev/ptmx");

  if (master < 0) {
    err(FAILED, "open /dev/ptmx");
  }
  return master;
}

/* The same of the devpts below ROOT, which is filled by somebody else: no link
 * is followed, and nothing opened that was not seen to be a pty multiplexer.
 * The new terminal gets the owner of that, who is the root of where it was
 * mounted.
 */
static inline int open_ptmx_below(int root, int proc, struct statx *owner) {
  static const char names[][5] = {"dev", "pts", "ptmx"};
  struct statfs fs;
  struct line path;
  int fd = root;

  for (int i = 0; i < 3 && fd >= 0; i++) {
    const char *name = names[i];
    fd = CALL(openat, fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  }
  if (fd >= 0) {
    *owner = stat_of(fd);
    if (CALL(fstatfs, fd, &fs) < 0 || fs.f_type != DEVPTS_SUPER_MAGIC ||
        owner->stx_rdev_major != 5 || owner->stx_rdev_minor != 2) {
      errx(FAILED, "/dev/pts/ptmx of the target is no pty multiplexer");
    }
    fd = open_end(proc, put_name(&path, "self/fd/", fd));
  }
  if (fd < 0) {
    err(FAILED, "open /dev/pts/ptmx of the target");
  }
  return fd;
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
    int ours = open_end(proc, "self/fd/0");
    terminal->ours = terminal->in = terminal->out = ours < 0 ? 0 : ours;
    terminal->shared = !is_terminal(1);
  }

  /* It looks like ours. What is typed is shown once: by ours, if that is not in
   * raw mode. */

  int model =
      terminal->ours < 0 || in_background(terminal) ? slave : terminal->ours;
  control(model, TCGETS, &settings);
  if (terminal->shared) {
    settings.c_lflag &= ~ECHO;
  }
  if (!control(slave, TCSETS, &settings)) {
    err(FAILED, "ioctl TCSETS");
  }
  resize(terminal);
}

/* In the child: opens the slave by its name, and so in the mount namespace that
 * the child is in. No other descriptor could be bound on /dev/console. */
static inline void reopen_slave(struct terminal *terminal) {
  struct statx meant = stat_of(terminal->slave), st;
  struct line path;
  int number = -1;

  control(terminal->master, TIOCGPTN, &number);
  const char *name = put_name(&path, "/dev/pts/", number);
  terminal->slave =
      CALL(openat, AT_FDCWD, name, O_RDWR | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
  if (terminal->slave < 0) {
    err(FAILED, "open %s", name);
  }
  st = stat_of(terminal->slave);
  if (st.stx_ino != meant.stx_ino || st.stx_dev_major != meant.stx_dev_major ||
      st.stx_dev_minor != meant.stx_dev_minor) {
    errx(FAILED, "%s is not the new terminal", name);
  }
}

/* In the child: makes the slave its descriptors 0-2, as far as that is meant,
 * and lets go of ours. */
static inline void use_terminal(const struct terminal *terminal) {
  int slave = terminal->slave;

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

/* In the process that will be PROG: makes the slave its controlling terminal.
 */
static inline void lead_session(void) {
  if (CALL(setsid) < 0 || CALL(ioctl, 0, TIOCSCTTY, 0) < 0) {
    err(FAILED, "setsid, ioctl TIOCSCTTY");
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
  if (terminal->taken || !control(terminal->ours, TCGETS, &now)) {
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
    control(terminal->ours, TCSETS, &now);
  }
  terminal->taken = true;
  resize(terminal);
  return true;
}

static inline void give_back(struct terminal *terminal) {
  if (terminal->taken && !in_background(terminal)) {
    control(terminal->ours, TCSETS, &terminal->saved);
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

/* Shows what has been written to the slave so far. */
static inline void show(const struct terminal *terminal) {
  struct flow shown;

  while (fill(&shown, terminal->master) > 0) {
    while (shown.length && drain(&shown, terminal->out)) {
    }
  }
}

/* Sends SIGNAL to PROG, from its terminal. */
static inline void press(struct child *child, int signal) {
  struct signalfd_siginfo info = {.ssi_signo = signal};

  forward(child, &info);
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

  if (!control(terminal->master, TCGETS, &settings)) {
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
  if (settings.c_lflag & ISIG && control(terminal->master, TIOCGPGRP, &group) &&
      group == child->pid) {
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
      int key = settings.c_cc[keys[i][0]];
      if (key && memchr(typed->bytes, key, typed->length) &&
          would_not_get(child, keys[i][1])) {
        press(child, keys[i][1]);
      }
    }
  }
}

/* Nobody reads what PROG writes: it gets the signal that we got for that, and
 * its terminal is gone. */
static inline void hang_up(struct terminal *terminal, struct child *child) {
  press(child, SIGPIPE);
  close_fd(terminal->slave);
  close_fd(terminal->master);
  terminal->in = terminal->master = -1;
}

/* Sends SIGNAL, of a key, to the foreground of the new terminal. False if there
 * is none, or PROG is it and would not get it. */
static inline bool key_is_sent(const struct terminal *terminal,
                               const struct child *child, int signal) {
  int group;

  return control(terminal->master, TIOCGPGRP, &group) && group > 0 &&
         !(group == child->pid && would_not_get(child, signal)) &&
         syscall(SYS_ioctl, terminal->master, TIOCSIG, signal) == 0;
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
  if (end->si_pid) {
    return info.ssi_signo != SIGCONT;
  }

  /* A key of ours that was no byte: it is one for the foreground inside. */

  if (info.ssi_code != SI_KERNEL ||
      (info.ssi_signo != SIGINT && info.ssi_signo != SIGQUIT) ||
      !key_is_sent(terminal, child, info.ssi_signo)) {
    forward(child, &info);
  }
  return false;
}

/* Waits until CHILD has ended, as wait_for() does, and relays TERMINAL. One
 * buffer each way, read into when it is empty: who writes too fast waits. */
static inline siginfo_t relay(struct terminal *terminal, struct child *child,
                              int signals) {
  struct flow typed = {0}, shown = {0};
  siginfo_t end;
  long rest = IN_FLIGHT;

  /* It may have ended already, and the SIGCHLD been one with another's. */

  has_ended(child, &end);

  for (;;) {

    /* What PROG wrote last is still shown. What others write who have its
     * terminal open when it has ended may never stop. */

    if (end.si_pid && !shown.length) {
      if (rest < 0 || fill(&shown, terminal->master) <= 0) {
        break;
      }
      rest -= shown.length;
    }

    bool ours = take(terminal);
    struct timespec soon = {0, 250000000};
    struct pollfd fds[] = {
        {signals, POLLIN, 0},
        {ours && !end.si_pid && !typed.length ? terminal->in : -1, POLLIN, 0},
        {typed.length ? terminal->master : -1, POLLOUT, 0},
        {shown.length ? -1 : terminal->master, POLLIN, 0},
        {shown.length ? terminal->out : -1, POLLOUT, 0}};
    syscall(SYS_ppoll, fds, 5, ours ? NULL : &soon, NULL, 0);

    if (fds[0].revents) {
      bool had_ended = end.si_pid;
      if (heed(terminal, child, signals, &end)) {
        if (had_ended) {
          break;
        }
        close_fd(terminal->slave);
      }
      continue;
    }

    /* A pager may have set itself up while we waited. */

    if (fds[1].revents && take(terminal) && fill(&typed, terminal->in) >= 0) {
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

    if (fds[4].revents && !drain(&shown, terminal->out)) {
      if (end.si_pid) {
        break;
      }
      shown.length = 0;
      hang_up(terminal, child);
    }
  }
  give_back(terminal);
  return end;
}

#endif
