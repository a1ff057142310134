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

/* Finds what WORD means: a PID, the path of a namespace, or fd:N. If it is a
 * process that waits for a container, PID 1 of that container is the target.
 * PROC is a checked /proc, or -1. */
struct target target_or_exit(int proc, const char *word);

/* Compares the namespaces of the process TARGET with ours: all of them, or
 * those in ASKED. Its flags are then those that differ. Exits if none does. */
void compare_namespaces_or_exit(int proc, struct target *target, int asked);

/* The namespace of TARGET that is called PATH, such as ns/mnt. If TARGET is one
 * namespace, it is that. */
int open_namespace_or_exit(const struct target *target, const char *path);

/* Opens the root and the working directory that PROG will have, before the
 * mount namespace is looked at: if the process changes that in between, the
 * root is not in what is joined, and that is seen. */
void open_root_or_exit(struct target *target);

/* Exits if the mount namespace that will be joined belongs to a user namespace
 * below the one that PROG will be in. */
void look_at_mounts_or_exit(int proc, struct target *target);

/* Joins all of it, or exits. */
void join_or_exit(int proc, const struct target *target);
