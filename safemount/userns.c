/* userns.c: a user namespace that is made for its maps alone. userns.h has the
 * contract. */

#include "userns.h"
#include "../idmap/map.h"
#include <sched.h>
#include <sys/wait.h>

/* RANGES as a map. The kernel would take the lowest 32 bits of an id, so
 * 4294967296 would be 0, and say nothing. */
static void read_ranges_or_exit(const char *ranges, struct map *map) {
  char text[strlen(ranges) + 1], *rest = strcpy(text, ranges), *word;

  while ((word = strsep(&rest, "+"))) {
    const char *wrong = add_numbers(map, word, ':');
    refuse_if(wrong, word, wrong);
  }
}

int new_userns_or_exit(const char *ranges) {
  int proc = open_proc(), pipe[2], status;
  struct map map = {.length = 0};

  refuse_if(proc < 0, "/proc", "is no whole procfs of our PID namespace");
  read_ranges_or_exit(ranges, &map);
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
  for (int i = 0; i < 2; i++) {
    struct numbered file = numbered("", child, i ? "/gid_map" : "/uid_map");
    write_map_or_exit(proc, file.text, &map);
    verify_map_or_exit(proc, file.text, &map);
  }
  struct numbered name = numbered("", child, "/ns/user");
  int userns =
      or_exit(openat(proc, name.text, O_RDONLY | O_CLOEXEC), "open", name.text);
  close(pipe[0]);
  or_exit(close(pipe[1]), "close", "the pipe to a child");
  close(proc);
  or_exit(waitpid(child, &status, __WALL), "wait", "for a child");
  return userns;
}
