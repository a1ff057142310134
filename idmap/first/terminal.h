/* terminal.h: a terminal for PROG, which is not ours.
 *
 * A process that has our terminal open can type into it (TIOCSTI), and the
 * shell outside reads that when PROG has ended: CVE-2016-2779, CVE-2017-5226. A
 * session of its own does not stop the host's root. So those of descriptors 0-2
 * that are terminals become a new one, the slave of a pty, and we, who stay
 * outside, copy what is typed on ours to its master, and what comes back to
 * ours. A file or a pipe goes in as it is. If none of the three is a terminal,
 * all become the new one: a booted system wants a console.
 *
 * Keys are ours only while standard input and output are the same terminal:
 * else another program of a pipeline may read that terminal too. Then we take
 * whole lines, and only while our terminal echoes them.
 */

#ifndef TERMINAL_H
#define TERMINAL_H

#include "../../nsjoin/wait.h"
#include "statx.h"
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <termios.h>

/* A pty holds at most 64 KiB and what was written last. */
#define IN_FLIGHT 0x20000

/* The key that ends PROG if it comes three times within a second: ^]. */
#define ESCAPE 0x1d

struct terminal {
  int master, slave;
  bool replaced[3]; /* which descriptors of PROG are the slave */
  enum { NOTHING, BYTES, LINES, KEYS } input; /* what PROG gets typed */
  int in, out;  /* what is relayed; -1 if there is no input, or no more */
  bool raw;     /* ours is in raw mode */
  bool hidden;  /* ours does not echo, as the new one does not */
  bool midline; /* BYTES: the last byte was no newline */
  bool at_end;  /* LINES: the end of a file is still to be typed */
  int escapes;  /* how many ^] came in a row, */
  long first;   /* the first of them when, as now() has it */
  struct termios saved, taken; /* ours, before and in raw mode */
  tcflag_t echo, post;         /* what the new one did while ours was raw */
};

/* Bytes on their way. */
struct flow {
  long length, done, since; /* since: when some went, as now() has it */
  char bytes[4096];
};

/* An ioctl(2) that is no part of the step, but of the relay: not shown by -v.
 */
static inline bool control(int fd, int request, void *argument) {
  return syscall(SYS_ioctl, fd, request, argument) == 0;
}

/* Whether FD is a terminal. One that does not say so, since it has hung up or a
 * filter refuses the question, is taken for one: PROG must not get it. */
static inline bool is_terminal(int fd) {
  struct termios settings = {0};

  return control(fd, TCGETS, &settings) ||
         (errno != ENOTTY && errno != EBADF && errno != EINVAL);
}

static inline bool is_any_terminal(void) {
  return is_terminal(0) || is_terminal(1) || is_terminal(2);
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

  return control(terminal->in, TIOCGPGRP, &group) &&
         group != syscall(SYS_getpgid, 0);
}

static inline void resize(const struct terminal *terminal) {
  struct winsize size;

  if (control(terminal->out, TIOCGWINSZ, &size)) {
    control(terminal->master, TIOCSWINSZ, &size);
  }
}

/* Has the new terminal echo and process output by itself, as it did, or has it
 * stop that: ours does it unless it is raw. */
