/* step.h: what makes a program a step of a chain.
 *
 * A step reads its options and operands, makes a few system calls, and then
 * becomes the program that its remaining words name. If any of those calls
 * failed, that program must not run. Here are its first lines, the reading of
 * its words, and its last one.
 */

#ifndef STEP_H
#define STEP_H

#include "call.h"
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/auxv.h>

/* First of all: make the process safe to work in. Returns the word behind the
 * tool's name. */
static inline char **begin(int argc, char **argv) {
  struct pollfd standard[3] = {{.fd = 0}, {.fd = 1}, {.fd = 2}};
  struct timespec now = {0, 0};
  int pair[2], fd;

  /* Every step here acts with all the rights that it has, on what its caller
   * names: with rights that the caller lacks, that is a hole. */

  if (getauxval(AT_UID) != getauxval(AT_EUID) ||
      getauxval(AT_GID) != getauxval(AT_EGID)) {
    errx(FAILED, "refuses to run setuid or setgid");
  }

  /* A descriptor of ours that landed on a closed 0, 1 or 2 would be read and
   * written as standard input, output or error. The closed ones are taken by
   * an end of a pipe that gives end of file, until exec closes it. */

  if (CALL(ppoll, &standard, 3, &now, NULL, 0) < 0) {
    err(FAILED, "ppoll");
  }
  if ((standard[0].revents | standard[1].revents | standard[2].revents) &
      POLLNVAL) {
    if (CALL(pipe2, &pair, O_CLOEXEC) < 0) {
      err(FAILED, "pipe2");
    }
    close_fd(pair[1]);
    do {
      if ((fd = CALL(fcntl, pair[0], F_DUPFD_CLOEXEC, 0)) < 0) {
        err(FAILED, "fcntl F_DUPFD_CLOEXEC");
      }
    } while (fd <= 2);
    close_fd(fd);
    if (pair[0] > 2) {
      close_fd(pair[0]);
    }
  }
  return argv + (argc > 0);
}

static inline _Noreturn void print(const char *text) {
  if (syscall(SYS_write, 1, text, strlen(text)) < 0) {
    err(FAILED, "write");
  }
  _exit(0);
}

/* The letter of the next option, with its argument in *VALUE, or 0 when *ARGV
 * has come to the operands. KNOWN lists letters as for getopt(3), whose errors
 * would bring in stdio, but "::" follows one whose arguments add up: any other
 * is wrong twice. -h, -V and -v are known to all and handled here. */
static inline int option(char ***argv, const char *known, char **value) {
  static const char *letters;
  static uint64_t given;
  const char *found;

  if (!letters || !*letters) {
    const char *word = **argv;
    if (!word || word[0] != '-' || !word[1]) {
      return 0;
    }
    ++*argv;
    if (strcmp(word, "--") == 0) {
      return 0;
    }
    if (strcmp(word, "--help") == 0) {
      word = "-h";
    } else if (strcmp(word, "--version") == 0) {
      word = "-V";
    } else if (word[1] == '-') {
      errx(USAGE, "unknown option %s", word);
    }
    letters = word + 1;
  }

  int letter = *letters++;
  if (letter == 'h') {
    print(usage);
  } else if (letter == 'V') {
    print(version);
  } else if (letter == 'v') {
    verbose = true;
    return option(argv, known, value);
  }
  found = letter == ':' ? NULL : strchr(known, letter);
  if (!found) {
    errx(USAGE, "unknown option -%c", letter);
  }
  if (found[1] == ':') {
    *value = *letters ? (char *)letters : **argv;
    if (!*value) {
      errx(USAGE, "option -%c needs an argument", letter);
    }
    *argv += !*letters;
    letters = "";
    if (given >> (letter & 63) & 1 && found[2] != ':') {
      errx(USAGE, "option -%c is given twice", letter);
    }
    given |= 1UL << (letter & 63);
  }
  return letter;
}

/* Reads plain decimal digits at TEXT into *NUMBER: no sign, no blank, no
 * leading zero, at most MAX. Returns what follows them, or NULL. strtoul(3)
 * takes -1 and 010; the kernel takes 4294967296 for user 0. */
static inline const char *digits(const char *text, unsigned long max,
                                 unsigned long *number) {
  const char *first = text;

  for (*number = 0; *text >= '0' && *text <= '9'; text++) {
    unsigned digit = *text - '0';
    if (*number > (max - digit) / 10 || (text > first && *first == '0')) {
      return NULL;
    }
    *number = *number * 10 + digit;
  }
  return text > first ? text : NULL;
}

/* Whether all of TEXT is such a number. */
static inline bool number(const char *text, unsigned long max,
                          unsigned long *number) {
  const char *end = digits(text, max, number);

  return end && !*end;
}

/* Whether the caller left FD open. One that is close-on-exec is ours, at a
 * number that he had not in use. False with errno as for one that is closed. */
static inline bool is_inherited(int fd) {
  long flags = CALL(fcntl, fd, F_GETFD);

  errno = EBADF;
  return flags == 0;
}

/* The N of a word "fd:N", an inherited descriptor, or -1 if it is another. */
static inline int inherited(const char *word) {
  unsigned long fd;

  if (strncmp(word, "fd:", 3) != 0) {
    return -1;
  }
  if (!number(word + 3, INT_MAX, &fd)) {
    errx(USAGE, "%s: not a descriptor's number", word);
  }
  if (!is_inherited(fd)) {
    err(FAILED, "%s", word);
  }
  return fd;
}

/* Calls ATTEMPT with each path that PROG may have, in the order of execvp(3),
 * until it returns 0 or more, or fails with an error that ends the search;
 * PATH, of PATH_MAX bytes, holds the last of them. Returns what it returned, or
 * -1 and errno. execvp itself is larger, and there is no such search for
 * open(2). */
static inline int search(const char *prog, char *path,
                         int (*attempt)(const char *path)) {
  const char *dirs = getenv("PATH"), *end;
  size_t length = strlen(prog), size;
  int error = ENOENT;

  if (length >= PATH_MAX) {
    errno = ENAMETOOLONG;
    return -1;
  }
  if (!*prog || strchr(prog, '/')) {
    return attempt(memcpy(path, prog, length + 1));
  }
  for (dirs = dirs ? dirs : "/usr/local/bin:/bin:/usr/bin";; dirs = end + 1) {
    end = strchrnul(dirs, ':');
    size = end - dirs;
    if (size + 1 + length < PATH_MAX) {
      memcpy(path, dirs, size);
      path[size] = '/';
      memcpy(path + size + (size > 0), prog, length + 1);
      int result = attempt(path);
      if (result >= 0) {
        return result;
      }
      if (errno == EACCES) {
        error = EACCES;
      } else if (errno != ENOENT && errno != ENOTDIR) {
        return -1;
      }
    }
    if (!*end) {
      errno = error;
      return -1;
    }
  }
}

static char **prog_argv;

static inline int execute(const char *path) {
  extern char **environ;

  return syscall(SYS_execve, path, prog_argv, environ);
}

/* The end of every step: become the program that ARGV names. */
static inline _Noreturn void run(char **argv) {
  char path[PATH_MAX];

  if (verbose) {
    static const struct site site = {0, 1, "execvp, file, ..."};
    show_call(&site, (const long[]){(long)argv[0]});
  }
  prog_argv = argv;
  search(argv[0], path, execute);
  err(errno == ENOENT ? NOT_FOUND : CANNOT_EXECUTE, "exec %s", argv[0]);
}

#endif
