/* target.c: one process, for certain, and the namespaces that it is in.
 * target.h has the contract. */

#include "target.h"
#include "../idmap/namespaces.h"
#include <dirent.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

static int open_or_exit(int directory, const char *path, int flags) {
  return or_exit(openat(directory, path, flags | O_CLOEXEC), "open", path);
}

/* ---- One process ---- */

/* The PID of PIDFD's process in the procfs PROC. The kernel says -1 if that was
 * waited for: from then on, another process can have its PID. It says 0 if the
 * process is in none of PROC's namespaces. */
static pid_t pid_or_exit(int proc, const char *word, int pidfd) {
  char line[LINE_SIZE];
  struct numbered name = numbered("self/fdinfo/", pidfd, "");
  const char *text = proc_line(proc, name.text, "Pid:", line);
  uint64_t pid = 0;

  refuse_if(!text || !read_number(text, INT_MAX, &pid) || pid == 0, word,
            "is no process that /proc shows, and no namespace");
  return pid;
}

/* Makes the process of PIDFD the target. When it is asked for the second time,
 * it has not been waited for, so its PID was no other process' meanwhile. */
static void hold_or_exit(int proc, int pidfd, struct target *target) {
  target->fd = pidfd;
  target->pid = pid_or_exit(proc, target->word, pidfd);
  target->directory = open_or_exit(proc, numbered("", target->pid, "").text,
                                   O_PATH | O_DIRECTORY | O_NOFOLLOW);
  pid_or_exit(proc, target->word, pidfd);
  refuse_if(look_up_or_exit(target->directory, "").stx_mnt_id !=
                look_up_or_exit(proc, "").stx_mnt_id,
            target->word, "is covered by a mount in /proc");
}

/* ---- The container that a process waits for ---- */

/* Whether the field NAME of the status of process PID is VALUE. It is not, if
 * the process has ended; if /proc hides it, HIDDEN is set to PID. */
static bool has_status(int proc, pid_t pid, const char *name, const char *value,
                       pid_t *hidden) {
  char line[LINE_SIZE];
  const char *seen =
      proc_line(proc, numbered("", pid, "/status").text, name, line);

  if (!seen && (kill(pid, 0) == 0 || errno != ESRCH)) {
    *hidden = pid;
  }
  return seen && strcmp(seen, value) == 0;
}

/* Whether process PID lives, is a child of PARENT, and is PID 1 of a namespace
 * one level below ours. NSpid is then the PID that it has here, and 1. Anyone
 * may read that; to compare namespaces, one needs the right to trace the
 * process (proc_pid_status(5), ptrace(2)). */
static bool is_container_of(int proc, pid_t pid, pid_t parent, pid_t *hidden) {
  struct numbered below = numbered("", pid, "\t1");
  struct numbered child = numbered("", parent, "");

  return has_status(proc, pid, "NSpid:", below.text, hidden) &&
         has_status(proc, pid, "PPid:", child.text, hidden) &&
         !has_status(proc, pid, "State:", "Z (zombie)", hidden);
}

/* The PID of the container that the process PARENT, called WORD, waits for; 0
 * if there is none. This reads the parent of each process: the kernel's own
 * list of the children of a thread leaves one out if another ends meanwhile
 * (proc_tid_children(5)). If no container is found, but /proc hides a process
 * from us, it exits: that process can be the container. */
static pid_t container_or_exit(int proc, pid_t parent, const char *word) {
  DIR *list = fdopendir(open_or_exit(proc, ".", O_RDONLY | O_DIRECTORY));
  pid_t found = 0, hidden = 1; /* until PID 1, which is the first, is seen */
  struct dirent *entry;
  uint64_t pid;

  or_exit(list ? 0 : -1, "fdopendir", "/proc");
  while (errno = 0, (entry = readdir(list))) {
    if (!read_number(entry->d_name, INT_MAX, &pid)) {
      continue;
    }
    hidden = pid == 1 ? 0 : hidden;
    if (is_container_of(proc, pid, parent, &hidden)) {
      struct numbered two = numbered("waits for two: ", found, " and ");
      refuse_if(found, word, numbered(two.text, pid, "").text);
      found = pid;
    }
  }
  or_exit(errno ? -1 : 0, "readdir", "/proc");
  refuse_if(hidden && !found, numbered("process ", hidden, "").text,
            "is hidden (hidepid), and so can be a container of TARGET's");
  return found;
}

/* If TARGET waits for a container, makes PID 1 of that container the target. A
 * process that waits is in our own PID namespace, and is not PID 1 there. If it
 * cannot be decided, nothing is joined: PROG would run on the host. */
static void enter_container_or_exit(int proc, struct target *target) {
  struct numbered only = numbered("", target->pid, "");
  pid_t waiter = target->pid, hidden = 0, found;
  bool is_ours = has_status(proc, waiter, "NSpid:", only.text, &hidden);

  refuse_if(hidden, target->word, "does not tell its PID namespaces");
  if (waiter == 1 || !is_ours ||
      !(found = container_or_exit(proc, waiter, target->word))) {
    return;
  }

  /* Another process can have that PID by now. The one that is held, and is seen
   * to be the container after that, is the container. */

  hold_or_exit(proc, or_exit(pidfd_open(found, 0), "pidfd_open", target->word),
               target);
  refuse_if(!is_container_of(proc, found, waiter, &hidden), target->word,
            "has another container now");
}

/* ---- TARGET ---- */

/* CLONE_NEW... of the namespace that FD has open; 0 if it is none. */
static int flag_of(int fd) {
  struct statfs fs;

  return fstatfs(fd, &fs) == 0 && fs.f_type == NSFS_MAGIC
             ? or_exit(ioctl(fd, NS_GET_NSTYPE), "ioctl", "NS_GET_NSTYPE")
             : 0;
}

