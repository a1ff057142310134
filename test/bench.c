/* bench: time commands side by side, for test/bench.
 *
 * In each round every command runs once, in an order that is new each time, so
 * that what else the machine does meets all of them alike. The first command
 * runs twice in a round. If its two medians differ, the others' differences
 * mean nothing either: so they are printed, as the control.
 *
 * usage: bench SECONDS {, [WORD]... COMMAND [ARG]...}...
 *
 * WORDs: user=ID     run it as that user
 *        env=N       with N more variables in its environment
 *        fds=N       with N more descriptors open
 *        ns          in a new mount namespace, which is made and ended
 * elsewhere many=N      N of them at once tty         on a terminal, whose
 * output is read keys=N      on a terminal, where N keys are pressed, and their
 * echo seen
 *
 * Prints a line for each command, and one for the control: the median and the
 * tenth percentile of the CPU time of the command and of all that it started,
 * those of the time until it ended, in microseconds, and the number of runs. A
 * command that fails has a line "- REASON".
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { MOST_COMMANDS = 16, MOST_RUNS = 2000, MOST_COPIES = 1000, LIMIT = 60 };

struct command {
  char **argv;
  long user, variables, descriptors, copies, keys;
  bool in_namespace, on_terminal;
  int runs;
  double cpu[MOST_RUNS], wall[MOST_RUNS];
  char failure[256];
};

static struct command commands[MOST_COMMANDS + 1]; /* the control is the last */
static int count;
static int errors;     /* what the commands write to standard error */
static int home;       /* our mount namespace */
static double *before; /* CPU time of a child before its exec */

static void fail_if(bool is_so, const char *what) {
  if (is_so) {
    perror(what);
    exit(1);
  }
}

