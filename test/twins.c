/* twins: what the tools do, without libc, for test/bench to compare with.
 *
 * A twin makes system calls and nothing else: there is no start code, no
 * option, no message. "bare-" ones make the calls that are the step itself. The
 * others also make the calls by which the tool keeps its promises. So a tool
 * that costs more than its twin pays for its code and not for its promises.
 *
 * usage: twins NAME [ARG]..., as in the table at the end. A call that fails
 * ends a twin with the line of the source as its status.
 */

#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif
#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

static char **variables;

/* ---- System calls, for x86-64 alone ---- */

__asm__(".globl _start\n"
        "_start:\n"
        "  mov %rsp, %rdi\n"
        "  and $-16, %rsp\n"
        "  call start\n");

static long call6(long number, long a, long b, long c, long d, long e, long f) {
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  long result;

  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8),
                     "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

#define CALL(...) CALL_OF(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
#define CALL_OF(number, a, b, c, d, e, f, ...)                                 \
  call6(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e),         \
        (long)(f))

static _Noreturn void end(int status) {
  for (;;) {
    CALL(SYS_exit_group, status);
  }
}

/* MUST(SYS_setns, ...) makes a call that does not fail. */
#define MUST(...) must(CALL(__VA_ARGS__), __LINE__)
static long must(long result, int line) {
  if (result < 0 && result > -4096) {
    end(line % 250 + 1);
  }
  return result;
}

static long number_of(const char *digit) {
  long number = 0;

  for (; *digit >= '0' && *digit <= '9'; digit++) {
    number = number * 10 + (*digit - '0');
  }
  return number;
}

/* BEFORE, NUMBER and AFTER, in a store that the next call overwrites. */
static const char *path_of(const char *before, long number, const char *after) {
  static char store[64];
  char digits[20], *out = store;
  int count = 0;

  for (; *before; before++) {
    *out++ = *before;
  }
  do {
    digits[count++] = '0' + number % 10;
    number /= 10;
  } while (number);
  while (count) {
    *out++ = digits[--count];
  }
  do {
    *out++ = *after;
  } while (*after++);
  return store;
}

static _Noreturn void execute(char **argv) {
  MUST(SYS_execve, argv[0], argv, variables);
  end(127);
}

/* ---- What the tools have in common ---- */

static void look_up(int directory, const char *path) {
  struct statx st;

  MUST(SYS_statx, directory, path, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW,
       STATX_TYPE | STATX_INO | STATX_MNT_ID, &st);
}

/* Whose rights we have, and that 0-2 are open. */
static void begin(void) {
  MUST(SYS_getuid);
  MUST(SYS_geteuid);
  MUST(SYS_getgid);
  MUST(SYS_getegid);
  MUST(SYS_close, MUST(SYS_openat, AT_FDCWD, "/", O_PATH | O_CLOEXEC));
}

