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

/* Opens the file NAME below PROC, a procfs or a directory in one, such as
 * "self/status"; numbered() makes a name with a PID in it. If the file is not
 * on the mount that PROC is on, it is not opened, and errno is EXDEV. */
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

/* Opens a mount table such as self/mountinfo. It shows the mounts that can be
 * reached from the root that the process had at this moment: so not those of
 * the new root, if pivot_root(2) comes later. */
struct reader mounts_or_exit(int proc, const char *name);

/* Reads the next mount to *MOUNT; false at the end. Its strings are in its own
 * line, so they are gone with the next one. */
bool next_mount_or_exit(struct reader *table, struct mount *mount);

/* Whether the mount ID is in the table NAME. If so, *MOUNT is that mount. */
bool find_mount_or_exit(int proc, const char *name, uint64_t id,
                        struct mount *mount);

/* ---- What a descriptor or a path is ---- */

/* Looks PATH up from DIRECTORY as openat(2) does, but does not follow a link at
 * its end; "" is DIRECTORY itself. Returns the type, inode, device, mount ID
 * and attributes, such as STATX_ATTR_MOUNT_ROOT, or zeros if PATH does not
 * exist. Exits if the kernel does not tell the mount ID. Paths cannot be
 * compared instead, because mounts hide mounts. */
struct statx look_up_or_exit(int directory, const char *path);

/* Whether both are the same inode, reached through the same mount. */
bool is_same_place(struct statx one, struct statx other);

/* ---- What may forbid a step here ---- */

/* or_exit() for clone, unshare, setns and mounts. After EPERM, EACCES or ENOSPC
 * it reads what can be the cause, a missing capability for one, and adds a
 * line: "TOOL: here: ..." */
int or_exit_here(int result, const char *call, const char *object);

/* SHOW(), and or_exit_here() for what the call returns. The message of a
 * failure is "TOOL: CALL OBJECT: what errno says". */
#define CALL_OR_EXIT(object, call, ...)                                        \
  (show_call(#call, #__VA_ARGS__, STRINGS(__VA_ARGS__, 0, 0, 0, 0, 0)),        \
   or_exit_here(call(__VA_ARGS__), #call, object))
