/* proc.c: what /proc says, and what a descriptor is. proc.h has the contract.
 */

#include "proc.h"
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/vfs.h>

/* ---- /proc ---- */

/* A bind of a part of a procfs is a procfs too, but its root has another inode.
 * In the procfs of another PID namespace our PID is another number, or none. */
static bool is_our_proc(int fd) {
  struct statfs fs;
  char self[24] = "";

  return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC &&
         look_up_or_exit(fd, "").stx_ino == 1 &&
         readlinkat(fd, "self", self, sizeof(self) - 1) > 0 &&
         strcmp(self, numbered("", getpid(), "").text) == 0;
}

int open_proc(void) {
  int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC), fs;

  if (is_our_proc(proc)) {
    return proc;
  }
  close(proc);

  /* In a user namespace the kernel permits this only if its mount namespace
   * shows all of a procfs already: mount_too_revealing() in fs/namespace.c. */

  fs = fsopen("proc", FSOPEN_CLOEXEC);
  fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
  proc = fsmount(fs, FSMOUNT_CLOEXEC, 0);
  close(fs);
  return proc;
}

FILE *open_proc_file(int proc, const char *name) {
  int fd = openat(proc, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

  if (fd >= 0 && look_up_or_exit(fd, "").stx_mnt_id !=
                     look_up_or_exit(proc, "").stx_mnt_id) {
    close(fd);
    errno = EXDEV;
    return NULL;
  }
  return fd < 0 ? NULL : fdopen(fd, "r");
}

bool next_line_or_exit(FILE *file, char line[LINE_SIZE]) {
  if (!fgets(line, LINE_SIZE, file)) {
    or_exit(ferror(file) ? -1 : 0, "read", "/proc");
    close(fileno(file));
    return false;
  }
  char *newline = strchr(line, '\n');
  refuse_if(!newline, "/proc", "has a line that is too long");
  *newline = '\0';
  return true;
}

char *proc_line(int proc, const char *name, const char *start,
                char line[LINE_SIZE]) {
  FILE *file = open_proc_file(proc, name);
  size_t length = strlen(start);
  bool is_start = true;
  char *found = NULL;

  while (file && !found && fgets(line, LINE_SIZE, file)) {
    char *newline = strchr(line, '\n');
    if (is_start && newline && strncmp(line, start, length) == 0) {
      *newline = '\0';
      found = line + length + strspn(line + length, " \t");
    }
    is_start = newline;
  }
  if (file) {
    errno = ferror(file) ? errno : ENODATA;
    close(fileno(file));
  }
  return found;
}

/* ---- The mount table ---- */

FILE *mounts_or_exit(int proc, const char *name) {
  FILE *table = open_proc_file(proc, name);

  or_exit(table ? 0 : -1, "open", name);
  return table;
}

/* ID PARENT DEVICE ROOT POINT OPTIONS [shared:N]... - TYPE SOURCE OPTIONS, as
 * proc(5) has it. Spaces in a path are \040. */
bool next_mount_or_exit(FILE *table, struct mount *mount) {
  char *rest = mount->line, *fields[6], *field;

  if (!next_line_or_exit(table, mount->line)) {
    return false;
  }
  for (int i = 0; i < 6; i++) {
    fields[i] = strsep(&rest, " ");
  }
  mount->is_shared = false;
  while ((field = strsep(&rest, " ")) && strcmp(field, "-") != 0) {
    mount->is_shared |= strncmp(field, "shared:", 7) == 0;
  }
  mount->point = fields[4];
  mount->type = strsep(&rest, " ");
  refuse_if(!mount->type || !read_number(fields[0], INT_MAX, &mount->id) ||
                !read_number(fields[1], INT_MAX, &mount->parent),
            "mountinfo", "has a line that is not as in proc(5)");
  unescape(mount->point);
  return true;
}

bool find_mount_or_exit(int proc, const char *name, uint64_t id,
                        struct mount *mount) {
  FILE *table = mounts_or_exit(proc, name);

  while (next_mount_or_exit(table, mount)) {
    if (mount->id == id) {
      close(fileno(table));
      return true;
    }
  }
  return false;
}

/* ---- What a descriptor or a path is ---- */

struct statx look_up_or_exit(int directory, const char *path) {
  struct statx st = {0};
  int failed = statx(directory, path, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW,
                     STATX_TYPE | STATX_INO | STATX_MNT_ID, &st);
  bool is_nothing = failed && (errno == ENOENT || errno == ENOTDIR);

  or_exit(is_nothing ? 0 : failed, "statx", *path ? path : "of a descriptor");
  return st;
}

/* The device belongs to it: each subvolume of btrfs has an inode 256. */
bool is_same_place(struct statx one, struct statx other) {
  return one.stx_mnt_id == other.stx_mnt_id && one.stx_ino == other.stx_ino &&
         one.stx_dev_major == other.stx_dev_major &&
         one.stx_dev_minor == other.stx_dev_minor;
}

/* ---- What may forbid a step here ---- */

bool has_capability(int capability) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {{0}, {0}};

  return capget(&header, data) == 0 &&
         data[capability / 32].effective >> capability % 32 & 1;
}

int or_exit_here(int result, const char *call, const char *object) {
  bool is_denied = errno == EPERM || errno == EACCES || errno == ENOSPC;
  const char *sysctl = "sys/user/max_user_namespaces";
  char facts[256] = "", line[LINE_SIZE];

  if (result >= 0) {
    return result;
  }
  warn_errno(call, object);
  char *limit = proc_line(open_proc(), sysctl, "", line);
  if (!has_capability(CAP_SYS_ADMIN)) {
    strcat(facts, ", CAP_SYS_ADMIN is missing");
  }
  if (prctl(PR_GET_SECCOMP) == SECCOMP_MODE_FILTER) {
    strcat(facts, ", a seccomp filter is in force");
  }
  if (limit && strcmp(limit, "0") == 0) {
    strcat(facts, ", user.max_user_namespaces is 0");
  }
  if (is_denied && *facts) {
    warn("here", facts + strlen(", "));
  }
  _exit(FAILED);
}
