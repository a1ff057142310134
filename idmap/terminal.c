/* terminal.c: a terminal for PROG that is not the caller's. terminal.h has the
 * contract. */

#include "terminal.h"
#include "../pivot/proc.h"
#include <linux/magic.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

/* ^] three times within ESCAPE_TIME ends PROG, as it ends systemd-nspawn. */
enum { ESCAPE = 0x1d, ESCAPE_TIME = 1000 };

/* How long a state that no event tells of can go unseen. */
enum { LOOK_AGAIN = 250 };

/* A pty has at most 64 KiB on their way, and what was written last. */
enum { IN_FLIGHT = 128 * 1024 };

/* ---- The new terminal ---- */

/* Whether FD is a terminal. If it has hung up, or a filter refuses the
 * question, FD is taken for a terminal: PROG must not get it. */
static bool is_terminal(int fd) {
  struct termios settings;

  /* isatty(3) of musl has no errno but ENOTTY. */

  return tcgetattr(fd, &settings) == 0 ||
         (errno != ENOTTY && errno != EBADF && errno != EINVAL);
}

/* Not blocking, and not to become our controlling terminal. */
static int open_terminal(int directory, const char *path) {
  return openat(directory, path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

int open_ptmx_or_exit(void) {
  return or_exit(open_terminal(AT_FDCWD, "/dev/ptmx"), "open", "/dev/ptmx");
}

int open_ptmx_below_or_exit(int proc, int root, struct stat *owner) {
  const char *const names[] = {"dev", "pts", "ptmx"};
  struct statfs fs;
  int fd = root;

  for (int i = 0; i < 3; i++) {
    fd = or_exit(openat(fd, names[i], O_PATH | O_NOFOLLOW | O_CLOEXEC), "open",
                 "/dev/pts/ptmx of the target");
  }

  /* It may be a link, a FIFO, or the multiplexer of another devpts. Only what
   * is seen to be what it should be is opened. */

  or_exit(fstat(fd, owner) || fstatfs(fd, &fs) ? -1 : 0, "fstat",
          "/dev/pts/ptmx of the target");
  refuse_if(fs.f_type != DEVPTS_SUPER_MAGIC || owner->st_rdev != makedev(5, 2),
            "/dev/pts/ptmx of the target", "is no pty multiplexer");
  return or_exit(open_terminal(proc, numbered("self/fd/", fd, "").text), "open",
                 "/dev/pts/ptmx of the target");
}

/* The terminal FD as a description of our own, which can be made not to block
 * without a change for the caller. After su(1) it may belong to another user:
 * then FD itself. */
static int open_anew(int proc, int fd) {
  int anew = open_terminal(proc, numbered("self/fd/", fd, "").text);

  return anew < 0 ? fd : anew;
}

static bool is_same_terminal(int one, int other) {
  unsigned first, second;

  return ioctl(one, TIOCGDEV, &first) == 0 &&
         ioctl(other, TIOCGDEV, &second) == 0 && first == second;
}

/* Whether a shell has this process in the background: then the terminal is not
 * ours. One that is not our controlling terminal has no background. */
static bool in_background(const struct terminal *terminal) {
  pid_t group = tcgetpgrp(terminal->in);

  return group >= 0 && group != getpgrp();
}

static void copy_size(const struct terminal *terminal) {
  struct winsize size;

  if (ioctl(terminal->out, TIOCGWINSZ, &size) == 0) {
    ioctl(terminal->master, TIOCSWINSZ, &size);
  }
}

/* While the caller's terminal is not raw, it processes output: then the new one
 * must not. Turns that off, or back ON as it was. */
static void set_processing(struct terminal *terminal, bool on) {
  struct termios new = {0};

  if (tcgetattr(terminal->master, &new) < 0) {
    return;
  }
  if (!on) {
    terminal->post = new.c_oflag &OPOST;
  }
  new.c_oflag = (new.c_oflag & ~OPOST) | (on ? terminal->post : 0);
  tcsetattr(terminal->master, TCSANOW, &new);
}

/* Finds out which of 0-2 are terminals, and what is copied from where. */
static void choose_descriptors(struct terminal *terminal, int proc) {
  bool *replaced = terminal->is_replaced;

  for (int fd = 0; fd <= 2; fd++) {
    replaced[fd] = is_terminal(fd);
  }
  if (!replaced[0] && !replaced[1] && !replaced[2]) {
    replaced[0] = replaced[1] = replaced[2] = true;
    terminal->input = BYTES;
    terminal->in = 0;
    terminal->out = 1;
    return;
  }
  if (replaced[0]) {
    terminal->input = is_same_terminal(0, 1) ? KEYS : LINES;
    terminal->in = open_anew(proc, 0);
  }
  terminal->out = terminal->in;
  if (terminal->input != KEYS && (replaced[1] || replaced[2])) {
    terminal->out = open_anew(proc, replaced[1] ? 1 : 2);
  }
}

struct terminal terminal_or_exit(int proc, int master) {
  struct terminal terminal = {.master = master, .in = -1, .out = -1};
  struct termios settings = {0};
  int unlocked = 0;

  /* The slave stays open here too while PROG lives. getty(8) closes the last
   * descriptor of it to open it anew, and the master would be at its end. */

  or_exit(ioctl(master, TIOCSPTLCK, &unlocked), "ioctl", "TIOCSPTLCK");
  terminal.slave =
      or_exit(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC),
              "ioctl", "TIOCGPTPEER");
  choose_descriptors(&terminal, proc);

  bool is_ours = terminal.input == KEYS && !in_background(&terminal);
  or_exit(tcgetattr(is_ours ? terminal.in : terminal.slave, &settings),
          "tcgetattr", "of the terminal");
  terminal.before = settings;
  terminal.post = settings.c_oflag & OPOST;

  /* While the caller's terminal is not raw, it edits lines, echoes them and
   * processes output. With EXTPROC, the ECHO of the new one only tells whether
   * a line is to be seen. */

  if (!is_ours) {
    settings.c_oflag &= ~OPOST;
  }
  if (terminal.input == LINES) {
    settings.c_lflag |= EXTPROC;
  } else if (terminal.input != KEYS) {
    settings.c_lflag &= ~ECHO;
  }
  or_exit(tcsetattr(terminal.slave, TCSANOW, &settings), "tcsetattr",
          "of the new terminal");
  copy_size(&terminal);
  return terminal;
}

/* ---- In the child ---- */

void reopen_slave_or_exit(struct terminal *terminal) {
  struct stat meant, seen;
  int number;

  or_exit(ioctl(terminal->master, TIOCGPTN, &number), "ioctl", "TIOCGPTN");
  struct numbered name = numbered("/dev/pts/", number, "");
  or_exit(fstat(terminal->slave, &meant), "fstat", name.text);
  terminal->slave =
      or_exit(open(name.text, O_RDWR | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC),
              "open", name.text);
  or_exit(fstat(terminal->slave, &seen), "fstat", name.text);
  refuse_if(seen.st_ino != meant.st_ino || seen.st_dev != meant.st_dev,
            name.text, "is not the new terminal");
}

void replace_terminals_or_exit(const struct terminal *terminal) {
  const int callers[] = {terminal->master, terminal->in, terminal->out};

  for (int fd = 0; fd <= 2; fd++) {
    if (terminal->is_replaced[fd]) {
      or_exit(dup2(terminal->slave, fd), "dup2", "the new terminal");
    }
  }
  for (int i = 0; i < 3; i++) {
    if (callers[i] > 2) {
      close(callers[i]);
    }
  }
}

void begin_session_or_exit(const struct terminal *terminal) {
  show_call("setsid", "", (const char *[]){NULL});
  or_exit(setsid() == getpid() ? 0 : -1, "setsid", "");

  /* Where nothing is typed, a program that opens /dev/tty to ask for something
   * must not wait for an answer. */

  if (terminal && terminal->input != NO_INPUT) {
    or_exit(ioctl(terminal->slave, TIOCSCTTY, 0), "ioctl", "TIOCSCTTY");
  }
}

/* ---- What is typed ---- */

/* Whether a line on the caller's terminal is for us. Another program of the
 * pipeline that asks for a password, or for single keys, has that terminal. If
 * it does not echo, it must be we who did that, for a PROG that asks. */
static bool take_lines(struct terminal *terminal) {
  struct termios caller = {0}, new = {0};

  if (tcgetattr(terminal->in, &caller) < 0 ||
      tcgetattr(terminal->master, &new) < 0 || !(caller.c_lflag & ICANON) ||
      (!(caller.c_lflag & ECHO) && !terminal->is_hidden)) {
    return false;
  }
  if (!(new.c_lflag &EXTPROC)) { /* "stty sane" turns it off */
    new.c_lflag |= EXTPROC;
    tcsetattr(terminal->master, TCSANOW, &new);
  }
  if (!(new.c_lflag &ECHO) != terminal->is_hidden) {
    terminal->is_hidden = !terminal->is_hidden;
    caller.c_lflag ^= ECHO;
    tcsetattr(terminal->in, TCSANOW, &caller);
  }
  return true;
}

/* Puts the caller's terminal in raw mode: each key can be read at once, and
 * none is echoed or becomes a signal. */
static void make_raw(struct terminal *terminal) {
  struct termios caller = {0}, raw;

  if (terminal->is_raw || tcgetattr(terminal->in, &caller) < 0) {
    return;
  }

  /* After a SIGSTOP it may be raw still. */

  raw = caller;
  cfmakeraw(&raw);
  if (memcmp(&caller, &raw, sizeof(raw)) != 0) {
    terminal->before = caller;
    tcsetattr(terminal->in, TCSANOW, &raw);
  }
  terminal->is_raw = true;
  set_processing(terminal, true);
  copy_size(terminal);
}

/* Gives the caller's terminal the settings back that it had, unless another
 * process has it now. */
static void give_back(struct terminal *terminal) {
  struct termios caller = terminal->before;
  bool is_raw = terminal->is_raw;

  if (is_raw) {
    set_processing(terminal, false);
  }
  if ((is_raw || terminal->is_hidden) && !in_background(terminal)) {
    if (!is_raw && tcgetattr(terminal->in, &caller) == 0) {
      caller.c_lflag |= ECHO;
    }
    tcsetattr(terminal->in, TCSANOW, &caller);
  }
  terminal->is_raw = terminal->is_hidden = false;
}

/* Whether what is typed now is for us; KEYS then need raw mode. If not, no
 * event will tell when it is. */
static bool take_input(struct terminal *terminal) {
  if (terminal->input == BYTES || terminal->in < 0) {
    return true;
  }
  if (in_background(terminal)) {
    give_back(terminal);
    return false;
  }
  if (terminal->input == LINES) {
    return take_lines(terminal);
  }
  make_raw(terminal);
  return true;
}

/* Whether KEYS, just read, end PROG whatever it does. */
static bool is_escape(struct terminal *terminal, const struct flow *keys) {
  for (ssize_t i = 0; i < keys->length; i++) {
    if (terminal->escapes == 0 || keys->since - terminal->first > ESCAPE_TIME) {
      terminal->escapes = 0;
      terminal->first = keys->since;
    }
    terminal->escapes = keys->bytes[i] == ESCAPE ? terminal->escapes + 1 : 0;
    if (terminal->escapes == 3) {
      return true;
    }
  }
  return false;
}

/* Reads from FD to FLOW. As read(2), but 0 for any error that stays. */
static ssize_t read_flow(struct flow *flow, int fd) {
  ssize_t n = read(fd, flow->bytes, sizeof(flow->bytes));

  flow->done = 0;
  flow->length = n > 0 ? n : 0;
  flow->since = milliseconds();
  return n < 0 && errno != EAGAIN && errno != EINTR ? 0 : n;
}

/* Writes as much of FLOW as FD takes now. False if FD will never take more. */
static bool write_flow(struct flow *flow, int fd) {
  ssize_t n = write(fd, flow->bytes + flow->done, flow->length - flow->done);

  if (n > 0) {
    flow->done += n;
    flow->since = milliseconds();
  }
  if (flow->done == flow->length) {
    flow->length = 0;
  }
  return n >= 0 || errno == EAGAIN || errno == EINTR;
}

/* Has the master typed the key for the end of a file. In the middle of a line
 * that key only ends the line, so it is typed twice. With EXTPROC, it is the
 * end only if it is alone. */
static void type_end(struct terminal *terminal) {
  struct flow *typed = &terminal->typed;
  struct termios new = {0};

  if (tcgetattr(terminal->master, &new) == 0 && new.c_cc[VEOF]) {
    typed->bytes[0] = typed->bytes[1] = new.c_cc[VEOF];
    typed->length = terminal->input == LINES ? 1 : 2;
  }
}

/* The kernel turns the keys that are typed into signals for the foreground of
 * the new terminal. If that is PROG, and the kernel would discard one, this
 * sends it.
 */
static void send_keys(const struct terminal *terminal, struct child *child) {
  const struct flow *typed = &terminal->typed;
  const int keys[][2] = {{VINTR, SIGINT}, {VQUIT, SIGQUIT}, {VSUSP, SIGTSTP}};
  struct termios new = {0};

  if (tcgetattr(terminal->master, &new) < 0 || !(new.c_lflag &ISIG) ||
      new.c_lflag & EXTPROC || tcgetpgrp(terminal->master) != child->pid) {
    return;
  }
  for (int i = 0; i < 3; i++) {
    int key = new.c_cc[keys[i][0]], signal = keys[i][1];
    if (key && memchr(typed->bytes, key, typed->length) &&
        would_discard(child, signal)) {
      pass_on(child, &(struct signalfd_siginfo){.ssi_signo = signal});
    }
  }
}

/* Reads what is typed. If what was typed before is still there, PROG has not
 * read for a while: then what is read is lost, and only whether it ends PROG
 * matters. */
static void read_input(struct terminal *terminal, struct child *child,
                       bool hung_up) {
  static struct flow lost;
  struct flow *typed = &terminal->typed, *keys = typed->length ? &lost : typed;

  if (read_flow(keys, terminal->in) < 0) {
    return;
  }
  bool at_end = !keys->length;
  if (at_end && (terminal->input == BYTES || hung_up)) {
    terminal->in = -1;
  }
  if (terminal->input == KEYS && is_escape(terminal, keys)) {
    kill_child(child, SIGKILL);
  } else if (at_end && terminal->input == LINES) {
    terminal->at_end = true;
  } else if (at_end) {
    type_end(terminal);
  } else if (keys == typed) {
    send_keys(terminal, child);
  }
}

/* With EXTPROC, the key for the end of a file is that only if PROG has read all
 * that came before it. What is on its way is there a moment later. */
static void type_pending_end(struct terminal *terminal) {
  int unread;

  if (terminal->at_end && !terminal->typed.length &&
      milliseconds() - terminal->typed.since >= 100 &&
      (ioctl(terminal->slave, FIONREAD, &unread) < 0 || unread == 0)) {
    terminal->at_end = false;
    type_end(terminal);
  }
}

/* ---- The relay ---- */

/* Ctrl-C or Ctrl-\ on the caller's terminal while that is not raw: passed on to
 * the foreground of the new one. False if it has none that would get it. */
static bool type_signal(const struct terminal *terminal,
                        const struct child *child, int signal) {
  pid_t group = tcgetpgrp(terminal->master);

  return group > 0 && !(group == child->pid && would_discard(child, signal)) &&
         ioctl(terminal->master, TIOCSIG, signal) == 0;
}

/* Reads one signal, and passes it on. If PROG has ENDED, returns whether the
 * signal ends the relay. */
static bool read_signal(struct terminal *terminal, struct child *child,
                        int signals, bool ended) {
  struct signalfd_siginfo info;

  if (read(signals, &info, sizeof(info)) != sizeof(info) ||
      info.ssi_signo == SIGCHLD) {
    return false;
  }
  if (info.ssi_signo == SIGCONT) {
    terminal->is_raw = terminal->is_hidden = false;
  }
  if (info.ssi_signo == SIGWINCH && terminal->master >= 0) {
    copy_size(terminal);
  } else if (ended) {
    return info.ssi_signo != SIGCONT;
  } else if (is_key(&info) && !child->had_key &&
             type_signal(terminal, child, info.ssi_signo)) {
    child->had_key = true;
  } else {
    pass_on(child, &info);
  }
  return false;
}

/* No one reads what PROG writes: PROG gets the signal for that, and has no
 * terminal any more. */
static void hang_up(struct terminal *terminal, struct child *child) {
  pass_on(child, &(struct signalfd_siginfo){.ssi_signo = SIGPIPE});
  give_back(terminal);
  close(terminal->slave);
  close(terminal->master);
  terminal->in = terminal->master = -1;
  terminal->shown.length = 0;
}

enum { SIGNALS, IN, TO_MASTER, FROM_MASTER, OUT, POLLED };

/* Waits until one of FDS is ready. One buffer each way is read into when it is
 * empty: who writes too fast waits. */
static void poll_or_exit(struct terminal *terminal, const struct child *child,
                         struct pollfd fds[POLLED], int signals, bool ended) {
  bool is_ours = take_input(terminal);
  bool is_typed = terminal->typed.length, is_shown = terminal->shown.length;
  int timeout = time_left(child);

  /* Keys that PROG does not read may still end it. */

  bool is_stuck = terminal->input == KEYS && is_typed &&
                  milliseconds() - terminal->typed.since >= ESCAPE_TIME;
  bool reads =
      is_ours && !ended && !terminal->at_end && (!is_typed || is_stuck);

  if (timeout < 0 && (!is_ours || is_typed || terminal->input == LINES)) {
    timeout = LOOK_AGAIN;
  }
  const struct pollfd wanted[] = {
      [SIGNALS] = {signals, POLLIN, 0},
      [IN] = {reads ? terminal->in : -1, POLLIN, 0},
      [TO_MASTER] = {is_typed ? terminal->master : -1, POLLOUT, 0},
      [FROM_MASTER] = {is_shown ? -1 : terminal->master, POLLIN, 0},
      [OUT] = {is_shown ? terminal->out : -1, POLLOUT, 0}};
  memcpy(fds, wanted, sizeof(wanted));
  if (poll(fds, POLLED, timeout) < 0 && errno != EINTR) {
    give_back(terminal);
    fail("poll", "");
  }
}

siginfo_t wait_for_child(struct child *child, struct terminal *terminal,
                         int signals) {
  struct terminal none = {.master = -1, .slave = -1, .in = -1, .out = -1};
  struct pollfd fds[POLLED];
  ssize_t rest = IN_FLIGHT;
  siginfo_t end = {0};

  terminal = terminal ? terminal : &none;
  struct flow *typed = &terminal->typed, *shown = &terminal->shown;
  for (;;) {
    if (!end.si_pid && has_stopped(child, &end)) {
      give_back(terminal);
      stop_with(child, end.si_status);
      end.si_pid = 0;
      continue;
    }

    /* What PROG wrote last is still shown. What others write who have its
     * terminal open may never stop. */

    if (end.si_pid && !shown->length) {
      if (rest < 0 || read_flow(shown, terminal->master) <= 0) {
        break;
      }
      rest -= shown->length;
    }
    type_pending_end(terminal);
    poll_or_exit(terminal, child, fds, signals, end.si_pid);

    if (fds[SIGNALS].revents) {
      if (read_signal(terminal, child, signals, end.si_pid)) {
        break;
      }
      continue;
    }

    /* Another program may have taken the terminal while we waited. */

    if (fds[IN].revents && take_input(terminal)) {
      read_input(terminal, child, fds[IN].revents & POLLHUP);
    }
    if (fds[TO_MASTER].revents && !write_flow(typed, terminal->master)) {
      typed->length = 0;
    }
    if (fds[FROM_MASTER].revents) {
      read_flow(shown, terminal->master);
    }
    if (fds[OUT].revents && !write_flow(shown, terminal->out)) {
      if (end.si_pid) {
        break;
      }
      hang_up(terminal, child);
    }
  }
  give_back(terminal);
  return end;
}
