/* environment.h: what PROG is told, and what nobody inside may read.
 *
 * An environment holds secrets, and words such as LD_PRELOAD that mean another
 * file inside. The container's passwd says where home is. It is data: it may be
 * a link, a FIFO or endless, and may lie.
 */

#ifndef ENVIRONMENT_H
#define ENVIRONMENT_H

#include "../idmap/first/fields.h"
#include "../idmap/first/place.h"
#include <linux/openat2.h>
#include <stdlib.h>

extern char **environ;

#define MOST_PASSWD 65536
#define MOST_VARIABLES 4096

static char terminal[64];
static char text[1 << 17]; /* of the target's environment, or of its passwd */
static char *variables[MOST_VARIABLES + 1];

/* Whether WORD may be a value: no longer than SIZE, and no control character.
 */
static inline bool is_plain(const char *word, size_t size) {
  for (const char *c = word; *c; c++) {
    if ((unsigned char)*c < ' ' || *c == 0x7f) {
      return false;
    }
  }
  return *word && strlen(word) < size;
}

/* Takes our environment away, and its bytes: /proc/PID/environ shows these to
 * anybody with enough rights, whatever else we do. */
static inline void wipe_environment(void) {
  const char *term = getenv("TERM");

  if (term && is_plain(term, sizeof(terminal))) {
    strcpy(terminal, term);
  }
  for (char **variable = environ; *variable; variable++) {
    memset(*variable, 0, strlen(*variable));
  }
  environ = variables;
}

/* Reads the environment that the process of DIR was started with. */
static inline void read_environment(int dir) {
  size_t length = 0, count = 0;
  long n;
  int fd = open_file(dir, "environ");

  if (fd < 0) {
    err(FAILED, "open environ of the target");
  }
  while ((n = CALL(read, fd, &text[length], sizeof(text) - 1 - length)) > 0) {
    length += n;
  }
  if (n < 0) {
    err(FAILED, "read environ of the target");
  }
  for (size_t at = 0; at < length; at += strlen(text + at) + 1) {
    if (length == sizeof(text) - 1 || count == MOST_VARIABLES) {
      errx(FAILED, "-e: the environment of the target is too large");
    }
    if (strchr(text + at, '=')) {
      variables[count++] = text + at;
    }
  }
}

/* Finds the line of UID in the passwd of the present root. Leaves FIELDS as
 * they are if there is none that can be used. */
static inline void find_account(unsigned long uid, char *fields[7]) {
  static const struct open_how how = {
      .flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
      .resolve = RESOLVE_NO_SYMLINKS};
  unsigned long id;
  char *found[7], *end;
  int etc, fd = CALL(openat2, AT_FDCWD, "/etc/passwd", &how, sizeof(how));

  if (fd < 0 && (errno == ENOSYS || errno == EPERM)) {
    etc = CALL(openat, AT_FDCWD, "/etc",
               O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    fd = CALL(openat, etc, "passwd",
              O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  }
  long length = fd < 0 ? -1 : CALL(read, fd, &text, MOST_PASSWD);
  if (length <= 0) {
    return;
  }
  text[length] = '\0';
  for (char *line = text; *line; line = end) {
    end = strchrnul(line, '\n');
    if (*end) {
      *end++ = '\0';
    }
    if (split(line, found, 7) == 7 && number(found[2], UINT_MAX, &id) &&
        id == uid && is_plain(found[0], 256)) {
      memcpy(fields, found, sizeof(found));
      return;
    }
  }
}

/* Adds NAME=VALUE to the environment; both must stay. */
static inline void add_variable(const char *name, const char *value) {
  static char store[2048], *next = store;
  static int count;

  variables[count++] = next;
  next = stpcpy(stpcpy(stpcpy(next, name), "="), value) + 1;
}

/* A minimal environment for UID, in the root that PROG will see. */
static inline void make_environment(unsigned long uid) {
  char *root = "root", *fields[7] = {uid == 0 ? root : NULL};

  find_account(uid, fields);
  const char *name = fields[0], *home = fields[5], *shell = fields[6];

  add_variable("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
                       "/sbin:/bin");
  if (*terminal) {
    add_variable("TERM", terminal);
  }
  add_variable("HOME",
               home && *home == '/' && is_plain(home, 256) ? home : "/");
  if (name) {
    add_variable("USER", name);
    add_variable("LOGNAME", name);
  }
  add_variable("SHELL", shell && *shell == '/' && is_plain(shell, 256)
                            ? shell
                            : "/bin/sh");
}

#endif
