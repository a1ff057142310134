/* nsjoin: enter the namespaces of a process, and run a program there.
 *
 * setns(2) changes namespaces and nothing else. Descriptors, environment, keys,
 * groups and signals stay ours; so does the file of the program, which somebody
 * inside can reach through /proc. To enter a container that is not trusted, all
 * of this must be left outside first, and that must be certain.
 *
 * So everything is looked up before, of one process; whoever prepares the entry
 * is not seen in the PID namespace that is joined; what is born in it is ready
 * to become PROG, and does nothing else. PROG never runs half joined.
 */

#include "../idmap/first/descriptors.h"
#include "../idmap/first/terminal.h"
#include "confinement.h"
#include "environment.h"
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

ABOUT("nsjoin",
      "[-Eetvx] [-a LIST] [-f FILE]... [-g GID] [-k LIST] [-n LIST] [-u UID] "
      "TARGET [PROG [ARG]...]\n");

#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

struct entry {
  int proc;
  struct target target;
  struct parts parts;
  struct credentials credentials;
  const char *keep; /* descriptors, as for -k */
  int types;        /* of -n, or 0 */
  int confinement;  /* of -a */
  bool unsealed, keep_env, their_env, has_terminal;
  bool careful;         /* one of THEIRS is joined */
  unsigned long mounts; /* the mount namespace that was looked at */
  int root, cwd;        /* of the target, or -1 */
  struct terminal terminal;
};

static void parse(int argc, char **argv, struct entry *entry, char ***operands,
                  const char **files) {
  char *value = NULL;
  unsigned long id, last;
  int letter, count = 0;

  argv = begin(argc, argv);
  while ((letter = option(&argv, "a::Eef::g:k:n:tu:x", &value))) {
    if (letter == 'a') {
      entry->confinement |= confinement(value);
    } else if (letter == 'E') {
      entry->keep_env = true;
    } else if (letter == 'e') {
      entry->their_env = true;
    } else if (letter == 'f') {
      if (count == MOST_PARTS) {
        errx(USAGE, "-f is given too often");
      }
      files[count++] = value;
    } else if (letter == 'k') {
      entry->keep = value;
      if (strlen(value) > 2 * PATH_MAX) {
        errx(USAGE, "the list of -k is too long");
      }
      for (const char *rest = value; rest;) {
        rest = range(rest, &id, &last);
      }
    } else if (letter == 'n') {
      entry->types = types_of(value);
    } else if (letter == 't') {
      entry->has_terminal = true;
    } else if (letter == 'x') {
      entry->unsealed = true;
    } else if (!number(value, UINT_MAX - 1UL, &id)) {
      errx(USAGE, "%s: not an id", value);
    } else if (letter == 'g') {
      entry->credentials.gid = id;
    } else {
      entry->credentials.uid = id;
    }
  }
  if (!*argv) {
    errx(USAGE, "TARGET is missing");
  }
  if (entry->keep_env && entry->their_env) {
    errx(USAGE, "-e goes without -E");
  }
  *operands = argv;
}

/* Whoever enters can be reached through /proc/PID/exe by those inside, for
 * writing too (CVE-2019-5736). A marker in argv or in the environment would say
 * only what somebody wrote there. */
static void refuse_unsealed(int proc) {
  int exe = CALL(openat, proc, "self/exe", O_RDONLY | O_CLOEXEC);
  long seals = exe < 0 ? -1 : CALL(fcntl, exe, F_GET_SEALS);

  if (seals < 0 || (seals & SEALS) != SEALS) {
    errx(FAILED, "those inside could replace this program: use seal nsjoin, "
                 "or -x");
  }
}

/* Finds out what TARGET and FILES are, and opens all that is to be joined. */
static void look_up(struct entry *entry, char *name, const char **files) {
  struct target *target = &entry->target;
  struct parts *parts = &entry->parts;
  unsigned long pid;
  int fd = inherited(name);

  entry->proc = open_proc();
  if (fd >= 0 ? !type_of(fd) : !strchr(name, '/')) {
    if (fd < 0 && (!number(name, INT_MAX, &pid) || pid == 0)) {
      errx(USAGE, "%s: not a PID, a file with a / in it, or fd:N", name);
    }
    if (entry->proc < 0 || proc_is_foreign) {
      errx(FAILED, "a process needs a whole procfs: %s", proc_fault);
    }
    *target = fd < 0 ? hold_pid(entry->proc, pid) : hold_pidfd(entry->proc, fd);
    find_waited(entry->proc, target);
  } else {
    add_file(parts, name);
  }
  for (; *files; files++) {
    add_file(parts, *files);
  }
  if (target->pid) {
    add_target(parts, name, entry->proc, target, entry->types);
  }
  if ((entry->confinement || entry->their_env || entry->types) &&
      !target->pid) {
    errx(FAILED, "-a, -e and -n need a process, and %s is none", name);
  }
  if (!parts->types) {
    errx(FAILED, "%s is in our own namespaces: nothing to join", name);
  }
}

