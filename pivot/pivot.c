/* pivot: make a directory the root, and get rid of the old one.
 *
 * chroot(2) only changes where "/" points: the old root stays mounted, and one
 * descriptor or a second chroot leads back to it. pivot_root(2) exchanges the
 * mounts themselves, but leaves the old root for somebody else to unmount. In a
 * script that is umount(8), by then a program of the new root, running with all
 * rights on the old one.
 *
 * So here both happen in one process. It fails unless nothing of the old tree
 * is left in its mount table, and never runs PROG where a way back is open. It
 * cannot take back what other processes hold open.
 */

#include "descriptors.h"
#include "hints.h"
#include "initramfs.h"
#include "mounts.h"

ABOUT("pivot", "[-fv] [-k LIST] [-o PUT-OLD] NEW-ROOT [PROG [ARG]...]\n");

/* Go to NEW-ROOT: whatever then moves, "." stays the directory that was looked
 * at, and it is none of the old root. */
static struct place enter(const char *new_root) {
  char path[PATH_MAX];

  /* What has been mounted on "/" is not reached as "/", where every look-up
   * starts, but as its parent, where one arrives. */

  if (CALL(chdir, strcmp(new_root, "/") ? new_root : "/..") < 0) {
    err(FAILED, "chdir %s", new_root);
  }

  /* A "." or a link in /proc leads into a directory past what has been mounted
   * on it since. Its name leads to what everybody else sees there. */

  if (CALL(getcwd, &path, sizeof(path)) < 0) {
    err(FAILED, "getcwd in %s", new_root);
  }
  if (path[0] != '/') {
    errx(FAILED, "%s is not below /", new_root);
  }
  struct place seen = look(path[1] ? path : "/.."), here = look(".");
  if (!same(&seen, &here)) {
    errx(FAILED, "%s is covered: something has been mounted on it", new_root);
  }
  return here;
}

_Noreturn static void fail(const char *call, const char *object) {
  warn("%s %s", call, object);
  explain(errno, ".", ".");
  _exit(FAILED);
}

static void make_slave(const char *path, bool recursive) {
  if ((recursive ? CALL(mount, NULL, path, NULL, MS_SLAVE | MS_REC, NULL)
                 : CALL(mount, NULL, path, NULL, MS_SLAVE, NULL)) < 0) {
    fail("mount --make-slave", path);
  }
}

/* Only a mount can become the root, and no mount that a more privileged
 * namespace locked in its place. A recursive copy of it is free. */
