/* message.h: what a step says when it fails.
 *
 * A line names the call, the object and the reason, and a hint names a cause
 * only if somebody looked. There is no stdio, locale or malloc: one buffer on
 * the stack and one write(2) keep a tool near the size of its system calls.
 */

#ifndef MESSAGE_H
#define MESSAGE_H

#include "reasons.h"
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Exit statuses that are not PROG's own: EX_USAGE of sysexits(3), and what
 * env(1), chroot(1) and nohup(1) use. */
enum { USAGE = 64, FAILED = 125, CANNOT_EXECUTE = 126, NOT_FOUND = 127 };

/* Each tool says ABOUT("name", "what follows it in the usage\n"). */
extern const char tool[], version[], usage[];
#define ABOUT(name, synopsis)                                                  \
  const char tool[] = name, version[] = name " 1.0\n",                         \
             usage[] = "usage: " name " " synopsis

/* Where messages go: standard error, or a pipe to the process that waits. */
static int message_fd = 2;

struct line {
  char text[3 * PATH_MAX];
  size_t length;
};

static inline void put_char(struct line *line, char c) {
  if (line->length < sizeof(line->text)) {
    line->text[line->length++] = c;
  }
}

/* A name is chosen by whoever made the file: a newline or an escape sequence in
 * it must not pass for a line of ours, so control characters become \ooo. */
static inline void put_string(struct line *line, const char *string) {
  for (; *string; string++) {
    unsigned char c = *string;
    if (c < ' ' || c == 0x7f) {
      put_char(line, '\\');
      put_char(line, '0' + (c >> 6));
      put_char(line, '0' + (c >> 3 & 7));
      c = '0' + (c & 7);
    }
    put_char(line, c);
  }
}

static inline void put_number(struct line *line, long number) {
  char digits[24], *first = digits + sizeof(digits) - 1;
  unsigned long rest = number;

  *first = '\0';
  if (number < 0) {
    rest = -rest;
  }
  do {
    *--first = '0' + rest % 10;
  } while (rest /= 10);
  if (number < 0) {
    *--first = '-';
  }
  put_string(line, first);
}

/* printf(3), as far as it is needed: %s, %c and %ld. */
static inline void put_format(struct line *line, const char *format,
                              va_list args) {
  for (; *format; format++) {
    if (*format != '%') {
      put_char(line, *format);
    } else if (*++format == 's') {
      put_string(line, va_arg(args, const char *));
    } else if (*format == 'c') {
      put_string(line, (char[]){va_arg(args, int), '\0'});
    } else {
      put_number(line, va_arg(args, long));
      format++;
    }
  }
}

/* One write a line, so that the lines of two processes do not mix. */
static inline void put_end(struct line *line) {
  int saved = errno;

  line->length -= line->length == sizeof(line->text);
  put_char(line, '\n');
  syscall(SYS_write, message_fd, line->text, line->length);
  errno = saved;
}

/* As in err(3): warn() ends its line with what errno says, warnx() does not;
 * err() and errx() then exit. errno stays what it was. */
#define warn(...) message(ERRNO, __VA_ARGS__)
#define warnx(...) message(0, __VA_ARGS__)
#define err(status, ...)                                                       \
  (message(ERRNO | (status), __VA_ARGS__), __builtin_unreachable())
#define errx(status, ...)                                                      \
  (message(status, __VA_ARGS__), __builtin_unreachable())
#define ERRNO 0x100

__attribute__((format(printf, 2, 3))) static inline void
message(int status, const char *format, ...) {
  struct line line;
  va_list args;

  line.length = 0;
  put_string(&line, tool);
  put_string(&line, ": ");
  va_start(args, format);
  put_format(&line, format, args);
  va_end(args);
  if (status & ERRNO) {
    const char *text = reason(errno);
    put_string(&line, text ? ": " : ": error ");
    if (text) {
      put_string(&line, text);
    } else {
      put_number(&line, errno);
    }
  }
  put_end(&line);
  if (status == USAGE) {
    syscall(SYS_write, 2, usage, strlen(usage));
  }
  if (status & 0xff) {
    _exit(status & 0xff);
  }
}

#endif