/* What is refused, and what of the target is needed inside. */
static void look_at_mounts(struct entry *entry) {
  const struct target *target = &entry->target;
  const struct parts *parts = &entry->parts;
  bool enters = entry->credentials.enters;
  /* The root before the namespace: if both are of one moment, or the target has
   * moved on and came back, then what is joined has that root. */

  if (target->pid) {
    entry->root = open_below(target->dir, "root");
    entry->cwd = open_below(target->dir, "cwd");
  }
  if (!(parts->types & CLONE_NEWNS)) {
    return;
  }

  int mnt = open_part(parts, MOUNTS + SELF, CLONE_NEWNS, target);
  unsigned long inside = target->user_ns;

  if (!enters) {
    entry->mounts = inode_of(mnt, "");
    inside = inode_of(entry->proc, USERS);
  } else if (!inside) {
    inside =
        inode_of(open_part(parts, USERS + SELF, CLONE_NEWUSER, target), "");
  }
  refuse_their_mounts(mnt, inside);
}

/* Makes the target's root and directory ours. A root that is not below that of
 * the namespace is of another one, and a directory that is not below the root
 * leads out of it (CVE-2024-21626). */
static void take_root(const struct entry *entry) {
  char path[PATH_MAX];

  if (entry->root < 0) {
    return;
  }
  if (CALL(fchdir, entry->root) < 0) {
    err(FAILED, "fchdir to the root of the target");
  }
  if (CALL(getcwd, &path, sizeof(path)) < 0 || path[0] != '/') {
    errx(FAILED, "the root of the target is not in the mount namespace that "
                 "was joined");
  }
  if (CALL(chroot, ".") < 0) {
    err(FAILED, "chroot to the root of the target");
  }
  if (CALL(fchdir, entry->cwd) < 0 || CALL(getcwd, &path, sizeof(path)) < 0 ||
      path[0] != '/') {
    if (CALL(chdir, "/") < 0) {
      err(FAILED, "chdir /");
    }
  }
}

/* What is ours, and must not be PROG's. */
static void leave_behind(const struct entry *entry) {
  if (!entry->credentials.enters) {
    drop_inheritable();
  }
  new_keyring(entry->proc);
  reset_signals(entry->proc);
  CALL(umask, 022);
}

/* All of the entry. Afterwards this process is what PROG will be, except that
 * it is itself in the PID namespace that it was in. */