static void bind_onto_itself(const char *new_root) {
  int tree = CALL(open_tree, AT_FDCWD, ".",
                  OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

  if (tree < 0) {
    fail("open_tree", new_root);
  }

  /* Not attached yet, the copy keeps what is shared in it. Attached before
   * this, it would appear in other namespaces. */

  make_slave("/", true);

  if (CALL(move_mount, tree, "", AT_FDCWD, ".", MOVE_MOUNT_F_EMPTY_PATH) < 0 ||
      CALL(fchdir, tree) < 0) {
    fail("move_mount", new_root);
  }
  make_slave(".", false);
}

/* Before Linux 7.0 nothing can take the place of the initramfs, so the new root
 * goes on top of it. What else is mounted there would stay for ever. */
static void cover_initramfs(const char *new_root, int proc, int old_root,
                            unsigned long old_id) {
  bring_along(old_root);

  if (CALL(mount, ".", "/", NULL, MS_MOVE, NULL) < 0) {
    fail("mount --move", new_root);
  }

  /* Our own root is still the one below, and so are the paths of the table. */

  detach_others(proc, old_id, look(".").mount);

  if (CALL(chroot, ".") < 0) {
    fail("chroot", new_root);
  }
}

/* Puts "." in the place of the root, and detaches that. INITRAMFS is a
 * descriptor of the old root if it is the initramfs, otherwise -1. */
static void pivot(const char *new_root, const struct place *here, int proc,
                  int initramfs, unsigned long old_id, bool has_prog) {
  bool bound = here->mount == old_id || !here->is_mount_point;

  /* What moves, or is unmounted, on a shared mount does so in all namespaces
   * that share it. pivot_root(2) refuses the first; the second is ours. */

  if (bound) {
    bind_onto_itself(new_root);
  } else {
    make_slave("/", false);
    make_slave(".", false);
  }

  /* "." twice needs no directory for the old root, which is then stacked on the
   * new one: see NOTES of pivot_root(2). */

  long failed = CALL(pivot_root, ".", ".");

  if (failed && errno == EINVAL && initramfs >= 0) {
    if (!has_prog) {
      errx(FAILED, "this kernel cannot pivot its initramfs: PROG is needed");
    }
    cover_initramfs(new_root, proc, initramfs, old_id);
    return;
  }
  if (failed && errno == EINVAL && !bound) {
    bind_onto_itself(new_root);
    failed = CALL(pivot_root, ".", ".");
  }
  if (failed) {
    fail("pivot_root", new_root);
  }
  if (initramfs >= 0) {
    bring_along(initramfs);
  }

  /* "/.." is where one arrives, on top of the stack: all of the old tree must
   * be cut off from the namespaces it came from before any of it goes. */

  make_slave("/..", true);

  if (CALL(umount2, "/..", MNT_DETACH) < 0) {
    fail("umount", "of the old root");
  }
}

/* Nothing of the mount OLD_ID may be left, whatever the calls said. */
static void verify(int proc, unsigned long old_id) {
  unsigned long root_id = look(".").mount;
  struct table table;
  struct mount mount;
  bool seen = false;

  /* A process whose directory is not the root itself would have been left
   * behind by pivot_root(2), with a ".." that still leads up. */

  if (CALL(chdir, "/") < 0) {
    err(FAILED, "chdir /");
  }
  if (look("/..").mount != root_id) {
    errx(FAILED, "the old root is still mounted");
  }
  if (!open_table(&table, proc)) {
    warnx("mount table not checked: no /proc");
    return;
  }
  while (next_mount(&table, &mount)) {
    if (mount.id == root_id) {
      seen = true;
    } else if (mount.id == old_id || mount.parent == old_id) {
      errx(FAILED, "%s of the old root is still mounted", mount.point);
    }
  }
  if (!seen) {
    errx(FAILED, "the mount table does not show the new root");
  }
}

/* Without PROG, says what the caller, who has the descriptors and the directory
 * that we had, can still reach the old root by. */
static void report(int proc, int old_cwd) {
  struct listing fds = {.fd = proc};
  char path[PATH_MAX];
  const char *name;
  unsigned long fd;

  if (proc < 0 || !open_listing(&fds, proc, "self/fd")) {
    warnx("descriptors not checked: no /proc");
    return;
  }
  while ((name = next_entry(&fds))) {
    if (number(name, INT_MAX, &fd) && (int)fd != fds.fd && (int)fd != proc &&
        CALL(fchdir, fd) == 0 && CALL(getcwd, &path, sizeof(path)) > 0 &&
        path[0] != '/') {
      warnx((int)fd == old_cwd
                ? "the working directory still reaches the old root"
                : "descriptor %ld still reaches the old root",
            (long)fd);
    }
  }
}

static void replace_root(const char *new_root, bool free_files, char **prog) {
  int cwd = *prog
                ? -1
                : CALL(openat, AT_FDCWD, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  int proc = open_proc(), initramfs = -1;
  unsigned long old_id = look("/").mount;

  struct place here = enter(new_root);

  if (on_initramfs(proc, old_id)) {
    initramfs = CALL(openat, AT_FDCWD, "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (initramfs < 0) {
      err(FAILED, "open /");
    }
  }
  if (free_files && (initramfs < 0 || here.mount == old_id)) {
    errx(FAILED,
         initramfs < 0 ? "-f: / is not seen to be an initramfs"
                       : "-f: %s is in the initramfs itself",
         new_root);
  }

  pivot(new_root, &here, proc, initramfs, old_id, *prog);
  verify(proc, old_id);

  if (free_files) {
    if (strchr(*prog, '/') && CALL(faccessat, AT_FDCWD, *prog, X_OK) < 0) {
      err(errno == ENOENT ? NOT_FOUND : CANNOT_EXECUTE, "exec %s", *prog);
    }
    delete_files(initramfs, ".", old_id);
  }
  if (!*prog) {
    report(proc, cwd);
  }
}

int main(int argc, char **argv) {
  char *keep = NULL, *put_old = NULL, *value = NULL, *new_root;
  bool free_files = false;
  int letter;

  argv = begin(argc, argv);
  while ((letter = option(&argv, "fk:o:", &value))) {
    if (letter == 'f') {
      free_files = true;
    } else if (letter == 'k') {
      keep = value;
    } else {
      put_old = value;
    }
  }
  if (!(new_root = *argv++)) {
    errx(USAGE, "NEW-ROOT is missing");
  }
  if (put_old && (free_files || keep)) {
    errx(USAGE, "-o goes without -f and -k");
  }
  if ((free_files || keep) && !*argv) {
    errx(USAGE, "-f and -k need PROG");
  }

  if (put_old) {
    if (CALL(pivot_root, new_root, put_old) < 0) {
      warn("pivot_root %s %s", new_root, put_old);
      explain(errno, new_root, put_old);
      return FAILED;
    }
    if (CALL(chdir, "/") < 0) {
      err(FAILED, "chdir /");
    }
  } else {
    if (*argv) {
      refuse_directories();
      close_others(keep);
    }
    replace_root(new_root, free_files, argv);
  }
  if (*argv) {
    run(argv);
  }
  return 0;
}
