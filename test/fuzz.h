/* fuzz.h: sources of the tools under libFuzzer.
 *
 * A harness includes this, and then the .c files that it tries, so that it
 * reaches their static functions too. They read files, and end the process when
 * something is wrong. Here a file is one of FILES, read in pieces, and an end
 * comes back to where RUN started.
 */

#pragma once

#include "../pivot/proc.h"
#include <setjmp.h>
#include <stdlib.h>

const char tool[] = "fuzz", usage[] = "\n";

static jmp_buf ended;

/* The files that there are, and how much of one a read(2) returns at most. */
static struct file {
  const char *name, *text;
  size_t length, next;
} files[2];
static size_t piece = SIZE_MAX;

enum { FIRST_FD = 10 };

/* What must hold. */
#define CHECK(what)                                                            \
  do {                                                                         \
    if (!(what)) {                                                             \
      abort();                                                                 \
    }                                                                          \
  } while (0)

static int open_fake(const char *name) {
  for (int i = 0; i < 2; i++) {
    if (files[i].name && strcmp(files[i].name, name) == 0) {
      files[i].next = 0;
      return FIRST_FD + i;
    }
  }
  errno = ENOENT;
  return -1;
}

static ssize_t read_fake(int fd, void *bytes, size_t size) {
  struct file *file = &files[fd - FIRST_FD];
  size_t n = file->length - file->next;

  CHECK(fd == FIRST_FD || fd == FIRST_FD + 1);
  CHECK(size > 0);
  n = n < size ? n : size;
  n = n < piece ? n : piece;
  memcpy(bytes, file->text + file->next, n);
  file->next += n;
  return n;
}

#define open(name, ...) open_fake(name)
#define openat(directory, name, ...) open_fake(name)
#define read(fd, bytes, size) read_fake(fd, bytes, size)
#define close(fd) ((void)(fd))
/* All of them are on the mount of /proc. */
#define statx(directory, name, flags, mask, st)                                \
  (*(st) = (struct statx){.stx_mask = STATX_MNT_ID}, 0)
#define fwrite(...) ((void)0)
#define _exit(status) longjmp(ended, status)

/* Does WORK, which may end. */
#define RUN(work)                                                              \
  do {                                                                         \
    if (setjmp(ended) == 0) {                                                  \
      work;                                                                    \
    }                                                                          \
  } while (0)
