/* seal: execute a sealed copy of a program.
 *
 * While a program runs, /proc/PID/exe leads to its file, and whoever may open
 * that for writing replaces the program once it has ended. A container with the
 * host's root in it needs only wait for a program of the host to enter
 * (CVE-2019-5736). So the program that enters should be a copy, in memory, with
 * seals that nobody can take off.
 *
 * It refuses what a copy would not protect (a script is read by an interpreter
 * of the host) and what would lose its rights in one (setuid, capabilities).
 */

#include "../idmap/first/statx.h"
#include "../idmap/first/step.h"
#include <linux/magic.h>
#include <linux/memfd.h>
#include <sys/resource.h>
#include <sys/vfs.h>

#undef prlimit64 /* musl's, a name for prlimit(2) */

ABOUT("seal", "[-v] [-a ARGV0] PROG [ARG]...\n");

/* What Debian 12's headers, of Linux 6.1, do not have yet. */
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

/* The most that one sendfile(2) moves; asking for more is not an error. */
#define MOST 0x7ffff000

static struct statx look(int fd) {
  struct statx st;

  if (CALL(statx, fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st) < 0) {
    err(FAILED, "statx");
  }
  return st;
}

static struct statx program_st;

/* Opens PATH if we may execute it, or sets errno as execve(2) would. */
static int open_program(const char *path) {
  int fd = CALL(openat, AT_FDCWD, path,
                O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

  if (fd < 0) {
    return -1;
  }

  /* The copy has a mode of its own and is on no mount: whether the file may be
   * executed where it is, nobody asks later. */

  program_st = look(fd);
  if (!S_ISREG(program_st.stx_mode)) {
    errno = EACCES;
  } else if (CALL(faccessat2, fd, "", X_OK, AT_EACCESS | AT_EMPTY_PATH) == 0) {
    return fd;
  } else if (errno != EACCES) {
    err(FAILED, "faccessat2 %s (needs Linux 5.8)", path);
  }
  close_fd(fd);
  errno = EACCES;
  return -1;
}

static bool is_sealed(int fd) {
  long seals = CALL(fcntl, fd, F_GET_SEALS);

  /* The kernel may have added seals: F_SEAL_EXEC brings others with it. */

  return seals >= 0 && (seals & SEALS) == SEALS;
}

/* Says that vm.memfd_noexec is what forbids executable memory, if it is. */
static void explain_memfd(void) {
  struct statfs fs;
  char value = 0;
  int fd =
      CALL(openat, AT_FDCWD, "/proc/sys/vm/memfd_noexec", O_RDONLY | O_CLOEXEC);

  if (fd >= 0 && CALL(fstatfs, fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC &&
      CALL(read, fd, &value, 1) == 1 && value == '2') {
    warnx("hint: the sysctl vm.memfd_noexec is 2 in this PID namespace");
  }
}

/* Copies the program FD into a memfd that nobody can change any more. */
static int seal(int fd, const char *path, const struct statx *before) {
  struct statx after;
  struct {
    uint64_t current, most;
  } limit;
  uint64_t copied = 0;
  char name[250] = "";

  if (before->stx_mode & S_ISUID ||
      (before->stx_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP)) {
    errx(CANNOT_EXECUTE, "%s is setuid or setgid, and a copy is not", path);
  }
  if (CALL(fgetxattr, fd, "security.capability", NULL, 0) >= 0) {
    errx(CANNOT_EXECUTE, "%s has file capabilities, and a copy has not", path);
  } else if (errno != ENODATA && errno != EOPNOTSUPP) {
    err(FAILED, "fgetxattr %s", path);
  }

  /* More than this limit would be a signal, and no message. */

  if (CALL(prlimit64, 0, RLIMIT_FSIZE, NULL, &limit) == 0 &&
      limit.current < before->stx_size) {
    errx(FAILED, "%s is larger than a file may be: see ulimit -f", path);
  }

  /* memfd_create(2) takes names of up to 249 bytes. Kernels before 6.3 do not
   * know MFD_EXEC and need not be told. */

  const char *last = strrchr(path, '/');
  last = last ? last + 1 : path;
  size_t length = strlen(last);
  memcpy(name, last, length < sizeof(name) ? length : sizeof(name) - 1);

  long memfd =
      CALL(memfd_create, name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);

  if (memfd < 0 && errno == EINVAL) {
    memfd = CALL(memfd_create, name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  }
  if (memfd < 0) {
    warn("memfd_create %s", name);
    explain_memfd();
    _exit(FAILED);
  }

  while (copied < before->stx_size) {
    long n = CALL(sendfile, memfd, fd, NULL, MOST);
    if (n < 0) {
      err(FAILED, "sendfile %s", path);
    }
    if (n == 0) {
      break;
    }
    copied += n;
  }

  /* Half of the old program and half of the new one is neither. */

  after = look(fd);
  if (copied != before->stx_size || after.stx_size != before->stx_size ||
      after.stx_mtime.tv_sec != before->stx_mtime.tv_sec ||
      after.stx_mtime.tv_nsec != before->stx_mtime.tv_nsec) {
    errx(FAILED, "%s changed while it was copied", path);
  }

  if (CALL(fcntl, memfd, F_ADD_SEALS, SEALS | F_SEAL_EXEC) < 0 &&
      (errno != EINVAL || CALL(fcntl, memfd, F_ADD_SEALS, SEALS) < 0)) {
    err(FAILED, "fcntl F_ADD_SEALS");
  }
  if (!is_sealed(memfd)) {
    errx(FAILED, "%s: the copy is not sealed", path);
  }
  return memfd;
}

/* The kernel finds an interpreter's script by its path, which a descriptor that
 * exec closes does not have: so no script runs, and ENOENT is the error. */
static void explain_script(int fd, const char *prog, const char *path) {
  char line[256] = "";

  if (CALL(lseek, fd, 0, SEEK_SET) < 0 ||
      CALL(read, fd, &line, sizeof(line) - 1) < 2 || line[0] != '#' ||
      line[1] != '!') {
    return;
  }
  const char *interpreter = line + 2;
  while (*interpreter == ' ' || *interpreter == '\t') {
    interpreter++;
  }

  /* env(1) would execute the interpreter that PATH has, unsealed. */

  if (strncmp(interpreter, "/usr/bin/env ", 13) == 0) {
    interpreter += strncmp(interpreter + 13, "-S ", 3) == 0 ? 16 : 13;
  }
  *strchrnul(line, '\n') = '\0';
  warnx("%s is a script: what would have to be sealed is its interpreter",
        prog);
  warnx("hint: use seal %s %s", interpreter, path);
  _exit(CANNOT_EXECUTE);
}

int main(int argc, char **argv) {
  char *argv0 = NULL, *value = NULL, path[PATH_MAX];
  extern char **environ;

  argv = begin(argc, argv);
  while (option(&argv, "a:", &value)) {
    argv0 = value;
  }
  if (!*argv) {
    errx(USAGE, "PROG is missing");
  }

  const char *prog = *argv;
  int program = search(prog, path, open_program);

  if (program < 0) {
    err(errno == ENOENT ? NOT_FOUND : CANNOT_EXECUTE, "open %s", prog);
  }
  int sealed = is_sealed(program) ? program : seal(program, path, &program_st);

  /* By descriptor: /proc/self/fd could be anybody's, and a path to it leads to
   * the attacker's program. */

  if (argv0) {
    *argv = argv0;
  }
  CALL(execveat, sealed, "", &argv[0], &environ[0], AT_EMPTY_PATH);
  int error = errno;
  explain_script(program, prog, path);
  errno = error;
  err(CANNOT_EXECUTE, "execveat %s", prog);
}
