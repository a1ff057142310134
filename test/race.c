/* race: run a program while somebody exchanges the path under its hands.
 *
 *   race [-ns] MODE ROUNDS ONE OTHER VICTIM PROG [ARG]...
 *
 * Another process exchanges the names ONE and OTHER as fast as it can, at least
 * 20000 times, while PROG is run ROUNDS times. What it did to x, below VICTIM
 * or below the directory that was ONE at first, is counted and undone. MODE is
 * what that is: "mount" on x, "mkdir" x, "umount" x, or "source": a mount on
 * VICTIM/x that shows a file named secret. -n: without openat2(2). -s: stop at
 * the first escape. Prints "escaped E inside I refused R exchanged X".
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void without_openat2(void) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {4, filter};

  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
    die("seccomp");
  }
}

static int run(char **argv) {
  int status;
  pid_t pid = vfork();

  if (pid == 0) {
    execvp(argv[0], argv);
    _exit(127);
  }
  if (pid < 0 || waitpid(pid, &status, 0) < 0) {
    die("vfork");
  }
  return status;
}

static int is_mounted(int directory) {
  struct statx here, x;

  return !statx(directory, "", AT_EMPTY_PATH, STATX_MNT_ID, &here) &&
         !statx(directory, "x", AT_SYMLINK_NOFOLLOW, STATX_MNT_ID, &x) &&
         here.stx_mnt_id != x.stx_mnt_id;
}

static void set_mounted(int directory, int mounted) {
  if (is_mounted(directory) != mounted &&
      (fchdir(directory) || (mounted ? mount("x", "x", "tmpfs", 0, NULL)
                                     : umount2("x", UMOUNT_NOFOLLOW)))) {
    die("set_mounted");
  }
}

/* Whether PROG did below DIRECTORY what MODE says; it is undone. */
static int undo(const char *mode, int directory) {
  int done = is_mounted(directory);

  if (strcmp(mode, "mkdir") == 0) {
    return unlinkat(directory, "x", AT_REMOVEDIR) == 0;
  }
  if (strcmp(mode, "umount") == 0) {
    set_mounted(directory, 1);
    return !done;
  }
  if (done) {
    set_mounted(directory, 0);
  }
  return done;
}

int main(int argc, char **argv) {
  int escaped = 0, inside = 0, refused = 0, stop = 0, letter, cwd, real, victim;
  volatile long *exchanged;

  while ((letter = getopt(argc, argv, "+ns")) > 0) {
    if (letter == 'n') {
      without_openat2();
    }
    stop |= letter == 's';
  }
  argv += optind;
  const char *mode = *argv++;
  exchanged = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  cwd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  real = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  victim = open(argv[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (real < 0 || victim < 0) {
    die("open");
  }
  if (strcmp(mode, "umount") == 0) {
    set_mounted(real, 1);
    set_mounted(victim, 1);
  }

  if (fchdir(cwd)) {
    die("fchdir");
  }
  pid_t attacker = fork();
  if (attacker == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;; ++*exchanged) {
      if (renameat2(AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE)) {
        die("renameat2");
      }
    }
  }
  for (int rounds = atoi(argv[0]); rounds > 0 || *exchanged < 20000; rounds--) {
    if (fchdir(cwd)) {
      die("fchdir");
    }
    int failed = run(argv + 4) != 0, out, in;
    if (strcmp(mode, "source") == 0) {
      in = is_mounted(victim);
      out = in && faccessat(victim, "x/secret", F_OK, 0) == 0;
      undo(mode, victim);
    } else {
      out = undo(mode, victim);
      in = undo(mode, real);
    }
    escaped += out;
    inside += in && !out;
    refused += !out && !in && failed;
    if (out && stop) {
      break;
    }
  }
  kill(attacker, SIGKILL);
  printf("escaped %d inside %d refused %d exchanged %ld\n", escaped, inside,
         refused, *exchanged);
  return 0;
}