struct target target_or_exit(int proc, const char *word) {
  struct target target = {.word = word, .directory = -1, .root = -1, .cwd = -1};
  uint64_t pid;

  target.fd = strchr(word, '/') ? open_or_exit(AT_FDCWD, word,
                                               O_RDONLY | O_NONBLOCK | O_NOCTTY)
                                : inherited_fd_or_exit(word);
  if (target.fd < 0) {
    usage_error_if(!read_number(word, INT_MAX, &pid) || pid == 0, word,
                   "is no PID, no path with a / in it, and not fd:N");
    target.fd = or_exit(pidfd_open(pid, 0), "pidfd_open", word);
  }
  target.flags = flag_of(target.fd);
  if (!target.flags) {
    refuse_if(proc < 0, "/proc", "is no whole procfs of our PID namespace");
    hold_or_exit(proc, target.fd, &target);
    enter_container_or_exit(proc, &target);
  }
  return target;
}

/* ---- Its namespaces ---- */

/* The inode of the namespace PATH below DIRECTORY, or of DIRECTORY itself if
 * PATH is "". 0 if there is none: the process has ended, or the kernel has no
 * such namespaces. */
static ino_t inode_or_exit(int directory, const char *path) {
  struct stat st = {0};
  int failed = fstatat(directory, path, &st, AT_EMPTY_PATH);

  or_exit(failed && errno == ENOENT ? 0 : failed, "stat", path);
  return st.st_ino;
}

void compare_namespaces_or_exit(int proc, struct target *target, int asked) {
  for (int i = 0; i < KINDS; i++) {
    char path[32] = "self/ns/";
    strcat(path, kinds[i].name);
    ino_t ours = inode_or_exit(proc, path);
    ino_t theirs = inode_or_exit(target->directory, path + strlen("self/"));
    refuse_if(ours && !theirs, target->word, "has ended");
    if ((!asked || asked & kinds[i].flag) && ours != theirs) {
      target->flags |= kinds[i].flag;
    }
  }
  refuse_if(!target->flags, target->word,
            "is in our own namespaces: there is nothing to join");
}

int open_namespace_or_exit(const struct target *target, const char *path) {
  return target->pid ? open_or_exit(target->directory, path, O_RDONLY)
                     : target->fd;
}

/* ---- Its root ---- */

/* setns(2) makes the root of the mount namespace ours, and a process may have
 * another one (chroot(2)). */
void open_root_or_exit(struct target *target) {
  target->root = open_or_exit(target->directory, "root", O_PATH | O_DIRECTORY);
  target->cwd = open_or_exit(target->directory, "cwd", O_PATH | O_DIRECTORY);
}

/* In a mount namespace that a less privileged user namespace owns, root of that
 * one has placed the links and the mounts. PROG would follow them with more
 * rights than those of who placed them. */
void look_at_mounts_or_exit(int proc, struct target *target) {
  int mounts = open_namespace_or_exit(target, "ns/mnt"), depth = 0;
  bool enters = target->flags & CLONE_NEWUSER;
  ino_t inside = inode_or_exit(enters ? target->directory : proc,
                               enters ? "ns/user" : "self/ns/user");

  target->mounts = inode_or_exit(mounts, "");
  for (int owner = ioctl(mounts, NS_GET_USERNS); owner >= 0; depth++) {
    if (inode_or_exit(owner, "") == inside) {
      refuse_if(depth > 0, target->word,
                "has a mount namespace of a user namespace below PROG's");
      return;
    }
    owner = ioctl(owner, NS_GET_PARENT);
  }

  /* EPERM means that the owner is above the namespaces that we may see, or
   * beside them (ioctl_ns(2)). A filter would answer EPERM to any question. */

  bool is_above = errno == EPERM && ioctl(mounts, NS_GET_NSTYPE) == CLONE_NEWNS;
  or_exit(is_above ? 0 : -1, "ioctl", "NS_GET_USERNS");
}

/* Makes the root and the working directory of the target ours. A directory that
 * has no path below the new root would lead out of it (CVE-2024-21626):
 * getcwd(2) knows. */
static void take_root_or_exit(const struct target *target) {
  const char *name = "the root of TARGET";
  char path[PATH_MAX];

  CALL_OR_EXIT(name, fchdir, target->root);
  refuse_if(!getcwd(path, sizeof(path)), name,
            "is not in the mount namespace that was joined");
  CALL_OR_EXIT(name, chroot, ".");
  if (SHOW(fchdir, target->cwd) < 0 || !getcwd(path, sizeof(path))) {
    CALL_OR_EXIT("/", chdir, "/");
  }
}

/* ---- The join ---- */

void join_or_exit(int proc, const struct target *target) {
  /* One call for all namespaces: it joins all of them or none, and all of the
   * same process at the same moment (setns(2), since Linux 5.8). It asks for
   * CAP_SYS_ADMIN over the owner of each namespace, by the credentials that we
   * have before the call. If these do not suffice, those after the join of the
   * user namespace would not either: they have rights only over it and what is
   * below, and a process that may join it has these already (validate_nsset()
   * in kernel/nsproxy.c, user_namespaces(7)). */

  show_namespaces("setns", target->flags);
  or_exit_here(setns(target->fd, target->flags), "setns", target->word);

  /* The process may have changed its namespaces since they were looked at. */

  refuse_if(target->flags & CLONE_NEWNS &&
                inode_or_exit(proc, "self/ns/mnt") != target->mounts,
            target->word, "changed its mount namespace meanwhile");
  if (target->root >= 0) {
    take_root_or_exit(target);
  }
}
