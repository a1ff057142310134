/* seal: execute a sealed copy of a program.
 *
 * While a program runs, /proc/PID/exe leads to its file. Whoever can open it
 * for writing replaces the program once it has ended. If a program of the host
 * enters a container, a process of the container that is root on the host has
 * only to wait for that (CVE-2019-5736). So the program that enters should be a
 * copy in memory, with seals that no one can take off.
 *
 * It refuses a script, since the program that runs is its interpreter; and a
 * setuid or setgid program or one with file capabilities, since a copy has no
 * such rights. Each function here exits if it fails, with 126 for such a PROG.
 */

#include "../pivot/proc.h"
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/xattr.h>

/* What the kernel's headers of Debian 12 (Linux 6.1) do not have. */
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif

#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

const char tool[] = "seal";
const char usage[] =
    "usage: seal [-v] [-a ARGV0] PROG [ARG]...\n\n"
    "  -a ARGV0    give PROG this name of its own, argv[0]\n" COMMON_OPTIONS;

struct program {
  char path[PATH_MAX];
  int fd;
  struct stat st;
};

static void refuse_program_if(bool is_so, const char *path, const char *why) {
  if (is_so) {
    warn(path, why);
    _exit(CANNOT_EXECUTE);
  }
}

/* ---- Refuse ---- */

/* Opens prog->path, if we may execute it. If not, errno is what execve(2)
 * would have answered. */
