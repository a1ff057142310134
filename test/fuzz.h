/* fuzz.h: the headers of the tools under libFuzzer.
 *
 * They make raw system calls and end the process when something is wrong. Here
 * both are taken from them: a call goes to fake_call(), which the harness has,
 * and an end comes back to where RUN started.
 */

#ifndef FUZZ_H
#define FUZZ_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static jmp_buf ended;
static long fake_call(long number, long a, long b, long c, long d);

#define FIRST_FIVE(number, a, b, c, d, ...)                                    \
  fake_call(number, (long)(a), (long)(b), (long)(c), (long)(d))
#define syscall(...) FIRST_FIVE(__VA_ARGS__, 0, 0, 0, 0, 0)
#define _exit(status) longjmp(ended, status)

/* Does WORK, which may end. */
#define RUN(work)                                                              \
  do {                                                                         \
    if (setjmp(ended) == 0) {                                                  \
      work;                                                                    \
    }                                                                          \
  } while (0)

/* What must hold. */
#define CHECK(what)                                                            \
  do {                                                                         \
    if (!(what)) {                                                             \
      abort();                                                                 \
    }                                                                          \
  } while (0)

#endif
