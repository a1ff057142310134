/* pivot: make a directory the root, and get rid of the old one.
 *
 * chroot(2) changes only where "/" points: the old root stays mounted, and an
 * open directory or a second chroot leads back to it. pivot_root(2) exchanges
 * the mounts themselves, but someone has to unmount the old root. In a script
 * that is umount(8), a program of the new root, with all rights on the old one.
 * So here one process does both, before any program of the new root runs.
 *
 * It refuses to run PROG while the mount table shows anything of the old root,
 * in a chroot, and in the mount namespace of PID 1. It cannot take back what
 * other processes hold open. Each function here exits if its step fails.
 */

#include "initramfs.h"
#include <sched.h>
#include <sys/wait.h>

const char tool[] = "pivot";
const char usage[] =
    "usage: pivot [-fv] [-k LIST] [-o PUT-OLD] NEW-ROOT [PROG [ARG]...]\n\n"
    "  -f          delete the files of the initramfs, to free its memory\n"
    "  -k LIST     keep these descriptors open for PROG, such as 3,5-7\n"
    "  -o PUT-OLD  call pivot_root(2) alone, as pivot_root(8)\n" COMMON_OPTIONS;

/* Makes NEW-ROOT the working directory. If someone moves it or covers its path
 * after that, "." is still the same directory for the checks and calls below.
 */
static void enter_new_root(const char *new_root) {
  int fd = inherited_fd_or_exit(new_root);

  /* A look-up of "/" starts below what is mounted on "/", but a look-up of
   * "/.." arrives on top of it. There is the directory that "/" as NEW-ROOT
   * means. */

  const char *path = strcmp(new_root, "/") == 0 ? "/.." : new_root;
  int failed = fd >= 0 ? SHOW(fchdir, fd) : SHOW(chdir, path);
  or_exit(failed, "chdir", new_root);
}

/* An open directory of the old root is a way back: openat(2) on it needs no
 * path from the new root (CVE-2016-9962, CVE-2024-21626). */
static void close_ways_back(const char *keep) {
  for (int fd = 0; fd <= 2; fd++) {
    refuse_if(is_inherited(fd) && S_ISDIR(look_up_or_exit(fd, "").stx_mode),
              numbered("descriptor ", fd, "").text,
              "is a directory, a way back to the old root");
  }
  close_others_or_exit(keep, NULL, 0);
}

/* pivot_root(2) changes the root of every process in the mount namespace that
 * has the old one. In the namespace of PID 1 that is the whole machine, and
 * nothing can undo it. Mount IDs are unique in the kernel, so PID 1 is in our
 * namespace if its table has our root. If that cannot be read, as with hidepid,
 * pivot goes on: this guards against a mistake, not against an attack. */
static void refuse_namespace_of_pid_1(int proc) {
  uint64_t root = look_up_or_exit(AT_FDCWD, "/").stx_mnt_id;
  struct mount mount;

  refuse_if(getpid() != 1 && getppid() != 1 &&
                open_proc_file(proc, "1/mountinfo").fd >= 0 &&
                find_mount_or_exit(proc, "1/mountinfo", root, &mount),
            "/",
            "is in PID 1's mount namespace: make a new one (idmap -K -n mnt)");
}

/* In a chroot on a mount point, pivot_root(2) works, but exchanges the root of
 * the chroot alone. The rest of the namespace stays around it, and a second
 * chroot(2) leads out (chroot(2), NOTES). setns(2), even into a process' own
 * mount namespace, makes the root of the namespace that of the process. So a
 * child calls it and compares. The child ends without a signal, because a
 * caller may ignore SIGCHLD, and the kernel would then drop the status. And PID
 * 1 shares its root with the kernel's threads: setns(2) would be EINVAL. */
static void refuse_chroot(int proc) {
  const char *name = "self/ns/mnt";
  struct statx ours = look_up_or_exit(AT_FDCWD, "/..");
  int status;
  pid_t child = or_exit(fork_with(0), "clone", "to look at the root");

  if (child == 0) {
    int fd = or_exit(openat(proc, name, O_RDONLY | O_CLOEXEC), "open", name);
    or_exit_here(setns(fd, CLONE_NEWNS), "setns", name);
    refuse_if(!is_same_place(look_up_or_exit(AT_FDCWD, "/"), ours), "/",
              "is not the root of the mount namespace, but a chroot in it");
    _exit(0);
  }
  or_exit(waitpid(child, &status, __WALL), "wait", "for a child");
  refuse_if(!WIFEXITED(status), "/", "the child that looks at it was killed");
  if (status != 0) {
    _exit(FAILED);
  }
}

/* A mount can cover a directory after it was entered or opened. PROG would then
 * have another root than a look-up of its path finds. Looking it up is not
 * possible if a directory above it is closed to us. So this follows the look-up
 * in the mount table: of the mounts on a mount that are above the path, the
 * look-up enters the one with the shortest path first. */