static inline void set_processing(struct terminal *terminal, bool on) {
  struct termios settings = {0};

  if (!control(terminal->master, TCGETS, &settings)) {
    return;
  }
  if (on) {
    settings.c_lflag |= terminal->echo;
    settings.c_oflag |= terminal->post;
  } else {
    terminal->echo = settings.c_lflag & ECHO;
    terminal->post = settings.c_oflag & OPOST;
    settings.c_lflag &= ~ECHO;
    settings.c_oflag &= ~OPOST;
  }
  control(terminal->master, TCSETS, &settings);
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

/* Opens the terminal FD anew: then it can be made not to block without our
 * doing that to the shell's descriptor. After su(1) it may belong to somebody
 * else. */
static inline int open_anew(int proc, int fd) {
  struct line path;
  int anew = open_end(proc, put_name(&path, "self/fd/", fd));

  return anew < 0 ? fd : anew;
}

static inline bool are_same_terminal(int one, int other) {
  unsigned first, second;

  return control(one, TIOCGDEV, &first) && control(other, TIOCGDEV, &second) &&
         first == second;
}

/* Before the child is made: fills TERMINAL for MASTER, a new pty's, which is
 * not blocking. PROC is a procfs. Exits if that fails. */
static inline void open_terminal(struct terminal *terminal, int master,
                                 int proc) {
  struct termios settings = {0};
  int unlocked = 0, count = 0;

  if (CALL(ioctl, master, TIOCSPTLCK, &unlocked) < 0) {
    err(FAILED, "ioctl TIOCSPTLCK");
  }

  /* Ours, too, is held open while PROG lives: when the last slave is closed,
   * which getty(8) does to open it anew, the master would be at its end. */

  int slave = CALL(ioctl, master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0) {
    err(FAILED, "ioctl TIOCGPTPEER (needs Linux 4.13)");
  }
  *terminal =
      (struct terminal){.master = master, .slave = slave, .in = -1, .out = -1};
  for (int fd = 0; fd <= 2; fd++) {
    terminal->replaced[fd] = is_terminal(fd);
    count += terminal->replaced[fd];
  }
  if (count == 0) {
    terminal->input = BYTES;
    terminal->in = 0;
    terminal->out = 1;
  } else {
    if (terminal->replaced[0]) {
      terminal->input = are_same_terminal(0, 1) ? KEYS : LINES;
      terminal->in = open_anew(proc, 0);
    }
    terminal->out = terminal->input == KEYS ? terminal->in
                    : terminal->replaced[1] ? open_anew(proc, 1)
                    : terminal->replaced[2] ? open_anew(proc, 2)
                                            : terminal->in;
  }
  for (int fd = 0; fd <= 2; fd++) {
    terminal->replaced[fd] |= count == 0;
  }

  if (!control(slave, TCGETS, &settings)) {
    err(FAILED, "ioctl TCGETS");
  }
  bool foreground = terminal->input == KEYS && !in_background(terminal);
  if (foreground) {
    control(terminal->in, TCGETS, &settings); /* it looks like ours */
  } else if (terminal->input == LINES) {

    /* With EXTPROC it is we who echo and edit lines. PROG's ECHO says whether
     * what is typed may be seen: ours follows it. */

    settings.c_lflag |= EXTPROC;
    settings.c_oflag &= ~OPOST;
  }
  if (!control(slave, TCSETS, &settings)) {
    err(FAILED, "ioctl TCSETS");
  }
  if (!foreground && terminal->input != LINES) {
    set_processing(terminal, false);
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

/* In the child: makes the slave those of its descriptors 0-2 that were ours,
 * and lets go of ours. */
static inline void use_terminal(const struct terminal *terminal) {
  for (int fd = 0; fd <= 2; fd++) {
    int slave = terminal->slave;
    if (terminal->replaced[fd] && CALL(dup3, slave, fd, 0) < 0) {
      err(FAILED, "dup3");
    }
  }
  close_fd(terminal->master);
  if (terminal->in > 2) {
    close_fd(terminal->in);
  }
  if (terminal->out > 2 && terminal->out != terminal->in) {
    close_fd(terminal->out);
  }
}

/* In the process that will be PROG: begins a session, which the slave becomes
 * the terminal of if anything is ever typed there. If not, who opens /dev/tty
 * to ask for something must not wait for an answer. */
static inline void lead_session(const struct terminal *terminal) {
  int slave = terminal->slave;

  if (CALL(setsid) < 0 ||
      (terminal->input != NOTHING && CALL(ioctl, slave, TIOCSCTTY, 0) < 0)) {
    err(FAILED, "setsid, ioctl TIOCSCTTY");
  }
}

/* What follows is done for each key, and not shown by -v. */

/* Whether a line that is typed on ours is for us. Another program in the
 * pipeline that asks for a password, or for single keys, has it meanwhile. Our
 * echo is off only if it was us who did that, since PROG asks for one. */
static inline bool take_lines(struct terminal *terminal) {
  struct termios ours = {0}, new = {0};

  if (!control(terminal->in, TCGETS, &ours) ||
      !control(terminal->master, TCGETS, &new) || !(ours.c_lflag & ICANON) ||
      (!(ours.c_lflag & ECHO) && !terminal->hidden)) {
    return false;
  }
  if (!(new.c_lflag &EXTPROC)) { /* as stty(1) has it for sane */
    new.c_lflag |= EXTPROC;
    control(terminal->master, TCSETS, &new);
  }
  if (!(new.c_lflag &ECHO) != terminal->hidden) {
    terminal->hidden = !terminal->hidden;
    ours.c_lflag ^= ECHO;
    control(terminal->in, TCSETS, &ours);
  }
  return true;
}

/* Sees to it that what is typed comes to us: puts ours in raw mode, in which
 * all keys are bytes, if it is for us alone. False if nothing is to be read
 * now, and nobody will say when. */
static inline bool take(struct terminal *terminal) {
  struct termios ours = {0};

  if (terminal->input == BYTES || terminal->in < 0) {
    return true;
  }
  if (in_background(terminal)) {
    if (terminal->raw) {
      set_processing(terminal, false);
    }
    terminal->raw = terminal->hidden = false;
    return false;
  }
  if (terminal->input == LINES) {
    return take_lines(terminal);
  }
  if (terminal->raw || !control(terminal->in, TCGETS, &ours)) {
    return true;
  }

  /* After a SIGSTOP nobody may have put back what was. */

  if (memcmp(&ours, &terminal->taken, sizeof(ours)) != 0) {
    terminal->saved = ours;
    cfmakeraw(&ours);
    terminal->taken = ours;
    control(terminal->in, TCSETS, &ours);
  }
  terminal->raw = true;
  set_processing(terminal, true);
  resize(terminal);
  return true;
}

static inline void give_back(struct terminal *terminal) {
  struct termios ours = {0};

  if (terminal->raw) {
    set_processing(terminal, false);
  }
  if ((terminal->raw || terminal->hidden) && !in_background(terminal)) {
    if (terminal->raw) {
      control(terminal->in, TCSETS, &terminal->saved);
    } else if (control(terminal->in, TCGETS, &ours)) {
      ours.c_lflag |= ECHO;
      control(terminal->in, TCSETS, &ours);
    }
  }
  terminal->raw = terminal->hidden = false;
}

/* Reads from FD what it has. As read(2), but 0 too if FD is at a bad end. */
static inline long fill(struct flow *flow, int fd) {
  long n = syscall(SYS_read, fd, flow->bytes, sizeof(flow->bytes));

  flow->done = 0;
  flow->length = n > 0 ? n : 0;
  flow->since = now();
  return n < 0 && errno != EAGAIN ? 0 : n;
}

/* Writes to FD what it takes. False if it will never take any more. */
static inline bool drain(struct flow *flow, int fd) {
  long n = syscall(SYS_write, fd, flow->bytes + flow->done,
                   flow->length - flow->done);

  if (n > 0) {
    flow->done += n;
    flow->since = now();
  }
  if (flow->done == flow->length) {
    flow->length = 0;
  }
  return n >= 0 || errno == EAGAIN;
}

/* Sends SIGNAL to PROG, from its terminal. */
static inline void press(struct child *child, int signal) {
  struct signalfd_siginfo info = {.ssi_signo = signal};

  forward(child, &info);
}

/* Whether KEYS, read just now, ask for PROG's end, whatever it does. */
static inline bool is_escape(struct terminal *terminal,
                             const struct flow *keys) {
  if (terminal->input != KEYS) {
    return false;
  }
  for (long i = 0; i < keys->length; i++) {
    if (keys->bytes[i] != ESCAPE) {
      terminal->escapes = 0;
      continue;
    }
    if (terminal->escapes == 0 || now() - terminal->first > 1000) {
      terminal->escapes = 0;
      terminal->first = now();
    }
    if (++terminal->escapes == 3) {
      return true;
    }
  }
  return false;
}

/* What was typed is in TYPED, or nothing if that was the end of it. Sends the
 * signals of those keys that the kernel sends in vain, to a PROG that is PID 1
 * and in the foreground. */
static inline void type(struct terminal *terminal, struct flow *typed,
                        struct child *child) {
  static const unsigned char keys[][2] = {
      {VINTR, SIGINT}, {VQUIT, SIGQUIT}, {VSUSP, SIGTSTP}};
  struct termios settings = {0};
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
  terminal->midline =
      terminal->input == BYTES && typed->bytes[typed->length - 1] != '\n';
  if (settings.c_lflag & ISIG && !(settings.c_lflag & EXTPROC) &&
      control(terminal->master, TIOCGPGRP, &group) && group == child->pid) {
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
      int key = settings.c_cc[keys[i][0]];
      if (key && memchr(typed->bytes, key, typed->length) &&
          would_not_get(child, keys[i][1])) {
        press(child, keys[i][1]);
      }
    }
  }
}

/* With EXTPROC the end of a file is that only for a PROG that has read all that
 * was TYPED before it. What it has to read yet is seen a moment later. */
static inline bool has_read_all(const struct terminal *terminal,
                                const struct flow *typed) {
  int unread;

  return !typed->length && now() - typed->since >= 100 &&
         (!control(terminal->slave, FIONREAD, &unread) || unread == 0);
}

/* Reads from our side into TYPED, which is empty, or else finds out only
 * whether PROG is to end: what it does not read is lost then. */
static inline void read_keys(struct terminal *terminal, struct flow *typed,
                             struct child *child, bool hung_up) {
  static struct flow lost;
  struct flow *keys = typed->length ? &lost : typed;
  long since = typed->since;

  if (fill(keys, terminal->in) < 0) {
    return;
  }
  if (!keys->length && (terminal->input == BYTES || hung_up)) {
    terminal->in = -1;
  }
  if (is_escape(terminal, keys)) {
    kill_child(child, SIGKILL);
  } else if (keys == typed && !typed->length && terminal->input == LINES) {
    typed->since = since;
    terminal->at_end = true;
  } else if (keys == typed) {
    type(terminal, typed, child);
  }
}

/* Nobody reads what PROG writes: it gets the signal that we got for that, and
 * its terminal is gone. */
static inline void hang_up(struct terminal *terminal, struct child *child) {
  press(child, SIGPIPE);
  give_back(terminal);
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
    terminal->raw = terminal->hidden = false;
  }
  if (end->si_pid) {
    return info.ssi_signo != SIGCONT;
  }

  /* A key of ours that was no byte: it is one for the foreground inside. */

  if (is_key(&info) && !child->had_key &&
      key_is_sent(terminal, child, info.ssi_signo)) {
    child->had_key = true;
  } else {
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
    if (!end.si_pid && is_given_up(child, &end)) {
      break;
    }

    /* What PROG wrote last is still shown. What others write who have its
     * terminal open when it has ended may never stop. */

    if (end.si_pid && !shown.length) {
      if (rest < 0 || fill(&shown, terminal->master) <= 0) {
        break;
      }
      rest -= shown.length;
    }

    if (terminal->at_end && has_read_all(terminal, &typed)) {
      terminal->at_end = false;
      type(terminal, &typed, child);
    }

    /* Keys that PROG does not read may ask for its end. */

    bool ours = take(terminal);
    bool ignored = terminal->input == KEYS && typed.length &&
                   now() - typed.since >= PATIENCE;
    bool reads =
        ours && !end.si_pid && (!typed.length || ignored) && !terminal->at_end;
    struct timespec soon = {0, 250000000}, left;
    struct timespec *timeout = time_left(child, &left);
    if (!timeout && (!ours || terminal->input == LINES ||
                     (terminal->input == KEYS && typed.length))) {
      timeout = &soon;
    }
    struct pollfd fds[] = {{signals, POLLIN, 0},
                           {reads ? terminal->in : -1, POLLIN, 0},
                           {typed.length ? terminal->master : -1, POLLOUT, 0},
                           {shown.length ? -1 : terminal->master, POLLIN, 0},
                           {shown.length ? terminal->out : -1, POLLOUT, 0}};
    if (syscall(SYS_ppoll, fds, 5, timeout, NULL, 0) < 0) {
      if (errno == EINTR) {
        continue;
      }
      give_back(terminal);
      err(FAILED, "ppoll");
    }

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

    if (fds[1].revents && take(terminal)) {
      read_keys(terminal, &typed, child, fds[1].revents & POLLHUP);
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
