/* namespaces.h: which namespaces there are to join, and in which order. */

#ifndef NAMESPACES_H
#define NAMESPACES_H

#include "target.h"
#include <linux/nsfs.h>
#include <linux/sched.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

/* As in /proc/PID/ns. "self/" is left out for another process. */
static const struct kind {
  char path[16];
  int type;
} kinds[] = {
    {"self/ns/cgroup", CLONE_NEWCGROUP}, {"self/ns/ipc", CLONE_NEWIPC},
    {"self/ns/mnt", CLONE_NEWNS},        {"self/ns/net", CLONE_NEWNET},
    {"self/ns/pid", CLONE_NEWPID},       {"self/ns/time", CLONE_NEWTIME},
    {"self/ns/user", CLONE_NEWUSER},     {"self/ns/uts", CLONE_NEWUTS}};
#define KINDS (sizeof(kinds) / sizeof(*kinds))
#define SELF strlen("self/")

/* Those in which a process meets others, their files and their root. */
#define THEIRS (CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID)
#define OTHERS                                                                 \
  (CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWTIME | CLONE_NEWUTS)

#define MOUNTS "self/ns/mnt"
#define USERS "self/ns/user"

/* What setns(2) is given at once: a pidfd with the TYPES to take, or a file. */
struct part {
  const char *name;
  int fd, types;
  int unsure; /* those of TYPES that may be ours already */
};

#define MOST_PARTS 16
struct parts {
  struct part list[MOST_PARTS];
  int count, types; /* types: of all of them */
};

/* The types that LIST names, as in -n user,mnt. */
static inline int types_of(const char *list) {
  int types = 0;

  for (const char *end; list; list = *end ? end + 1 : NULL) {
    int type = 0;
    end = strchrnul(list, ',');
    for (size_t i = 0; i < KINDS; i++) {
      const char *name = kinds[i].path + strlen("self/ns/");
      if (strlen(name) == (size_t)(end - list) &&
          strncmp(name, list, end - list) == 0) {
        type = kinds[i].type;
      }
    }
    if (!type) {
      errx(USAGE, "%s: not a list of namespaces, such as user,mnt", list);
    }
    types |= type;
  }
  return types;
}

/* The inode of TARGET's namespace of that KIND, or 0. */
static inline unsigned long look_at(struct target *target,
                                    const struct kind *kind) {
  if (kind->type == CLONE_NEWPID && target->pid_ns) {
    return target->pid_ns;
  }
  unsigned long inode = inode_of(target->dir, kind->path + SELF);
  if (kind->type == CLONE_NEWUSER) {
    target->user_ns = inode;
  }
  return inode;
}

/* Those of WANTED which TARGET does not share with us. One that this kernel
 * does not have is left out, or exits if ASKED. */
static inline int differing(int proc, struct target *target, int wanted,
                            bool asked) {
  int types = 0;

  for (size_t i = 0; i < KINDS; i++) {
    if (!(wanted & kinds[i].type)) {
      continue;
    }
    unsigned long ours = inode_of(proc, kinds[i].path);
    if (!ours && asked) {
      errx(FAILED, "this kernel has no %s", kinds[i].path + SELF);
    }
    if (ours) {
      unsigned long other = look_at(target, &kinds[i]);
      if (!other) {
        errx(FAILED, "process %ld has ended", (long)target->pid);
      }
      types |= other == ours ? 0 : kinds[i].type;
    }
  }
  return types;
}

/* What to take of TARGET: those that ASKED names, or all if that is 0, but for
 * those that PARTS have already. To join again what one is in changes nothing
 * for OTHERS; only who owns it may, so that is looked at when it is refused. */
static inline void add_target(struct parts *parts, const char *name, int proc,
                              struct target *target, int asked) {
  struct part part = {name, target->pidfd, 0, 0};
  int free = ~parts->types & (asked ? asked : THEIRS);

  part.types = differing(proc, target, free, asked);
  if (!asked && part.types) {
    part.unsure = OTHERS & ~parts->types;
    part.types |= part.unsure;
  } else if (!asked) {
    part.types = differing(proc, target, OTHERS & ~parts->types, false);
  }
  if (part.types) {
    parts->list[parts->count++] = part;
    parts->types |= part.types;
  }
}

