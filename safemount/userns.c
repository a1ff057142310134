/* userns.c: a user namespace that is made for its maps alone. userns.h has the
 * contract. */

#include "userns.h"
#include "../pivot/proc.h"
#include <sched.h>
#include <sys/wait.h>

enum { MOST_TEXT = 4096 }; /* of a map: less than a page (user_namespaces(7)) */

/* Writes RANGES to the file NAME of PROC, a uid_map or gid_map, and reads them
 * back. The kernel checks their syntax and that they do not overlap. But it
 * takes the lowest 32 bits of an id, so 4294967296 would be 0, and says
 * nothing. Nothing is in this namespace, so no harm is done until it is used.
 */
static void write_map_or_exit(int proc, const char *name, const char *ranges) {
  char map[MOST_TEXT] = "", line[LINE_SIZE], wanted[MOST_TEXT + 2] = "+";
  int fd = or_exit(openat(proc, name, O_WRONLY | O_CLOEXEC), "open", name);

  refuse_if(strlen(ranges) > MOST_TEXT - 2, ranges, "is too long for a map");
  strcat(strcat(wanted, ranges), "+");
  strcat(strcat(map, ranges), "\n");
  for (char *byte = map; *byte; byte++) {
    *byte = *byte == ':' ? ' ' : *byte == '+' ? '\n' : *byte;
  }
  show_call("write", "file, map", (const char *[]){name, ranges});
  ssize_t rest = strlen(map) - write(fd, map, strlen(map));
  or_exit_here(rest ? -1 : 0, "write", ranges);
  close(fd);

  /* The file has each range in a line, in columns, and sorts many. */

  struct reader file = open_proc_file(proc, name);
  or_exit(file.fd, "open", name);
  size_t length = 1;
  while (next_line_or_exit(&file, line)) {
    char range[64] = "", *columns = line, *number;
    while ((number = strtok_r(columns, " ", &columns))) {
      strncat(strcat(range, *range ? ":" : "+"), number, 10);
    }
    strcat(range, "+");
    length += strstr(wanted, range) ? strlen(range) - 1 : MOST_TEXT;
  }
  refuse_if(length != strlen(wanted), ranges, "is another map to the kernel");
}

int new_userns_or_exit(const char *ranges) {
  int proc = open_proc(), pipe[2], status;

  refuse_if(proc < 0, "/proc", "is no whole procfs of our PID namespace");
  or_exit(pipe2(pipe, O_CLOEXEC), "pipe2", "for a user namespace");

  /* The child lives until the pipe is closed, so it ends when we do. If one of
   * us still had it open, we would wait for each other. Its end is no signal:
   * our caller may ignore SIGCHLD, or count its children. */

  show_call("clone", "CLONE_NEWUSER", (const char *[]){NULL});
  pid_t child =
      or_exit_here(fork_with(CLONE_NEWUSER), "clone", "CLONE_NEWUSER");
  if (child == 0) {
    _exit(close(pipe[1]) || read(pipe[0], &status, 1) != 0);
  }
  write_map_or_exit(proc, numbered("", child, "/uid_map").text, ranges);
  write_map_or_exit(proc, numbered("", child, "/gid_map").text, ranges);
  struct numbered name = numbered("", child, "/ns/user");
  int userns =
      or_exit(openat(proc, name.text, O_RDONLY | O_CLOEXEC), "open", name.text);
  close(pipe[0]);
  or_exit(close(pipe[1]), "close", "the pipe to a child");
  close(proc);
  or_exit(waitpid(child, &status, __WALL), "wait", "for a child");
  return userns;
}
