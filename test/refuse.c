/* refuse: let one system call of a tool fail.
 *
 *   refuse FILE N ERROR PROG [ARG]...
 *
 * Runs PROG, and lets the Nth system call of the tool fail with ERROR, such as
 * EPERM, without executing it. If ERROR is 0, the call succeeds without effect.
 * The calls of all processes of the tool are counted, from the exec of one of
 * the five tools on; PROG may be another program that becomes a tool. A process
 * that becomes something else is let go: nothing is done to it any more. A tool
 * that becomes another tool, as in "seal nsjoin", is still counted.
 *
 * FILE gets the number of the call that failed, or "none" if there were fewer
 * than N, so a sweep over all N knows its end. refuse waits for all processes
 * of the tool, and its exit status is that of the first one: 128+N for a
 * signal. After ten seconds refuse and the tool are killed by SIGALRM.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/reg.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where the number of a call and its result are in struct user. */
#ifdef __x86_64__
enum { NUMBER = 8 * ORIG_RAX, RESULT = 8 * RAX };
#else
enum { NUMBER = 4 * ORIG_EAX, RESULT = 4 * EAX };
#endif

#define OPTIONS                                                                \
  (PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC |              \
   PTRACE_O_TRACEFORK | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEVFORK)

static const struct {
  const char *name;
  int number;
} errors[] = {{"0", 0},           {"EAGAIN", EAGAIN}, {"EBUSY", EBUSY},
              {"EINTR", EINTR},   {"EINVAL", EINVAL}, {"EIO", EIO},
              {"EMFILE", EMFILE}, {"ENOMEM", ENOMEM}, {"ENOSYS", ENOSYS},
              {"EPERM", EPERM}};

static void die(const char *what) {
  perror(what);
  exit(1);
}

static int error_number(const char *name) {
  for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
    if (strcmp(name, errors[i].name) == 0) {
      return errors[i].number;
    }
  }
  errno = EINVAL;
  die(name);
  return -1;
}

/* Whether the process PID executes one of the tools, or a sealed copy, which is
 * "/memfd:NAME (deleted)". */
static bool is_tool(pid_t pid) {
  static const char *const tools[] = {"pivot", "seal", "idmap", "nsjoin",
                                      "safemount"};
  char link[32], exe[4096] = "", *name = exe, *next;

  snprintf(link, sizeof(link), "/proc/%d/exe", pid);
  readlink(link, exe, sizeof(exe) - 1);
  while ((next = strpbrk(name, "/:"))) {
    name = next + 1;
  }
  name[strcspn(name, " ")] = '\0';
  for (int i = 0; i < 5; i++) {
    if (strcmp(name, tools[i]) == 0) {
      return true;
    }
  }
  return false;
}

/* Whether PID is at the entry of a system call, and not at its exit. */
static bool is_entry(pid_t pid, long *number) {
  struct __ptrace_syscall_info info;

  if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) < 0) {
    return false; /* it was killed */
  }
  *number = info.entry.nr;
  return info.op == PTRACE_SYSCALL_INFO_ENTRY;
}

static pid_t start(char **argv) {
  int ends[2];
  char byte;
  pid_t pid;

  if (pipe(ends) || (pid = fork()) < 0) {
    die("fork");
  }
  if (pid == 0) {
    close(ends[1]);
    read(ends[0], &byte, 1); /* until we are its tracer */
    close(ends[0]);
    execvp(argv[0], argv);
    die(argv[0]);
  }
  if (ptrace(PTRACE_SEIZE, pid, 0, OPTIONS)) {
    die("ptrace");
  }
  close(ends[0]);
  close(ends[1]);
  return pid;
}

/* Lets the call NUMBER of PID fail with ERROR. There is no call -1: the kernel
 * then leaves the result as it is. But close(2) that is interrupted has closed
 * its descriptor, and libc reports no error: that is no failure at all. */
static void refuse(pid_t pid, long number, int error) {
  struct __ptrace_syscall_info info = {0};

  ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info);
  if (number != (info.arch == AUDIT_ARCH_I386 ? 6 : SYS_close) ||
      error != EINTR) {
    ptrace(PTRACE_POKEUSER, pid, NUMBER, -1L);
    ptrace(PTRACE_POKEUSER, pid, RESULT, -(long)error);
  }
}

int main(int argc, char **argv) {
  long count = 0, number;
  bool began = false;
  int status, end = 0;
  pid_t pid;

  if (argc < 5) {
    fputs("usage: refuse FILE N ERROR PROG [ARG]...\n", stderr);
    return 1;
  }
  long nth = atol(argv[2]);
  int error = error_number(argv[3]);
  int file = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) {
    die(argv[1]);
  }
  pid_t first = start(argv + 4);
  alarm(10);
  while ((pid = waitpid(-1, &status, __WALL)) > 0) {
    if (!WIFSTOPPED(status)) {
      end = pid == first ? status : end;
      continue;
    }
    int event = status >> 16, signal = WSTOPSIG(status);
    int resume = began ? PTRACE_SYSCALL : PTRACE_CONT;
    if (event == PTRACE_EVENT_EXEC) {
      bool is_ours = is_tool(pid);
      resume = is_ours ? PTRACE_SYSCALL : began ? PTRACE_DETACH : PTRACE_CONT;
      began |= is_ours;
    } else if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) {
      resume = PTRACE_LISTEN; /* it has stopped, and stays so */
    } else if (!event && signal == (SIGTRAP | 0x80)) {
      if (is_entry(pid, &number) && ++count == nth) {
        refuse(pid, number, error);
        dprintf(file, "%ld\n", number);
      }
    }
    bool is_signal = !event && signal != (SIGTRAP | 0x80);
    ptrace(resume, pid, 0, is_signal ? signal : 0);
  }

  if (count < nth) {
    dprintf(file, "none\n");
  }
  return WIFSIGNALED(end) ? 128 + WTERMSIG(end) : WEXITSTATUS(end);
}