/* Whether FD is a file of a namespace; its type, or 0. */
static inline int type_of(int fd) {
  struct statfs fs;
  long type;

  if (CALL(fstatfs, fd, &fs) < 0 || fs.f_type != NSFS_MAGIC ||
      (type = CALL(ioctl, fd, NS_GET_NSTYPE)) < 0) {
    return 0;
  }
  return type;
}

/* Adds a namespace file, or fd:N, to PARTS. */
static inline void add_file(struct parts *parts, const char *name) {
  int fd = inherited(name);

  if (fd < 0) {
    fd = CALL(openat, AT_FDCWD, name,
              O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
      err(FAILED, "open %s", name);
    }
  }
  int type = type_of(fd);
  if (!type) {
    errx(FAILED, "%s is no file of a namespace", name);
  }
  if (parts->types & type) {
    errx(FAILED, "%s: there is another namespace of that type", name);
  }
  parts->list[parts->count++] = (struct part){name, fd, type, 0};
  parts->types |= type;
}

/* A descriptor of the namespace of TYPE, PATH of a process, that PARTS hold. */
static inline int open_part(const struct parts *parts, const char *path,
                            int type, const struct target *target) {
  int fd = -1;

  for (int i = 0; i < parts->count; i++) {
    if (parts->list[i].types & type) {
      fd = parts->list[i].fd;
    }
  }
  if (target->pid && fd == target->pidfd) {
    fd = CALL(openat, target->dir, path, O_RDONLY | O_CLOEXEC);
  }
  if (fd < 0) {
    err(FAILED, "open %s of process %ld", path, (long)target->pid);
  }
  return fd;
}

/* The user namespace that owns MNT must not be a descendant of the one, INSIDE,
 * that PROG will be in: there, PROG would have more rights than whoever made
 * these mounts, and follow his links with them. */
static inline void refuse_their_mounts(int mnt, unsigned long inside) {
  int owner = CALL(ioctl, mnt, NS_GET_USERNS);

  for (int depth = 0; owner >= 0; depth++) {
    if (inode_of(owner, "") == inside) {
      if (depth == 0) {
        return;
      }
      errx(FAILED, "the mount namespace belongs to a user namespace below "
                   "the one that PROG would be in");
    }
    owner = CALL(ioctl, owner, NS_GET_PARENT);
  }

  /* EPERM is at the top of what we may see: the owner is above us, or beside.
   * It must not be that of a filter, which would say so to any request. */

  if (errno != EPERM || CALL(ioctl, mnt, NS_GET_NSTYPE) != CLONE_NEWNS) {
    err(FAILED, "ioctl NS_GET_USERNS");
  }
}

static inline bool set(const struct part *part) {
  return CALL(setns, part->fd, part->types) == 0;
}

/* Joins all of PARTS: with our present privileges what they suffice for, then
 * the user namespace, then the rest, to which that gives them. */
static inline void join_all(struct parts *parts, int proc,
                            struct target *target) {
  struct part *list = parts->list;
  bool joined[MOST_PARTS] = {false};

  for (int i = 1; i < parts->count; i++) {
    if (list[i].types & CLONE_NEWUSER) {
      struct part user = list[i];
      list[i] = list[0];
      list[0] = user;
    }
  }
  for (int i = 1; i < parts->count && parts->types & CLONE_NEWUSER; i++) {
    joined[i] = set(&list[i]);
  }
  for (int i = 0; i < parts->count; i++) {
    joined[i] = joined[i] || set(&list[i]);
    if (!joined[i] && list[i].unsure && (errno == EPERM || errno == EINVAL)) {
      list[i].types &= ~list[i].unsure;
      list[i].types |= differing(proc, target, list[i].unsure, false);
      joined[i] = set(&list[i]);
    }
    if (!joined[i]) {
      err(FAILED, "setns %s", list[i].name);
    }
  }
}

#endif