static int open_proc(void) {
  char text[128];
  int proc =
      MUST(SYS_openat, AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

  MUST(SYS_fstatfs, proc, text);
  look_up(proc, "");
  MUST(SYS_readlinkat, proc, "self", text, sizeof(text));
  MUST(SYS_getpid);
  return proc;
}

/* Reads a file of PROC to its end, as one that is on that mount. */
static void read_file(int proc, const char *name) {
  char bytes[4096];
  int fd = MUST(SYS_openat, proc, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

  look_up(fd, "");
  while (MUST(SYS_read, fd, bytes, sizeof(bytes)) > 0) {
  }
  MUST(SYS_close, fd);
}

static void write_file(const char *name, const char *text) {
  int fd = MUST(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CLOEXEC);
  size_t length = 0;

  while (text[length]) {
    length++;
  }
  MUST(SYS_write, fd, text, length);
  MUST(SYS_close, fd);
}

static void refuse_directories(void) {
  for (int fd = 0; fd <= 2; fd++) {
    look_up(fd, "");
  }
}

/* ---- seal ---- */

/* One sendfile(2), whole: PROG... */
static void bare_seal(char **argv) {
  struct stat st;
  int fd = MUST(SYS_openat, AT_FDCWD, argv[0], O_RDONLY | O_CLOEXEC);

  MUST(SYS_fstat, fd, &st);
  int memfd = MUST(SYS_memfd_create, "twin",
                   MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
  MUST(SYS_sendfile, memfd, fd, 0, 0x7ffff000);
  MUST(SYS_fcntl, memfd, F_ADD_SEALS, SEALS | F_SEAL_EXEC);
  MUST(SYS_execveat, memfd, "", argv, variables, AT_EMPTY_PATH);
}

static void seal(char **argv) {
  char line[256];
  struct stat st;
  struct kernel_sigaction {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask;
  } ignore = {SIG_IGN, 0, NULL, 0}, before;

  begin();
  int fd = MUST(SYS_openat, AT_FDCWD, argv[0],
                O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  MUST(SYS_fstat, fd, &st);
  MUST(SYS_faccessat2, fd, "", X_OK, AT_EACCESS | AT_EMPTY_PATH);
  CALL(SYS_fcntl, fd, F_GET_SEALS);
  MUST(SYS_pread64, fd, line, sizeof(line), 0);
  CALL(SYS_fgetxattr, fd, "security.capability", NULL, 0);
  int memfd = MUST(SYS_memfd_create, "twin",
                   MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
  MUST(SYS_rt_sigaction, SIGXFSZ, &ignore, &before, 8);
  MUST(SYS_sendfile, memfd, fd, 0, 0x7ffff000);
  MUST(SYS_rt_sigaction, SIGXFSZ, &before, NULL, 8);
  MUST(SYS_fstat, fd, &st);
  MUST(SYS_fcntl, memfd, F_ADD_SEALS, SEALS | F_SEAL_EXEC);
  MUST(SYS_fcntl, memfd, F_GET_SEALS);
  MUST(SYS_execveat, memfd, "", argv, variables, AT_EMPTY_PATH);
}

/* ---- pivot ---- */

static void exchange_roots(void) {
  MUST(SYS_mount, NULL, "/", NULL, MS_SLAVE, NULL);
  MUST(SYS_mount, NULL, ".", NULL, MS_SLAVE, NULL);
  MUST(SYS_pivot_root, ".", ".");
  MUST(SYS_mount, NULL, "/..", NULL, MS_SLAVE | MS_REC, NULL);
  MUST(SYS_umount2, "/..", MNT_DETACH | UMOUNT_NOFOLLOW);
  MUST(SYS_chdir, "/");
}

/* NEW-ROOT, which is a mount, and PROG... */
static void bare_pivot(char **argv) {
  MUST(SYS_chdir, argv[0]);
  exchange_roots();
  execute(argv + 1);
}

static void pivot(char **argv) {
  char path[4096];
  int status;

  begin();
  look_up(AT_FDCWD, "/");
  MUST(SYS_chdir, argv[0]);
  refuse_directories();
  MUST(SYS_close_range, 3, -1U, 0);
  int proc = open_proc();

  /* It is not PID 1's namespace, and the root is that of the namespace. */

  MUST(SYS_getppid);
  CALL(SYS_readlinkat, proc, "1/ns/mnt", path, sizeof(path));
  MUST(SYS_readlinkat, proc, "self/ns/mnt", path, sizeof(path));
  look_up(AT_FDCWD, "/..");
  long child = MUST(SYS_clone, 0, NULL);
  if (child == 0) {
    int fd = MUST(SYS_openat, proc, "self/ns/mnt", O_RDONLY | O_CLOEXEC);
    MUST(SYS_setns, fd, CLONE_NEWNS);
    look_up(AT_FDCWD, "/");
    end(0);
  }
  MUST(SYS_wait4, child, &status, __WALL, NULL);

  /* NEW-ROOT is not covered; whether it is shared, its table tells. */

  MUST(SYS_getcwd, path, sizeof(path));
  look_up(AT_FDCWD, path);
  look_up(AT_FDCWD, ".");
  read_file(proc, "self/mountinfo");
  exchange_roots();
  look_up(AT_FDCWD, "/");
  read_file(proc, "self/mountinfo");
  execute(argv + 1);
}

/* ---- nsjoin ---- */

enum {
  ALL = CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWNS | CLONE_NEWNET |
        CLONE_NEWPID | CLONE_NEWTIME | CLONE_NEWUSER | CLONE_NEWUTS
};

/* PID and PROG... */
static void bare_nsjoin(char **argv) {
  int status, pidfd = MUST(SYS_pidfd_open, number_of(argv[0]), 0);

  MUST(SYS_setns, pidfd, ALL);
  MUST(SYS_setresgid, 0, 0, 0);
  MUST(SYS_setresuid, 0, 0, 0);
  long child = MUST(SYS_clone, SIGCHLD, NULL);
  if (child == 0) {
    execute(argv + 1);
  }
  MUST(SYS_wait4, child, &status, 0, NULL);
  end(status >> 8);
}

static int signals_of(unsigned long set) {
  return MUST(SYS_signalfd4, -1, &set, 8, O_CLOEXEC);
}

static void reset_signals(void) {
  unsigned long none = 0, before[4];

  for (int signal = 1; signal <= 64; signal++) {
    MUST(SYS_rt_sigaction, signal, NULL, before, 8);
  }
  MUST(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, 8);
}

/* Inside: PROG is a child in a session of its own, and of the process outside.
 */
static _Noreturn void join(int proc, int pidfd, int link, const int roots[2],
                           char **argv) {
  char path[4096];
  struct stat st;
  struct pollfd parent = {.fd = link};

  int standard_error = MUST(SYS_fcntl, 2, F_DUPFD_CLOEXEC, 3);
  MUST(SYS_dup3, link, 2, O_CLOEXEC);
  MUST(SYS_getgroups, 0, NULL);
  MUST(SYS_setns, pidfd, ALL);
  MUST(SYS_newfstatat, proc, "self/ns/mnt", &st, 0);
  MUST(SYS_fchdir, roots[0]);
  MUST(SYS_getcwd, path, sizeof(path));
  MUST(SYS_chroot, ".");
  MUST(SYS_fchdir, roots[1]);
  MUST(SYS_getcwd, path, sizeof(path));
  MUST(SYS_getgroups, 0, NULL);
  MUST(SYS_setresgid, 0, 0, 0);
  MUST(SYS_setresuid, 0, 0, 0);
  MUST(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
  reset_signals();
  MUST(SYS_umask, 022);
  int etc = CALL(SYS_openat, AT_FDCWD, "/etc", O_PATH | O_CLOEXEC);
  int passwd = CALL(SYS_openat, etc, "passwd", O_RDONLY | O_CLOEXEC);
  CALL(SYS_read, passwd, path, sizeof(path));
  MUST(SYS_close_range, 3, standard_error - 1, 0);
  MUST(SYS_close_range, link + 1, -1U, 0);
  if (MUST(SYS_clone, CLONE_PARENT | SIGCHLD, NULL)) {
    end(0);
  }
  MUST(SYS_setsid);
  MUST(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
  MUST(SYS_poll, &parent, 1, 0);
  MUST(SYS_dup2, standard_error, 2);
  execute(argv);
}

static void nsjoin(char **argv) {
  static const char *const names[] = {"ns/cgroup", "ns/ipc", "ns/mnt",
                                      "ns/net",    "ns/pid", "ns/time",
                                      "ns/user",   "ns/uts"};
  unsigned long all = -1UL;
  char info[128];
  struct stat st;
  int ends[2], status = 0;

  begin();
  int proc = open_proc();
  int pidfd = MUST(SYS_pidfd_open, number_of(argv[0]), 0);
  read_file(proc, path_of("self/fdinfo/", pidfd, ""));
  int directory = MUST(SYS_openat, proc, argv[0],
                       O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  read_file(proc, path_of("self/fdinfo/", pidfd, ""));
  look_up(directory, "");
  read_file(directory, "status");
  int self = MUST(SYS_openat, proc, "self", O_PATH | O_CLOEXEC);
  for (int i = 0; i < 8; i++) {
    MUST(SYS_readlinkat, self, names[i], info, sizeof(info));
    MUST(SYS_readlinkat, directory, names[i], info, sizeof(info));
  }
  int exe = MUST(SYS_openat, proc, "self/exe", O_RDONLY | O_CLOEXEC);
  CALL(SYS_fcntl, exe, F_GET_SEALS);
  refuse_directories();
  MUST(SYS_close_range, 100, -1U, 0);
  const int roots[] = {MUST(SYS_openat, directory, "root", O_PATH | O_CLOEXEC),
                       MUST(SYS_openat, directory, "cwd", O_PATH | O_CLOEXEC)};
  int mounts = MUST(SYS_openat, directory, "ns/mnt", O_RDONLY | O_CLOEXEC);
  MUST(SYS_newfstatat, directory, "ns/user", &st, 0);
  MUST(SYS_fstat, mounts, &st);
  MUST(SYS_fstat, MUST(SYS_ioctl, mounts, NS_GET_USERNS), &st);
  MUST(SYS_prctl, PR_SET_DUMPABLE, 0);

  MUST(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, 8);
  int signals = signals_of(all);
  MUST(SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
       ends);
  int *prog = (int *)MUST(SYS_mmap, NULL, sizeof(int), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  *prog = 0;
  long helper = MUST(SYS_clone, SIGCHLD, NULL);
  if (helper == 0) {
    MUST(SYS_close, ends[0]);
    join(proc, pidfd, ends[1], roots, argv + 1);
  }
  MUST(SYS_close, ends[1]);

  /* The helper ends, PROG closes the link, then PROG ends. */

  for (int left = 2; left > 0;) {
    struct pollfd ready[] = {{signals, POLLIN, 0}, {ends[0], POLLIN, 0}};
    MUST(SYS_poll, ready, ends[0] < 0 ? 1 : 2, -1);
    if (ready[0].revents) {
      MUST(SYS_read, signals, info, sizeof(info));
      while (left > 0 && MUST(SYS_wait4, -1, &status, WNOHANG, NULL) > 0) {
        left--;
      }
    } else {
      MUST(SYS_read, ends[0], info, sizeof(info));
      ends[0] = -1;
    }
  }
  end(status >> 8);
}

/* ---- idmap and contain ---- */

/* PROG..., as root of one's own ids. */
static void bare_idmap(char **argv) {
  long uid = MUST(SYS_geteuid), gid = MUST(SYS_getegid);

  MUST(SYS_unshare, CLONE_NEWUSER);
  write_file("/proc/self/setgroups", "deny");
  write_file("/proc/self/uid_map", path_of("0 ", uid, " 1"));
  write_file("/proc/self/gid_map", path_of("0 ", gid, " 1"));
  execute(argv);
}

static void run(const char *const *words) {
  int status;
  long child = MUST(SYS_clone, SIGCHLD, NULL);

  if (child == 0) {
    execute((char **)words);
  }
  MUST(SYS_wait4, child, &status, 0, NULL);
  must(status ? -1 : 0, __LINE__);
}

static void copy_word(char *to, const char *from) {
  while ((*to++ = *from++)) {
  }
}

/* Maps root to the caller, and FIRST and COUNT of the delegated ids behind it,
 * for PID. */
static void write_delegated(long pid, const char *const *range) {
  char digits[2][64];

  copy_word(digits[0], path_of("", pid, ""));
  for (int gids = 0; gids < 2; gids++) {
    long id = MUST(gids ? SYS_getegid : SYS_geteuid);
    copy_word(digits[1], path_of("", id, ""));
    run((const char *const[]){
        gids ? "/usr/bin/newgidmap" : "/usr/bin/newuidmap", digits[0], "0",
        digits[1], "1", "1", range[0], range[1], NULL});
  }
}

/* FIRST and COUNT of the delegated ids, and PROG... */
static void bare_idmap_user(char **argv) {
  long self = MUST(SYS_getpid);
  int ends[2], status;
  char byte;

  MUST(SYS_pipe2, ends, O_CLOEXEC);
  long child = MUST(SYS_clone, 0, NULL);
  if (child == 0) {
    MUST(SYS_read, ends[0], &byte, 1);
    write_delegated(self, (const char *const *)argv);
    end(0);
  }
  MUST(SYS_unshare, CLONE_NEWUSER);
  MUST(SYS_write, ends[1], "", 1);
  MUST(SYS_wait4, child, &status, __WALL, NULL);
  must(status ? -1 : 0, __LINE__);
  execute(argv + 2);
}

static void bind_node(const char *source, const char *target) {
  MUST(SYS_mknodat, AT_FDCWD, target, S_IFREG | 0666, 0);
  MUST(SYS_mount, source, target, NULL, MS_BIND, NULL);
}

static void fill_root(void) {
  const unsigned long off = MS_NOSUID | MS_NODEV | MS_NOEXEC;

  MUST(SYS_mount, ".", ".", NULL, MS_BIND | MS_REC, NULL);
  MUST(SYS_chdir, "../box");
  MUST(SYS_mount, "proc", "proc", "proc", off, NULL);
  MUST(SYS_mount, "sysfs", "sys", "sysfs", off | MS_RDONLY, NULL);
  CALL(SYS_mount, "cgroup2", "sys/fs/cgroup", "cgroup2", off, NULL);
  MUST(SYS_mount, "tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=755");
  bind_node("/dev/null", "dev/null");
  bind_node("/dev/zero", "dev/zero");
  bind_node("/dev/full", "dev/full");
  bind_node("/dev/random", "dev/random");
  bind_node("/dev/urandom", "dev/urandom");
  bind_node("/dev/tty", "dev/tty");
  bind_node("/dev/null", "dev/console");
  MUST(SYS_mkdirat, AT_FDCWD, "dev/pts", 0777);
  MUST(SYS_mount, "devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
       "newinstance,ptmxmode=0666,mode=620");
  MUST(SYS_mkdirat, AT_FDCWD, "dev/shm", 0777);
  MUST(SYS_mount, "tmpfs", "dev/shm", "tmpfs", MS_NOSUID | MS_NODEV,
       "mode=1777");
  MUST(SYS_symlinkat, "pts/ptmx", AT_FDCWD, "dev/ptmx");
  MUST(SYS_symlinkat, "/proc/self/fd", AT_FDCWD, "dev/fd");
  MUST(SYS_symlinkat, "/proc/self/fd/0", AT_FDCWD, "dev/stdin");
  MUST(SYS_symlinkat, "/proc/self/fd/1", AT_FDCWD, "dev/stdout");
  MUST(SYS_symlinkat, "/proc/self/fd/2", AT_FDCWD, "dev/stderr");
}

static _Noreturn void become_init(int link, char **argv) {
  static char name[] = "container=bench", *clean[] = {name, NULL};
  char byte;

  MUST(SYS_read, link, &byte, 1);
  MUST(SYS_unshare, CLONE_NEWCGROUP);
  MUST(SYS_setresgid, 0, 0, 0);
  MUST(SYS_setresuid, 0, 0, 0);
  MUST(SYS_mount, NULL, "/", NULL, MS_SLAVE | MS_REC, NULL);
  MUST(SYS_sethostname, "box", 3);
  MUST(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
  MUST(SYS_setsid);
  MUST(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
  fill_root();
  exchange_roots();
  variables = clean;
  execute(argv);
}

/* BOX, which ends in /box, and PROG...; with FIRST and COUNT of the delegated
 * ids before it as a user. */
static void bare_contain_of(const char *const *range, char **argv) {
  const int flags = ALL & ~(CLONE_NEWCGROUP | CLONE_NEWTIME);
  int ends[2], status;

  MUST(SYS_chdir, argv[0]);
  if (!range) {
    MUST(SYS_unshare, CLONE_NEWNS);
    MUST(SYS_mount, NULL, "/", NULL, MS_SLAVE | MS_REC, NULL);
    MUST(SYS_mount, ".", ".", NULL, MS_BIND | MS_REC, NULL);
    MUST(SYS_chdir, "../box");
    MUST(SYS_mount, NULL, ".", NULL, MS_REMOUNT | MS_BIND | MS_NODEV, NULL);
  }
  MUST(SYS_pipe2, ends, O_CLOEXEC);
  long child = MUST(SYS_clone, flags | SIGCHLD, NULL);
  if (child == 0) {
    MUST(SYS_unshare, CLONE_NEWTIME);
    become_init(ends[0], argv + 1);
  }
  if (range) {
    write_delegated(child, range);
  } else {
    write_file(path_of("/proc/", child, "/uid_map"), "0 1879048192 65536");
    write_file(path_of("/proc/", child, "/gid_map"), "0 1879048192 65536");
  }
  MUST(SYS_write, ends[1], "", 1);
  MUST(SYS_wait4, child, &status, 0, NULL);
  end(status >> 8);
}

static void bare_contain(char **argv) {
  bare_contain_of(NULL, argv);
}

static void bare_contain_user(char **argv) {
  bare_contain_of((const char *const *)argv, argv + 2);
}

/* ---- What is run ---- */

static void do_nothing(char **argv) {
  (void)argv;
}

static void stay(char **argv) {
  (void)argv;
  for (;;) {
    CALL(SYS_pause);
  }
}

/* COUNT children that stay, and PROG... */
static void brood(char **argv) {
  for (long rest = number_of(argv[0]); rest > 0; rest--) {
    if (MUST(SYS_clone, SIGCHLD, NULL) == 0) {
      MUST(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
      stay(NULL);
    }
  }
  execute(argv + 1);
}

/* Copies the mount table COUNT times. */
static void copy_mounts(char **argv) {
  for (long rest = number_of(argv[0]); rest > 0; rest--) {
    MUST(SYS_unshare, CLONE_NEWNS);
  }
}

/* Writes COUNT times 64 KiB of lines. */
static void write_lines(char **argv) {
  static char bytes[65536];

  for (size_t i = 0; i < sizeof(bytes); i++) {
    bytes[i] = i % 64 == 63 ? '\n' : 'x';
  }
  for (long rest = number_of(argv[0]); rest > 0; rest--) {
    for (size_t done = 0; done < sizeof(bytes);) {
      done += MUST(SYS_write, 1, bytes + done, sizeof(bytes) - done);
    }
  }
}

/* Tells that it runs, and reads one line, which its terminal echoes. */
static void read_line(char **argv) {
  char line[4096];

  (void)argv;
  MUST(SYS_write, 1, "!", 1);
  MUST(SYS_read, 0, line, sizeof(line));
}

static const struct {
  const char *name;
  void (*twin)(char **argv);
} twins[] = {
    {"true", do_nothing},
    {"stay", stay},
    {"brood", brood},
    {"copy-mounts", copy_mounts},
    {"write", write_lines},
    {"read", read_line},
    {"bare-seal", bare_seal},
    {"seal", seal},
    {"bare-pivot", bare_pivot},
    {"pivot", pivot},
    {"bare-nsjoin", bare_nsjoin},
    {"nsjoin", nsjoin},
    {"bare-idmap", bare_idmap},
    {"bare-idmap-user", bare_idmap_user},
    {"bare-contain", bare_contain},
    {"bare-contain-user", bare_contain_user},
};

_Noreturn void start(long *stack) {
  char **argv = (char **)(stack + 1);

  variables = argv + stack[0] + 1;
  for (size_t i = 0; i < sizeof(twins) / sizeof(*twins); i++) {
    const char *name = twins[i].name, *word = argv[1];
    while (*name && *name == *word) {
      name++;
      word++;
    }
    if (*name == *word) {
      twins[i].twin(argv + 2);
      end(0);
    }
  }
  end(64);
}