static bool open_program(struct program *prog) {
  prog->fd = open(prog->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (prog->fd < 0) {
    return false;
  }
  or_exit(fstat(prog->fd, &prog->st), "fstat", prog->path);

  /* Later, the kernel checks only the copy, which has a mode of its own and is
   * on no mount with noexec. So we check here whether the caller may execute
   * the file. */

  int denied = faccessat(prog->fd, "", X_OK, AT_EACCESS | AT_EMPTY_PATH);
  or_exit(errno == EACCES ? 0 : denied, "faccessat2", prog->path);
  errno = EACCES;
  return !denied && S_ISREG(prog->st.st_mode);
}

/* Looks for WORD in PATH as execvp(3) does, and opens it: libc has no such
 * search for open(2). */
static void find_program_or_exit(const char *word, struct program *prog) {
  const char *path = getenv("PATH");
  int error = ENOENT;

  path = path ? path : "/usr/local/bin:/bin:/usr/bin";
  path = *word && !strchr(word, '/') ? path : "";
  for (size_t size;; path += size + 1) {
    size = strcspn(path, ":");
    errno = ENAMETOOLONG;
    if (size + strlen(word) + 2 < sizeof(prog->path)) {
      char *end = mempcpy(prog->path, path, size);
      stpcpy(stpcpy(end, size > 0 ? "/" : ""), word);
      if (open_program(prog)) {
        return;
      }
    }
    bool is_last =
        !path[size] || (errno != ENOENT && errno != ENOTDIR && errno != EACCES);
    error = errno == ENOENT || error == EACCES ? error : errno;
    if (is_last) {
      errno = error;
      fail_exec("open", word);
    }
  }
}

/* Refuses a PROG that a copy would not protect, such as a script, or that would
 * lose rights as a copy. */
static void refuse_unsealable(const struct program *prog, const char *word) {
  char reason[512 + PATH_MAX] = "is a script, so seal its interpreter: seal ";
  char line[256] = "", *name = line + 2;
  mode_t mode = prog->st.st_mode;

  /* The kernel passes a script to its interpreter as /dev/fd/N, which is closed
   * by then if N is close-on-exec: execveat(2) answers ENOENT (see its BUGS).
   * That is as well: a sealed script would not protect the interpreter. */

  or_exit(pread(prog->fd, line, sizeof(line) - 1, 0), "read", word);
  line[strcspn(line, "\n")] = '\0';
  name += strspn(name, " \t");

  /* env(1) would execute the interpreter that PATH has, unsealed. */

  name += strncmp(name, "/usr/bin/env ", 13) == 0 ? 13 : 0;
  name += strncmp(name, "-S ", 3) == 0 ? 3 : 0;
  strcat(strcat(strcat(reason, name), " "), prog->path);
  refuse_program_if(strncmp(line, "#!", 2) == 0, word, reason);

  /* The kernel gives these rights for what a file has, and a memfd has none. */

  ssize_t length = fgetxattr(prog->fd, "security.capability", NULL, 0);
  refuse_program_if(length >= 0, word, "has capabilities, and a copy has not");
  or_exit(errno == ENODATA || errno == EOPNOTSUPP ? 0 : -1, "fgetxattr", word);
  refuse_program_if(mode & S_ISUID || (mode & S_ISGID && mode & S_IXGRP), word,
                    "is setuid or setgid, and a copy is not");
}

/* ---- Copy ---- */

static int memfd_or_exit(const char *path) {
  const char *slash = strrchr(path, '/');
  char name[250] = "", line[LINE_SIZE]; /* the kernel takes 249 bytes */

  strncpy(name, slash ? slash + 1 : path, sizeof(name) - 1);
  int fd = SHOW(memfd_create, name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);

  /* Linux before 6.3 does not know MFD_EXEC: every memfd is executable. */

  if (fd < 0 && errno == EINVAL) {
    fd = SHOW(memfd_create, name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  }
  if (fd >= 0) {
    return fd;
  }
  warn_errno("memfd_create", name);
  char *value = proc_line(open_proc(), "sys/vm/memfd_noexec", "", line);
  refuse_if(value && *value == '2', "vm.memfd_noexec",
            "is 2: this PID namespace executes nothing that is in memory");
  _exit(FAILED);
}

static int copy_or_exit(const struct program *prog) {
  const size_t most = 0x7ffff000; /* bytes: one sendfile(2) moves no more */
  struct stat after;
  off_t copied = 0;
  int memfd = memfd_or_exit(prog->path), moved = 1;

  /* A limit on the size of files (ulimit -f) is to be an error, not a signal.
   */

  void (*inherited)(int) = signal(SIGXFSZ, SIG_IGN);
  or_exit(inherited == SIG_ERR ? -1 : 0, "signal", "SIGXFSZ");
  for (; moved > 0 && copied < prog->st.st_size; copied += moved) {
    moved = or_exit(SHOW(sendfile, memfd, prog->fd, NULL, most), "sendfile",
                    prog->path);
  }
  or_exit(signal(SIGXFSZ, inherited) == SIG_ERR ? -1 : 0, "signal", "SIGXFSZ");

  /* If the file was written to while we read it, the copy is half of each. */

  or_exit(fstat(prog->fd, &after), "fstat", prog->path);
  refuse_if(copied != prog->st.st_size || after.st_size != prog->st.st_size ||
                after.st_mtim.tv_sec != prog->st.st_mtim.tv_sec ||
                after.st_mtim.tv_nsec != prog->st.st_mtim.tv_nsec,
            prog->path, "changed while it was copied");
  return memfd;
}

/* ---- Seal ---- */

/* There may be more seals: F_SEAL_EXEC adds others. */
static bool is_sealed(int fd) {
  int seals = fcntl(fd, F_GET_SEALS);

  return seals >= 0 && (seals & SEALS) == SEALS;
}

static void seal_or_exit(int memfd) {
  int tries = 20, failed;

  /* Without F_SEAL_EXEC, since Linux 6.3, the mode could still be changed.
   * EBUSY is for a page of the copy that something else holds: if that is the
   * kernel, such as when it compacts memory, it lets go of it soon. */

  do {
    failed = SHOW(fcntl, memfd, F_ADD_SEALS, SEALS | F_SEAL_EXEC);
    if (failed && errno == EINVAL) {
      failed = SHOW(fcntl, memfd, F_ADD_SEALS, SEALS);
    }
  } while (failed && errno == EBUSY && --tries > 0);
  or_exit(failed, "fcntl", "F_ADD_SEALS");
  refuse_if(!is_sealed(memfd), "fcntl", "the copy is not sealed");
}

/* ---- Execute ---- */

int main(int argc, char **argv) {
  struct program prog;
  char *argv0 = NULL;

  begin_or_exit(argc);
  while (option_or_exit(argc, argv, "+:a:hVv", "") >= 0) {
    argv0 = optarg;
  }
  argv += optind;
  const char *word = *argv;
  usage_error_if(!word, "PROG", "is missing");

  find_program_or_exit(word, &prog);
  int sealed = prog.fd;
  if (!is_sealed(sealed)) {
    refuse_unsealable(&prog, word);
    sealed = copy_or_exit(&prog);
    seal_or_exit(sealed);
  }

  /* By its descriptor: in a /proc that someone else mounted, /proc/self/fd/N
   * leads to a program of theirs. */

  *argv = argv0 ? argv0 : *argv;
  SHOW(execveat, sealed, "", argv, environ, AT_EMPTY_PATH);
  warn_errno("execveat", word);
  return CANNOT_EXECUTE;
}
