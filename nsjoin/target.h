/* target.h: one process, for certain, and the namespaces that it is in.
 *
 * The kernel gives the PID of a process to another one when the first has
 * ended. If a PID is looked up once for each namespace, the join can be half of
 * each. A pidfd stays with one process, and so does an open /proc/PID. A procfs
 * tells which PID the process of a pidfd has, so that these two are certain to
 * belong together.
 */

#pragma once

#include <sys/types.h>

struct target {
  const char *word; /* TARGET, as the user wrote it */
  pid_t pid;        /* of the process, or 0 if TARGET is one namespace */
  int fd;           /* for setns(2): a pidfd, or that namespace */
  int directory;    /* /proc/PID, or -1 */
  int flags;        /* CLONE_NEW... of the namespaces to join */
  int root, cwd;    /* of the process, if they become ours, otherwise -1 */
  ino_t mounts;     /* the mount namespace to join, as it was looked at */
};

/* Finds what WORD means: a PID, the path of a namespace, with a / in it, or
 * fd:N for a pidfd or a namespace. If it is a process that waits for a
 * container, PID 1 of that container is the target. PROC is a checked /proc, or
 * -1: then only a namespace can be found. Exits with 64 if WORD is none of
 * these, and with 125 if that cannot be found or opened. */
struct target target_or_exit(int proc, const char *word);

/* Compares the namespaces of the process TARGET with ours: those in ASKED,
 * which are flags as in struct target, or all if ASKED is 0. TARGET's flags are
 * then those that differ. Exits if none does. */
void compare_namespaces_or_exit(int proc, struct target *target, int asked);

/* A descriptor of TARGET's namespace PATH, such as ns/mnt. If TARGET is one
 * namespace, that is target->fd, whatever PATH is. */
int open_namespace_or_exit(const struct target *target, const char *path);

/* Opens the root and the working directory of the process TARGET, which will be
 * PROG's. Call it before look_at_mounts_or_exit(): if the process changes its
 * mount namespace in between, join_or_exit() sees that the root is not in it.
 */
void open_root_or_exit(struct target *target);

/* Exits if the mount namespace that will be joined belongs to a user namespace
 * below the one that PROG will be in. Sets target->mounts. */
void look_at_mounts_or_exit(int proc, struct target *target);

/* Joins the namespaces in target->flags, all or none of them, and makes the
 * root and the working directory ours if they are open. Exits if that fails, or
 * if the process has changed its mount namespace meanwhile. */
void join_or_exit(int proc, const struct target *target);