static void refuse_covered(int proc, const char *new_root) {
  uint64_t id = 0, next = look_up_or_exit(AT_FDCWD, "/").stx_mnt_id;
  char path[PATH_MAX];
  struct mount mount;

  or_exit(getcwd(path, sizeof(path)) ? 0 : -1, "getcwd", new_root);
  while (id != next) {
    struct reader table = mounts_or_exit(proc, "self/mountinfo");
    size_t least = sizeof(path);
    id = next;
    while (next_mount_or_exit(&table, &mount)) {
      size_t length = strlen(mount.point);
      bool is_above = strncmp(path, mount.point, length) == 0 &&
                      (length == 1 || strchr("/", path[length]));
      if (mount.parent == id && mount.id != id && is_above && length < least) {
        least = length;
        next = mount.id;
      }
    }
  }
  refuse_if(look_up_or_exit(AT_FDCWD, ".").stx_mnt_id != id, new_root,
            "is covered by a mount");
}

/* Mounts a copy of "." on itself, and goes there. Only a mount can become the
 * root, and not one on a shared mount, nor one that a more privileged namespace
 * locked in its place. A copy is free of all that, if it takes along what is
 * mounted below: a locked mount must not be taken off (mount_namespaces(7)). */
static void bind_onto_itself(const char *new_root) {
  int tree = CALL_OR_EXIT(new_root, open_tree, AT_FDCWD, ".",
                          OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

  /* If the copy were attached to a shared mount, it would appear in each
   * namespace that shares the mount. The copy is not attached yet, so mounts in
   * it that are shared stay shared. */

  CALL_OR_EXIT("/", mount, NULL, "/", NULL, MS_SLAVE | MS_REC, NULL);
  CALL_OR_EXIT(new_root, move_mount, tree, "", AT_FDCWD, ".",
               MOVE_MOUNT_F_EMPTY_PATH);

  /* "." is still the directory that the copy now covers. */

  CALL_OR_EXIT(new_root, fchdir, tree);
  close(tree);
}

/* The five calls that are pivot. "." is a mount, and becomes the root. Returns
 * false, with nothing exchanged, if pivot_root(2) answers EINVAL. */
static bool exchange_roots(const char *new_root, int initramfs) {

  /* A mount that moves on a shared mount would move in every namespace that
   * shares it, so pivot_root(2) refuses. Slave and not private: a private copy
   * of a mount would stay here when its first namespace unmounts it, and keep
   * its device busy (mount_namespaces(7)). */

  CALL_OR_EXIT("/", mount, NULL, "/", NULL, MS_SLAVE, NULL);
  CALL_OR_EXIT(new_root, mount, NULL, ".", NULL, MS_SLAVE, NULL);

  /* With "." twice, no directory in the new root is needed for the old one:
   * the new root becomes "/", and the old root is mounted on top of it
   * (pivot_root(2), NOTES). */

  int failed = SHOW(pivot_root, ".", ".");
  if (failed && errno == EINVAL) {
    return false;
  }
  or_exit_here(failed, "pivot_root", new_root);
  if (initramfs >= 0) {
    bring_along_or_exit(initramfs);
  }

  /* An unmount on a shared mount happens in every namespace that shares it: the
   * next call would unmount the caller's file systems too. "/.." is the old
   * root: ".." of "/" is "/", but arrives on top of what is mounted there. */

  CALL_OR_EXIT("/..", mount, NULL, "/..", NULL, MS_SLAVE | MS_REC, NULL);

  /* With MNT_DETACH the whole tree goes at once, though it is in use: by the
   * program that we still execute, for one. Without, this is EBUSY. */

  CALL_OR_EXIT("/..", umount2, "/..", MNT_DETACH | UMOUNT_NOFOLLOW);
  return true;
}

/* Makes "." the root instead of the mount OLD. INITRAMFS is a descriptor of the
 * old root if it is the initramfs, otherwise -1. */
static void replace_root(const char *new_root, int proc, int initramfs,
                         uint64_t old, bool has_prog) {
  struct statx here = look_up_or_exit(AT_FDCWD, ".");
  bool is_mount = here.stx_attributes & STATX_ATTR_MOUNT_ROOT;
  bool bound = !is_mount || here.stx_mnt_id == old;
  struct mount on;

  find_mount_or_exit(proc, "self/mountinfo", here.stx_mnt_id, &on);
  if (bound) {
    bind_onto_itself(new_root);
  }
  bool exchanged = exchange_roots(new_root, initramfs);

  /* The cause of EINVAL may be that NEW-ROOT is locked, or on a shared mount.
   * If it is on the initramfs, the initramfs is the cause. */

  if (!exchanged && !bound && (initramfs < 0 || on.parent != old)) {
    bind_onto_itself(new_root);
    exchanged = exchange_roots(new_root, initramfs);
  }
  if (!exchanged) {
    or_exit(initramfs < 0 ? -1 : 0, "pivot_root", new_root);
    refuse_if(!has_prog, "/", "can only be covered, which needs PROG");
    cover_initramfs_or_exit(proc, initramfs, old);
  }

  /* "." was below "/" of the caller. For PROG, both are the new root. */

  CALL_OR_EXIT("/", chdir, "/");

  /* exchange_roots() made the mount a slave. If it is shared again, it still
   * receives what it received before. */

  if (is_mount && on.is_shared) {
    CALL_OR_EXIT(new_root, mount, NULL, "/", NULL, MS_SHARED, NULL);
  }
}

/* Reads the mount table, whatever the calls returned: no mount of it may be the
 * mount OLD, or be mounted on that. */
static void verify(int proc, uint64_t old) {
  uint64_t root = look_up_or_exit(AT_FDCWD, "/").stx_mnt_id;
  struct reader table = mounts_or_exit(proc, "self/mountinfo");
  struct mount mount;
  bool is_there = false;

  while (next_mount_or_exit(&table, &mount)) {
    is_there |= mount.id == root;
    refuse_if(mount.id == old || (mount.parent == old && mount.id != root),
              mount.point, "a mount of the old root is still mounted");
  }
  refuse_if(!is_there, "/", "the mount table does not show the new root");
}

/* Whether FD is a directory on a mount that is not in our table. */
static bool reaches_old_root(int proc, int fd) {
  struct statx st = look_up_or_exit(fd, "");
  struct mount mount;

  return S_ISDIR(st.stx_mode) &&
         !find_mount_or_exit(proc, "self/mountinfo", st.stx_mnt_id, &mount);
}

/* Without PROG, tells by what the caller still reaches the old root. The caller
 * has our descriptors, and the working directory CWD that we had. Of the
 * descriptors, the first eight are enough to know. */
static void report_ways_back(int proc, int cwd, struct statx old) {
  /* pivot_root(2) moved all processes whose directory was the root itself. */

  if (!is_same_place(look_up_or_exit(cwd, ""), old) &&
      reaches_old_root(proc, cwd)) {
    warn("the working directory", "still reaches the old root");
  }
  for (int fd = 0, found = 0; fd < 4096 && found < 8; fd++) {
    if (is_inherited(fd) && reaches_old_root(proc, fd)) {
      warn(numbered("descriptor ", fd, "").text, "still reaches the old root");
      found++;
    }
  }
}

/* Everything but -o. */
static void pivot(char *new_root, char *keep, bool free_files, char **prog) {
  struct statx old = look_up_or_exit(AT_FDCWD, "/");
  int cwd = or_exit(open(".", O_PATH | O_CLOEXEC), "open", ".");

  enter_new_root(new_root);
  if (*prog) {
    close_ways_back(keep);
  }
  int proc = open_proc();
  refuse_if(proc < 0, "/proc", "is no whole procfs of our PID namespace");
  refuse_namespace_of_pid_1(proc);
  refuse_chroot(proc);
  refuse_covered(proc, new_root);
  int initramfs = open_initramfs_or_exit(proc, old.stx_mnt_id);
  if (free_files) {
    refuse_if(initramfs < 0, "-f", "/ is not an initramfs");
    refuse_if(look_up_or_exit(AT_FDCWD, ".").stx_mnt_id == old.stx_mnt_id,
              new_root, "is in the initramfs, so -f would delete it");
    refuse_to_free(proc, old.stx_mnt_id);
  }

  replace_root(new_root, proc, initramfs, old.stx_mnt_id, *prog);
  verify(proc, old.stx_mnt_id);
  if (free_files) {
    delete_files_or_exit(initramfs, ".", old.stx_mnt_id);
  }
  if (!*prog) {
    report_ways_back(proc, cwd, old);
  }
}

int main(int argc, char **argv) {
  char *keep = NULL, *put_old = NULL, *new_root, **prog;
  bool free_files = false;
  int letter;

  begin_or_exit(argc);
  while ((letter = option_or_exit(argc, argv, "+:fhk:o:Vv", "")) >= 0) {
    free_files |= letter == 'f';
    keep = letter == 'k' ? optarg : keep;
    put_old = letter == 'o' ? optarg : put_old;
  }
  new_root = argv[optind];
  usage_error_if(!new_root, "NEW-ROOT", "is missing");
  prog = argv + optind + 1;
  usage_error_if((free_files || keep) && (put_old || !*prog), "-f and -k",
                 "need PROG, and go without -o");

  if (put_old) {
    refuse_namespace_of_pid_1(open_proc());
    CALL_OR_EXIT(new_root, pivot_root, new_root, put_old);
    CALL_OR_EXIT("/", chdir, "/");
  } else {
    pivot(new_root, keep, free_files, prog);
  }
  execute(prog);
}
