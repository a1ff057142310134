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

struct reader open_proc_file(int proc, const char *name) {
  struct reader file = {
      .fd = openat(proc, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)};

  if (file.fd >= 0 && look_up_or_exit(file.fd, "").stx_mnt_id !=
                          look_up_or_exit(proc, "").stx_mnt_id) {
    close(file.fd);
    file.fd = -1;
    errno = EXDEV;
  }
  return file;
}

int read_byte(struct reader *file) {
  if (file->next == file->end) {
    file->next = 0;
    file->end = read(file->fd, file->bytes, sizeof(file->bytes));
    if (file->end <= 0) {
      errno = file->end == 0 ? 0 : errno;
      file->end = 0;
      return -1;
    }
  }
  return file->bytes[file->next++];
}

ssize_t read_line(struct reader *file, char *line, size_t size) {
  size_t length = 0;
  int byte;

  while ((byte = read_byte(file)) >= 0 && byte != '\n') {
    line[length < size ? length : size - 1] = byte;
    length++;
  }
  if (byte < 0 && (errno || length == 0)) {
    close(file->fd);
    return -1;
  }
  line[length < size ? length : size - 1] = '\0';
  return length;
}

bool next_line_or_exit(struct reader *file, char line[LINE_SIZE]) {
  ssize_t length = read_line(file, line, LINE_SIZE);

  or_exit(length < 0 && errno ? -1 : 0, "read", "/proc");
  refuse_if(length >= LINE_SIZE, "/proc", "has a line that is too long");
  return length >= 0;
}

char *proc_line(int proc, const char *name, const char *start,
                char line[LINE_SIZE]) {
  struct reader file = open_proc_file(proc, name);
  size_t length = strlen(start);
  ssize_t n = file.fd;

  while (n >= 0 && (n = read_line(&file, line, LINE_SIZE)) >= 0) {
    if (n < LINE_SIZE && strncmp(line, start, length) == 0) {
      close(file.fd);
      return line + length + strspn(line + length, " \t");
    }
  }
  errno = errno ? errno : ENODATA;
  return NULL;
}

void write_file_or_exit(int directory, const char *name, const char *text) {
  int fd = or_exit(openat(directory, name, O_WRONLY | O_CLOEXEC), "open", name);

  show_call("write", "name, text", (const char *[]){name, text});
  ssize_t n = write(fd, text, strlen(text));
  or_exit(n < 0 ? -1 : 0, "write", name);
  refuse_if((size_t)n != strlen(text), name, "was not written to its end");
  close(fd);
}

/* ---- The mount table ---- */

struct reader mounts_or_exit(int proc, const char *name) {
  struct reader table = open_proc_file(proc, name);

  or_exit(table.fd, "open", name);
  return table;
}

/* ID PARENT DEVICE ROOT POINT OPTIONS [shared:N]... - TYPE SOURCE OPTIONS, as
 * proc(5) has it. Spaces in a path are \040. */
bool next_mount_or_exit(struct reader *table, struct mount *mount) {
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
  struct reader table = mounts_or_exit(proc, name);

  while (next_mount_or_exit(&table, mount)) {
    if (mount->id == id) {
      close(table.fd);
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
  refuse_if(!failed && !(st.stx_mask & STATX_MNT_ID), "statx",
            "does not tell the mount ID, which needs Linux 5.8");
  return st;
}

/* The device belongs to it: each subvolume of btrfs has an inode 256. */
bool is_same_place(struct statx one, struct statx other) {
  return one.stx_mnt_id == other.stx_mnt_id && one.stx_ino == other.stx_ino &&
         one.stx_dev_major == other.stx_dev_major &&
         one.stx_dev_minor == other.stx_dev_minor;
}

/* ---- What may forbid a step here ---- */

/* Whether CAPABILITY is in our effective set; false if capget(2) fails. */
static bool has_capability(int capability) {
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