static void enter(struct entry *entry) {
  struct limits limits = {0};
  struct credentials *credentials = &entry->credentials;
  bool drops =
      entry->careful || credentials->uid != UNSET || credentials->gid != UNSET;

  if (entry->confinement & CGROUP) {
    join_cgroups(entry->proc, &entry->target);
  }
  if (entry->confinement & LABEL) {
    join_label(entry->proc, &entry->target);
  }
  if (drops) {
    drop_groups(credentials, &entry->target, &entry->parts);
  }
  join_all(&entry->parts, entry->proc, &entry->target);

  /* A target that could change its namespaces under our eyes must not give
   * another one to a PROG that keeps our user namespace. */

  if (entry->mounts && !credentials->enters &&
      inode_of(entry->proc, "thread-self/ns/mnt") != entry->mounts) {
    errx(FAILED, "the target changed its mount namespace meanwhile");
  }
  if (drops) {
    drop_groups_inside(credentials);
  }
  if (entry->careful) {
    take_root(entry);
  }

  /* Whoever gives up root cannot lower these sets any more. */

  if (entry->confinement & CAPS) {
    limits = read_limits(&entry->target);
    take_limits(&limits);
  }
  take_ids(credentials, &entry->target);
  if (entry->careful) {
    leave_behind(entry);
  }
  if (limits.no_new_privs && CALL(prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
    err(FAILED, "prctl PR_SET_NO_NEW_PRIVS");
  }
}

/* The process that goes in, and what it leaves us by. */
struct helper {
  int pid;     /* 0 once it has ended */
  int *prog;   /* the PID of PROG, once there is one, in shared memory */
  int link[2]; /* a socket for messages, which closes when we die */
};

/* What PROG gets to know, and what it must not have open. */
static void hide(const struct entry *entry, const struct helper *helper) {
  struct line keep;

  if (!entry->careful) {
    return;
  }
  if (!entry->keep_env && !entry->their_env) {
    make_environment(entry->credentials.uid);
  }
  keep.length = 0;
  if (entry->keep) {
    put_string(&keep, entry->keep);
  }
  if (helper) {
    put_string(&keep, entry->keep ? "," : "");
    put_number(&keep, helper->link[1]);
    if (entry->has_terminal) {
      put_char(&keep, ',');
      put_number(&keep, entry->terminal.slave);
    }
  }
  put_char(&keep, '\0');
  close_others(*keep.text ? keep.text : NULL);
}

static _Noreturn void become(char **prog) {
  const char *shell = getenv("SHELL");
  char *words[] = {(char *)(shell && *shell ? shell : "/bin/sh"), NULL};

  run(*prog ? prog : words);
}

/* The terminal must be in the devpts where PROG will look for its name. It is
 * made from outside: what they hand us there may be anything. */
static void make_terminal(struct entry *entry) {
  struct statx owner;
  long uid, gid;

  if (entry->root < 0) {
    if (entry->parts.types & CLONE_NEWNS) {
      errx(FAILED, "-t needs a process as TARGET, for its /dev/pts");
    }
    open_terminal(&entry->terminal, open_ptmx(), entry->proc);
    return;
  }
  int master = open_ptmx_below(entry->root, entry->proc, &owner);
  open_terminal(&entry->terminal, master, entry->proc);
  uid = owner.stx_uid;
  gid = owner.stx_gid;
  if (CALL(fchown, entry->terminal.slave, uid, gid) < 0) {
    err(FAILED, "fchown of the terminal to %ld:%ld", uid, gid);
  }
}

/* Prints the messages that came by LINK so far: control characters are escaped,
 * and there are not more than it holds. Whether it is at its end. */
static bool print_messages(int link) {
  struct line line;
  char bytes[4096];
  long n = 1, rest = 1 << 16;

  line.length = 0;
  while (rest > 0 && (n = CALL(read, link, &bytes, sizeof(bytes))) > 0) {
    rest -= n;
    for (long i = 0; i < n; i++) {
      if (bytes[i] == '\n') {
        put_end(&line);
        line.length = 0;
      } else {
        put_string(&line, (char[]){bytes[i], '\0'});
      }
    }
  }
  if (line.length) {
    put_end(&line);
  }
  return n == 0;
}

/* Ends this process for INFO, of a signal, and before that what it put inside.
 * They may be frozen: so their end is not waited for, at least not for long. */
static _Noreturn void give_up(const struct helper *helper,
                              const struct signalfd_siginfo *info) {
  const struct timespec moment = {0, 100000000};
  const uint64_t sigchld = 1UL << (SIGCHLD - 1);
  siginfo_t end = {.si_code = CLD_KILLED};

  /* The kernel writes the PID of PROG before the helper comes back from
   * clone(2), so when that has ended, it is there if PROG is. */

  if (helper->pid) {
    CALL(kill, helper->pid, SIGKILL);
    CALL(rt_sigtimedwait, &sigchld, NULL, &moment, SET_SIZE);
  }
  if (*helper->prog > 0) {
    CALL(kill, *helper->prog, SIGKILL);
  }
  print_messages(helper->link[0]);
  end.si_status = info->ssi_signo;
  end_as(&end);
}

/* Waits until the helper has ended, and PROG has been executed, which closes
 * their end of the link. A signal that asks us to end does end us meanwhile,
 * whatever those inside do: all others stay for later. */
static void wait_for_helper(struct helper *helper) {
  uint64_t set = 1UL << (SIGCHLD - 1) | 1UL << (SIGINT - 1) |
                 1UL << (SIGTERM - 1) | 1UL << (SIGHUP - 1);
  int signals = CALL(signalfd4, -1, &set, SET_SIZE, SFD_CLOEXEC);
  struct signalfd_siginfo info;
  siginfo_t end = {0};
  long limit = 0;

  if (signals < 0) {
    err(FAILED, "signalfd");
  }
  for (;;) {
    long rest = limit ? limit - now() : 0;
    struct timespec left = {rest / 1000, rest % 1000 * 1000000};
    struct pollfd ready[] = {{signals, POLLIN, 0},
                             {helper->link[0], POLLIN, 0}};
    if (rest < 0) {
      break;
    }
    if (CALL(ppoll, &ready, 2, limit ? &left : NULL, NULL, 0) < 0 &&
        errno != EINTR) {
      err(FAILED, "ppoll");
    }
    if (ready[1].revents && print_messages(helper->link[0]) && end.si_pid) {
      break;
    }
    if (ready[0].revents &&
        CALL(read, signals, &info, sizeof(info)) == sizeof(info) &&
        info.ssi_signo != SIGCHLD && !is_ignored(info.ssi_signo)) {
      give_up(helper, &info);
    }
    if (!end.si_pid) {
      if (CALL(waitid, P_PID, helper->pid, &end, WEXITED | WNOHANG, NULL) < 0) {
        err(FAILED, "waitid");
      }

      /* A process inside that found the pipe can hold it open. */

      if (end.si_pid) {
        helper->pid = 0;
        limit = now() + PATIENCE;
      }
    }
    if (end.si_pid && (end.si_code != CLD_EXITED || end.si_status)) {
      print_messages(helper->link[0]);
      end_as(&end);
    }
  }
  close_fd(signals);
}

/* The process that goes in, and that nobody inside can see. It leaves a child
 * there which is one of the process outside as well: CLONE_PARENT. */
static _Noreturn void go_in(struct entry *entry, char **prog,
                            const struct helper *helper,
                            const struct signals *before) {
  message_fd = helper->link[1];
  close_fd(helper->link[0]);
  if (entry->careful) {
    reset_mask();
  } else {
    release_signals(before);
  }
  if (entry->has_terminal) {
    use_terminal(&entry->terminal);
  }
  enter(entry);
  hide(entry, helper);
  int *born = helper->prog;
  long child = CALL(clone, CLONE_PARENT | CLONE_PARENT_SETTID | SIGCHLD, NULL,
                    born, NULL, 0);
  if (child == 0) {
    if (entry->has_terminal) {
      lead_session(&entry->terminal);
    } else if (entry->careful && CALL(setsid) < 0) {
      err(FAILED, "setsid");
    }
    die_with_parent(helper->link[1]);
    become(prog);
  }
  if (child < 0) {
    err(FAILED, errno == ENOMEM
                    ? "clone (PID 1 of that namespace may have ended)"
                    : "clone");
  }
  _exit(0);
}

/* setns(2) puts only children into a PID namespace, and only a child can leave
 * our session for certain. So a process that nobody inside can see makes the
 * entry, and leaves behind a child there that is a child of ours too: we stay
 * outside, whatever they do. */
static _Noreturn void enter_by_child(struct entry *entry, char **prog) {
  struct signals before = hold_signals();
  int signals = open_signals(), group;
  struct helper helper;
  siginfo_t end;

  helper.prog = mmap(NULL, sizeof(*helper.prog), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (helper.prog == MAP_FAILED) {
    err(FAILED, "mmap");
  }
  if (CALL(socketpair, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
           &helper.link[0]) < 0) {
    err(FAILED, "socketpair");
  }
  helper.pid = CALL(clone, SIGCHLD, NULL, NULL, NULL, 0);
  if (helper.pid < 0) {
    err(FAILED, "clone");
  }
  if (helper.pid == 0) {
    go_in(entry, prog, &helper, &before);
  }
  close_fd(helper.link[1]);
  wait_for_helper(&helper);

  /* In the foreground of a terminal somebody sees that we stop, and goes on. */

  struct child child = {.pid = *helper.prog,
                        .dir = -1,
                        .alive = helper.link[0],
                        .leads = entry->has_terminal || entry->careful,
                        .hostile = entry->careful};
  child.inside = !control(0, TIOCGPGRP, &group) || group != CALL(getpgid, 0);
  if (child.leads) {
    char path[48];
    child.dir = CALL(openat, entry->proc, put_path(path, "", child.pid, ""),
                     O_PATH | O_DIRECTORY | O_CLOEXEC);
  }
  end = entry->has_terminal ? relay(&entry->terminal, &child, signals)
                            : wait_for(&child, signals);
  print_messages(helper.link[0]);
  end_as(&end);
}

int main(int argc, char **argv) {
  const char *files[MOST_PARTS + 1] = {NULL};
  struct entry entry = {.root = -1, .cwd = -1};

  entry.credentials.uid = entry.credentials.gid = UNSET;
  parse(argc, argv, &entry, &argv, files);
  look_up(&entry, *argv++, files);
  entry.careful = entry.parts.types & THEIRS;
  entry.credentials.enters = entry.parts.types & CLONE_NEWUSER;

  if (entry.careful) {
    if (!entry.unsealed) {
      refuse_unsealed(entry.proc);
    }
    refuse_directories();
    look_at_mounts(&entry);
  }
  if (entry.their_env) {
    read_environment(entry.target.dir);
  }
  if (entry.their_env || (entry.careful && !entry.keep_env)) {
    wipe_environment();
  }

  if (entry.has_terminal) {
    make_terminal(&entry);
  }

  /* Nobody but root of our own user namespace may look into this process once
   * it is among them: see ptrace(2). */

  if (entry.careful && CALL(prctl, PR_SET_DUMPABLE, 0) < 0) {
    err(FAILED, "prctl PR_SET_DUMPABLE");
  }
  if (entry.careful || entry.has_terminal) {
    enter_by_child(&entry, argv);
  }
  enter(&entry);
  hide(&entry, NULL);
  become(argv);
}
