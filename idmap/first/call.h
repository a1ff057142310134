/* call.h: system calls that -v can show. */

#ifndef CALL_H
#define CALL_H

#include "message.h"
#include <fcntl.h>
#include <stdbool.h>

static bool verbose;

/* CALL(pivot_root, ".", ".") makes the system call of that name and returns as
 * syscall(2) does. With -v it is shown first: a constant as the source has it,
 * a variable by its value. (musl 1.2.3 has no wrapper for half of the calls we
 * need, and those it has for setresuid(2) and its like bring code for threads.)
 */
#define CALL(...) CALL_5(#__VA_ARGS__, __VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define CALL_5(source, name, a, b, c, d, e, ...)                               \
  ({                                                                           \
    static const struct site site = {                                          \
        SYS_##name,                                                            \
        IS_STRING(a) | IS_STRING(b) << 1 | IS_STRING(c) << 2 |                 \
            IS_STRING(d) << 3 | IS_STRING(e) << 4,                             \
        source};                                                               \
    call(&site, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e));        \
  })
#define IS_STRING(x) _Generic((x), char * : 1, const char * : 1, default : 0)

struct site {
  unsigned short number;
  unsigned char strings; /* which arguments are, a bit each */
  char source[];         /* what stands between the parentheses of CALL */
};

static inline void show_call(const struct site *site, const long *values) {
  const char *text = site->source, *end;
  struct line line;

  line.length = 0;
  put_string(&line, "+ ");
  for (int i = -1, depth = 0; *text; i++, text = end) {
    while (*text == ',' || *text == ' ') {
      text++;
    }
    for (end = text; *end && (depth > 0 || *end != ','); end++) {
      depth += (*end == '(' || *end == '{') - (*end == ')' || *end == '}');
    }
    put_string(&line, i > 0 ? ", " : "");
    if (i < 0 || *text < 'a' || *text > 'z') {
      while (text < end) {
        put_char(&line, *text++);
      }
      put_string(&line, i < 0 ? "(" : "");
    } else if (values[i] == AT_FDCWD) {
      put_string(&line, "AT_FDCWD");
    } else if (!(site->strings >> i & 1)) {
      put_number(&line, values[i]);
    } else if (!values[i]) {
      put_string(&line, "NULL");
    } else {
      put_char(&line, '"');
      put_string(&line, (const char *)values[i]);
      put_char(&line, '"');
    }
  }
  put_char(&line, ')');
  put_end(&line);
}

static inline long call(const struct site *site, long a, long b, long c, long d,
                        long e) {
  if (verbose) {
    show_call(site, (const long[]){a, b, c, d, e});
  }
  return syscall(site->number, a, b, c, d, e);
}

static inline void close_fd(int fd) {
  CALL(close, fd);
}

#endif