static double microseconds(void) {
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

static double cpu_of(const struct rusage *usage) {
  return (usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1e6 +
         usage->ru_utime.tv_usec + usage->ru_stime.tv_usec;
}

/* ---- The command line ---- */

static bool is_option(const char *word, const char *name, long *value) {
  size_t length = strlen(name);

  if (strncmp(word, name, length) != 0) {
    return false;
  }
  *value = atol(word + length);
  return true;
}

static char **read_command(char **argv, struct command *command) {
  command->copies = 1;
  for (;; argv++) {
    if (strcmp(*argv, "tty") == 0) {
      command->on_terminal = true;
    } else if (strcmp(*argv, "ns") == 0) {
      command->in_namespace = true;
    } else if (!is_option(*argv, "user=", &command->user) &&
               !is_option(*argv, "env=", &command->variables) &&
               !is_option(*argv, "fds=", &command->descriptors) &&
               !is_option(*argv, "many=", &command->copies) &&
               !is_option(*argv, "keys=", &command->keys)) {
      break;
    }
  }
  command->on_terminal |= command->keys > 0;
  command->argv = argv;
  while (*argv && strcmp(*argv, ",") != 0) {
    argv++;
  }
  return argv;
}

/* ---- One run ---- */

/* In the child: becomes the command. What this costs is not the command's. */
static _Noreturn void become(const struct command *command, int terminal) {
  struct rlimit limit;
  struct rusage usage;
  char name[32];
  int null = open("/dev/null", O_RDWR);

  for (int fd = 0; fd <= 1; fd++) {
    dup2(terminal < 0 ? null : terminal, fd);
  }
  dup2(terminal < 0 ? errors : terminal, 2);
  if (terminal >= 0) {
    setsid();
    ioctl(terminal, TIOCSCTTY, 0);
  }
  closefrom(3);
  for (long i = 0; i < command->variables; i++) {
    snprintf(name, sizeof(name), "VARIABLE_%ld", i);
    setenv(name, "value", 1);
  }
  if (command->descriptors) {
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    for (long i = 0; i < command->descriptors; i++) {
      fail_if(open("/dev/null", O_RDONLY) < 0, "open");
    }
  }
  if (command->user) {
    fail_if(setgid(command->user) || setuid(command->user), "setuid");
  }
  alarm(LIMIT);
  getrusage(RUSAGE_SELF, &usage);
  *before = cpu_of(&usage);
  execvp(command->argv[0], command->argv);
  perror(command->argv[0]);
  _exit(127);
}

static int open_terminal(int *slave) {
  int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

  fail_if(master < 0 || grantpt(master) || unlockpt(master), "a terminal");
  *slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
  fail_if(*slave < 0, "a terminal");
  return master;
}

/* Reads what comes from MASTER, until BYTE came, or to its end. */
static bool read_until(int master, int byte) {
  static char bytes[65536];
  struct pollfd ready = {.fd = master, .events = POLLIN};
  ssize_t n;

  while (poll(&ready, 1, LIMIT * 1000) > 0 &&
         (n = read(master, bytes, sizeof(bytes))) > 0) {
    if (byte && memchr(bytes, byte, n)) {
      return true;
    }
  }
  return false;
}

/* Presses the keys. Returns the time from the first to the last echo. */
static double press_keys(int master, long keys) {
  bool is_there = read_until(master, '!');
  double start = microseconds();

  for (; keys > 0 && is_there; keys--) {
    is_there = write(master, "x", 1) == 1 && read_until(master, 'x');
  }
  double time = microseconds() - start;
  is_there = write(master, "\n", 1) == 1;
  return time;
}

/* Waits for PID, or for any child if that is -1, and adds its CPU time. */
static pid_t wait_for(pid_t pid, int flags, double *cpu, int *status) {
  struct rusage usage;

  pid = wait4(pid, status, flags, &usage);
  if (pid > 0) {
    *cpu += cpu_of(&usage);
  }
  return pid;
}

/* Runs COMMAND. Returns its status. */
static int run(const struct command *command, double *cpu, double *wall) {
  int master = -1, slave = -1, status, worst = 0, tries = 5000;
  pid_t pids[MOST_COPIES], pid;

  if (command->on_terminal) {
    master = open_terminal(&slave);
  }
  if (command->in_namespace) {
    fail_if(unshare(CLONE_NEWNS) ||
                mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL),
            "unshare");
  }
  fail_if(ftruncate(errors, 0) < 0, "ftruncate");
  *cpu = 0;
  double start = microseconds(), pressed = 0;
  for (long i = 0; i < command->copies; i++) {
    pids[i] = fork();
    fail_if(pids[i] < 0, "fork");
    if (pids[i] == 0) {
      become(command, slave);
    }
  }
  if (command->on_terminal) {
    close(slave);
    pressed = command->keys ? press_keys(master, command->keys) : 0;
    read_until(master, 0);
  }
  for (long i = 0; i < command->copies; i++) {
    fail_if(wait_for(pids[i], 0, cpu, &status) < 0, "wait4");
    *cpu -= *before;
    worst = status ? status : worst;
  }
  *wall = command->keys ? pressed : microseconds() - start;

  /* A command may end before its children. It must not look as if they had cost
   * nothing: by now they are our children. */

  while (tries > 0 && (pid = wait_for(-1, WNOHANG, cpu, &status)) >= 0) {
    if (pid == 0) {
      poll(NULL, 0, 1);
      tries--;
    }
  }
  close(master);
  if (command->in_namespace) {
    fail_if(setns(home, CLONE_NEWNS), "setns");
  }
  return worst;
}

/* Notes why COMMAND is not measured: the last line that it wrote. */
static void note_failure(struct command *command, int status) {
  char text[1024] = "", *line;
  ssize_t length = pread(errors, text, sizeof(text) - 1, 0);

  while (length > 0 && text[length - 1] == '\n') {
    text[--length] = '\0';
  }
  line = strrchr(text, '\n');
  snprintf(command->failure, sizeof(command->failure), "status %d: %.200s",
           WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
           line ? line + 1 : text);
}

/* ---- All runs ---- */

static void run_once(struct command *command) {
  int i = command->runs;

  if (command->failure[0] == '\0' && i < MOST_RUNS) {
    int status = run(command, &command->cpu[i], &command->wall[i]);
    if (status) {
      note_failure(command, status);
    }
    command->runs++;
  }
}

static void run_round(void) {
  int order[MOST_COMMANDS + 1];

  for (int i = 0; i <= count; i++) {
    int other = random() % (i + 1);
    order[i] = order[other];
    order[other] = i;
  }
  for (int i = 0; i <= count; i++) {
    run_once(&commands[order[i]]);
  }
}

static int compare(const void *one, const void *other) {
  double a = *(const double *)one, b = *(const double *)other;

  return (a > b) - (a < b);
}

static void print(struct command *command) {
  int runs = command->runs;

  if (command->failure[0]) {
    printf("- %s\n", command->failure);
    return;
  }
  qsort(command->cpu, runs, sizeof(double), compare);
  qsort(command->wall, runs, sizeof(double), compare);
  printf("%.0f %.0f %.0f %.0f %d\n", command->cpu[runs / 2],
         command->cpu[runs / 10], command->wall[runs / 2],
         command->wall[runs / 10], runs);
}

int main(int argc, char **argv) {
  char name[] = "/tmp/bench.XXXXXX";
  double limit = argc > 1 ? atof(argv[1]) * 1e6 : 0;

  char **next = argc > 2 ? argv + 2 : NULL;
  for (; next && next[1] && count < MOST_COMMANDS; count++) {
    char **end = read_command(next + 1, &commands[count]);
    next = *end ? end : NULL;
    *end = NULL; /* this comma ends an argv */
  }
  fail_if(limit <= 0 || count == 0, "usage: bench SECONDS {, COMMAND}...");
  commands[count] = commands[0];
  home = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
  fail_if(home < 0 || chdir("/"), "/");
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  errors = mkostemp(name, O_CLOEXEC | O_APPEND);
  fail_if(errors < 0 || unlink(name), name);
  before = mmap(NULL, sizeof(*before), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  fail_if(before == MAP_FAILED, "mmap");
  srandom(getpid());

  /* The first round warms caches, and does not count. */

  run_round();
  for (int i = 0; i <= count; i++) {
    commands[i].runs = 0;
  }
  double end = microseconds() + limit;
  for (int rounds = 0;
       rounds < 5 || (rounds < MOST_RUNS && microseconds() < end); rounds++) {
    run_round();
  }
  for (int i = 0; i <= count; i++) {
    print(&commands[i]);
  }
}
