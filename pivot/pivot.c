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

#include "../idmap/first/descriptors.h"
#include "../idmap/first/hints.h"
#include "../idmap/first/mounts.h"
#include "initramfs.h"

ABOUT("pivot", "[-fv] [-k LIST] [-o PUT-OLD] NEW-ROOT [PROG [ARG]...]\n");

/* Whether something is mounted over PATH, or over a directory above it, but for
 * the mount ID that it is on, and those that this stands on. On each of them it
 * covers PATH if it is mounted before the place where PATH leaves that mount.
 */
static bool is_covered(int proc, const char *path, unsigned long id) {
  size_t end = strlen(path) + 1, length;
  struct mount on, mount;
  struct table table;

  while (find_mount(proc, id, &on)) {
    bool covered = false;
    open_table(&table, proc);
    while (next_mount(&table, &mount)) {
      unescape(mount.point);
      length = strlen(mount.point);
      covered |= mount.parent == id && mount.id != id && length < end &&
                 strncmp(path, mount.point, length) == 0 &&
                 (length == 1 || path[length] == '/' || !path[length]);
    }
    close_fd(table.fd);
    if (covered || on.parent == id) {
      return covered;
    }
    unescape(on.point);
    end = strlen(on.point);
    id = on.parent;
  }
  if (end > strlen(path)) {
    errx(FAILED, "whether %s is covered cannot be seen", path);
  }
  return false;
}

/* Goes to NEW-ROOT: whatever then moves, "." stays the directory that was
 * looked at, and it is none of the old root. */
static struct place enter(const char *new_root) {
  char path[PATH_MAX];

  /* What has been mounted on "/" is not reached as "/", where every look-up
   * starts, but as its parent, where one arrives. */

  go(strcmp(new_root, "/") ? new_root : "/..");

  /* A "." or a link in /proc leads into a directory past what has been mounted
   * on it since. Its name leads to what everybody else sees there. */

  if (CALL(getcwd, &path, sizeof(path)) < 0) {
    err(FAILED, "getcwd in %s", new_root);
  }
  if (path[0] != '/') {
    errx(FAILED, "%s is not below /", new_root);
  }
  struct place seen, here = look(AT_FDCWD, ".");
  if (!try_look(AT_FDCWD, path[1] ? path : "/..", &seen)
          ? is_covered(open_proc(), path, here.mount)
          : !same(&seen, &here)) {
    errx(FAILED, "%s is covered by another mount", new_root);
  }
  return here;
}

static long pivot_root(const char *new_root, const char *put_old) {
  return CALL(pivot_root, new_root, put_old);
}

_Noreturn static void fail(const char *call, const char *object) {
  warn("%s %s", call, object);
  explain(".", ".");
  _exit(FAILED);
}

static void make_slave(const char *path, bool recursive) {
  if ((recursive ? CALL(mount, NULL, path, NULL, MS_SLAVE | MS_REC, NULL)
                 : CALL(mount, NULL, path, NULL, MS_SLAVE, NULL)) < 0) {
    fail("mount --make-slave", path);
  }
}

/* Only a mount can become the root, and none that is on a shared mount, or that
 * a more privileged namespace locked in its place. A recursive copy is free. */
