/* proc.h: what /proc says, and what a descriptor is.
 *
 * Someone inside a container can mount anything on /proc, or on a file in it.
 * So everything is read through a descriptor of a procfs that was checked, and
 * a file in it must be on that same mount.
 */

#pragma once

#include "calls.h"
#include "step.h"

/* ---- /proc ---- */

/* A descriptor of /proc, if that is a whole procfs of our own PID namespace;
 * otherwise of a new one, which is mounted nowhere. -1 if the kernel does not
 * permit that either. */
int open_proc(void);

/* A file that is read line by line. stdio(3) would do, with malloc(3): a tenth
 * of each of these programs. */
struct reader {
  int fd; /* -1 if it could not be opened: errno tells why */
  ssize_t next, end;
  unsigned char bytes[4096];
};

/* Opens the file NAME of the procfs PROC, such as "self/status"; numbered()
 * makes a name with a PID in it. If the file is not on the mount that PROC is
 * on, errno is EXDEV. */
struct reader open_proc_file(int proc, const char *name);

/* Reads the next byte. -1 at the end, where errno is 0, and for an error. */
int read_byte(struct reader *file);

/* Reads the next line to LINE, of SIZE bytes, without its newline. Returns the
 * length that it has; if that is SIZE or more, LINE is cut. Returns -1, with
 * the file closed, at the end, where errno is 0, and if it cannot be read. */
ssize_t read_line(struct reader *file, char *line, size_t size);

enum { LINE_SIZE = 65536 };

/* The same. False at the end; exits if a line cannot be read, or does not fit.
 */
bool next_line_or_exit(struct reader *file, char line[LINE_SIZE]);

/* What stands behind START, and blanks, in the first line of the file NAME that
 * begins with it: "Uid:" of self/status, "" for all of a sysctl. The line is in
 * LINE. NULL and errno if the file cannot be read; ENODATA if it has no such
 * line. Lines that do not fit, such as a long "Groups:", are passed over. */
char *proc_line(int proc, const char *name, const char *start,
                char line[LINE_SIZE]);

/* Writes TEXT to the file NAME below DIRECTORY by one write(2), which is how
 * the kernel takes what is written to its own files. */
void write_file_or_exit(int directory, const char *name, const char *text);

/* ---- The mount table ---- */

struct mount {
  uint64_t id, parent;
  bool is_shared;
  char *point; /* a path, not escaped */
  char *type;  /* of the file system */
  char line[LINE_SIZE];
};

/* Opens a mount table such as self/mountinfo. It shows the mounts that are
 * reached from the root of that process, and if it was opened before
 * pivot_root(2), none after it. */
struct reader mounts_or_exit(int proc, const char *name);

/* Reads the next mount; false at the end. */
bool next_mount_or_exit(struct reader *table, struct mount *mount);

/* Whether the mount ID is in the table NAME, and then what it is. */
bool find_mount_or_exit(int proc, const char *name, uint64_t id,
                        struct mount *mount);

/* ---- What a descriptor or a path is ---- */

/* The type, inode and mount ID of PATH below DIRECTORY, a link at its end not
 * followed, or of DIRECTORY itself if PATH is "". Zeros if there is nothing.
 * Paths cannot be compared instead, because mounts hide mounts. */
struct statx look_up_or_exit(int directory, const char *path);

/* Whether both are the same inode, reached through the same mount. */
bool is_same_place(struct statx one, struct statx other);

/* ---- What may forbid a step here ---- */

bool has_capability(int capability);

/* or_exit() for clone, unshare, setns and mounts. After EPERM, EACCES or ENOSPC
 * it adds a line of what was read that can be a cause: "TOOL: here: ..." */
int or_exit_here(int result, const char *call, const char *object);

/* Makes a call that SHOW() shows, and exits if it fails: "TOOL: CALL OBJECT:
 * what errno says". */
#define CALL_OR_EXIT(object, call, ...)                                        \
  (show_call(#call, #__VA_ARGS__, STRINGS(__VA_ARGS__, 0, 0, 0, 0, 0)),        \
   or_exit_here(call(__VA_ARGS__), #call, object))