static struct place bind_onto_itself(const char *new_root) {
  int tree = CALL(open_tree, AT_FDCWD, ".",
                  OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

  if (tree < 0) {
    fail("open_tree", new_root);
  }

  /* Not attached yet, the copy keeps what is shared in it. Attached before
   * this, it would appear in other namespaces. */

  make_slave("/", true);
  move(tree, "", ".");

  /* "." is still what the copy now covers. */

  if (CALL(fchdir, tree) < 0) {
    err(FAILED, "fchdir");
  }
  make_slave(".", false);
  return look(AT_FDCWD, ".");
}

/* Puts HERE, which is ".", in the place of the mount OLD_ID, the root, and
 * detaches that. INITRAMFS is a descriptor of it if it is that, otherwise -1.
 * Returns the number of the mount that is the root then. */
static unsigned long pivot(const char *new_root, struct place here, int proc,
                           int initramfs, unsigned long old_id, bool has_prog) {
  bool bound = here.mount == old_id || !here.is_mount_point;

  /* What moves, or is unmounted, on a shared mount does so in all namespaces
   * that share it. pivot_root(2) refuses the first; the second is ours. */

  if (bound) {
    here = bind_onto_itself(new_root);
  } else {
    make_slave("/", false);
    make_slave(".", false);
  }

  /* "." twice needs no directory for the old root, which is then stacked on the
   * new one: see NOTES of pivot_root(2). */

  long failed = pivot_root(".", ".");

  /* A copy lies on what it is a copy of. What is on the initramfs itself can be
   * moved as it is, and if it covers / already, would take the copy with it. */

  struct mount mount;
  if (failed && errno == EINVAL && !bound &&
      (initramfs < 0 || !find_mount(proc, here.mount, &mount) ||
       mount.parent != old_id)) {
    here = bind_onto_itself(new_root);
    failed = pivot_root(".", ".");
  }

  /* Before Linux 7.0 nothing can take the place of the initramfs: then the new
   * root goes on top of it, where a copy of / is already, and what else is
   * mounted in it goes: nothing would reach that any more. */

  if (failed && errno == EINVAL && initramfs >= 0) {
    if (!has_prog) {
      errx(FAILED, "this kernel cannot pivot its initramfs: PROG is needed");
    }
    bring_along(initramfs);
    if (look(AT_FDCWD, "/..").mount != here.mount) {
      move(AT_FDCWD, ".", "/");
    }
    detach_others(proc, old_id, here.mount);
    if (CALL(chroot, ".") < 0) {
      err(FAILED, "chroot %s", new_root);
    }
    return here.mount;
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
  detach("/..");
  return here.mount;
}

/* Nothing of the mount OLD_ID may be left, whatever the calls said, and nothing
 * may be around ROOT_ID. Leaves for "/". */
static void verify(int proc, unsigned long root_id, unsigned long old_id,
                   bool was_initramfs) {
  struct table table;
  struct mount mount;
  bool seen = false;

  if (!open_table(&table, proc)) {
    err(FAILED, "open /proc/self/mountinfo");
  }

  /* In a chroot, pivot_root(2) exchanges its root alone, and there is still a
   * way out of it to the rest. Around the namespace's own root, or around the
   * initramfs, there is nothing. */

  if (was_initramfs) {
    go("/");
  } else if (!go_to_namespace_root(proc)) {
    if (errno != EINVAL) {
      warn("setns self/ns/mnt");
      if (!capable(CAP_SYS_CHROOT)) {
        warnx("hint: CAP_SYS_CHROOT is missing");
      }
      _exit(FAILED);
    }
    warnx("not checked whether / was a chroot: other processes share it");
    go("/");
  }
  struct place top = look(AT_FDCWD, "/..");
  if (top.mount != root_id) {
    errx(FAILED, top.mount == old_id
                     ? "the old root is still mounted"
                     : "/ was a chroot, or covered: there is still another");
  }
  while (next_mount(&table, &mount)) {
    seen |= mount.id == root_id;
    if (mount.id != root_id && (mount.id == old_id || mount.parent == old_id)) {
      errx(FAILED, "%s of the old root is still mounted", mount.point);
    }
  }
  if (!seen) {
    errx(FAILED, "the mount table does not show the new root");
  }
}

/* Without PROG, says what the caller, who has the descriptors and the directory
 * CWD that we had, can still reach the old root by. */
static void report(int proc, int cwd, const struct place *old_root) {
  struct listing fds;
  struct mount mount;
  const char *name;
  unsigned long fd;

  if (!open_listing(&fds, proc, "self/fd")) {
    err(FAILED, "open /proc/self/fd");
  }
  while ((name = next_entry(&fds))) {

    /* Our own are close-on-exec, which no inherited one can be. */

    if (!number(name, INT_MAX, &fd) ||
        ((int)fd != cwd && CALL(fcntl, fd, F_GETFD) == FD_CLOEXEC)) {
      continue;
    }
    struct place place = look(fd, "");
    if (!place.is_directory || find_mount(proc, place.mount, &mount)) {
      continue;
    }
    if ((int)fd != cwd) {
      warnx("descriptor %ld still reaches the old root", (long)fd);
    } else if (!same(&place, old_root)) {

      /* pivot_root(2) moved all processes that were in the root itself. */

      warnx("the working directory still reaches the old root");
    }
  }
}

static void replace_root(const char *new_root, const char *keep,
                         bool free_files, char **prog) {
  int cwd = -1, proc, initramfs = -1;

  if (!*prog && (cwd = open_directory(".")) < 0) {
    err(FAILED, "open the working directory");
  }
  struct place old_root = look(AT_FDCWD, "/"), here = enter(new_root);

  if (*prog) {
    refuse_directories();
    close_others(keep);
  }

  /* What is left of the old root is read there at the end. Without it, nothing
   * may move: a pivot that cannot be checked could not be taken back either. */

  proc = open_proc();
  if (proc < 0) {
    err(FAILED, "no mount table: %s, and no other can be mounted", proc_fault);
  }
  if (on_initramfs(proc, old_root.mount)) {
    initramfs = open_directory("/");
    if (initramfs < 0) {
      err(FAILED, "open /");
    }
  }
  if (free_files) {
    if (initramfs < 0) {
      errx(FAILED, "-f: / is not seen to be an initramfs");
    }
    if (here.mount == old_root.mount) {
      errx(FAILED, "-f: %s is in the initramfs", new_root);
    }
    refuse_copies(proc, old_root.mount);
  }

  unsigned long root_id =
      pivot(new_root, here, proc, initramfs, old_root.mount, *prog);

  verify(proc, root_id, old_root.mount, initramfs >= 0);
  if (free_files) {
    delete_files(initramfs, ".", old_root.mount);
  }
  if (!*prog) {
    report(proc, cwd, &old_root);
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
  if ((free_files || keep) && (put_old || !*argv)) {
    errx(USAGE, "-f and -k need PROG, and go without -o");
  }

  if (put_old) {
    if (pivot_root(new_root, put_old) < 0) {
      warn("pivot_root %s %s", new_root, put_old);
      explain(new_root, put_old);
      return FAILED;
    }
    go("/");
  } else {
    replace_root(new_root, keep, free_files, argv);
  }
  if (*argv) {
    run(argv);
  }
  return 0;
}
