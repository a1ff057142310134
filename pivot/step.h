/* step.h: what makes a program a step of a chain.
 *
 * A step reads its options, makes a few system calls, and then executes the
 * program that the rest of its command line names. If one of these calls fails,
 * that program must not run. So most errors end the process: a function that
 * does this is _Noreturn, or its name contains or_exit, refuse or error_if.
 */

#pragma once

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Each tool defines its name and its usage. The first line of the usage is the
 * synopsis, which usage_error_if() prints; the last lines are COMMON_OPTIONS.
 */
extern const char tool[], usage[];
#define COMMON_OPTIONS                                                         \
  "  -h          print this\n"                                                 \
  "  -V          print the version\n"                                          \
  "  -v          show each call that changes something, before it is made\n"   \
  "\nFor more, see the manual page.\n"

/* Exit statuses that are not PROG's own: EX_USAGE of sysexits(3), and those of
 * env(1), chroot(1) and nohup(1). */
enum { USAGE = 64, FAILED = 125, CANNOT_EXECUTE = 126, NOT_FOUND = 127 };

/* The first call of main, with its ARGC. Exits if the program is setuid or
 * setgid, or has no argv[0]. If the caller closed one of descriptors 0-2, opens
 * "/" there until exec, so that none of our own files gets that number. */
void begin_or_exit(int argc);

/* getopt(3) for KNOWN, which begins with "+:" and contains h, V and v: reads
 * options up to the first operand. Returns -1 there, otherwise a letter; if
 * that takes an argument, optarg is its argument. Handles -h, -V and -v itself.
 * An option with an argument may be given once, or any number of times if it is
 * in OFTEN. Exits with 64 for an unknown option or a missing argument. */
int option_or_exit(int argc, char **argv, const char *known, const char *often);

/* The last call of a step: executes ARGV, and looks for ARGV[0] as execvp(3)
 * does. Exits with 127 if that does not exist, with 126 if it cannot be
 * executed otherwise, and with 0 if ARGV is empty. */
_Noreturn void execute(char **argv);

/* ---- Messages: one write(2) a line, control characters as \ooo ---- */

/* "TOOL: OBJECT: REASON". If IS_SO, refuse_if() exits with 125 after that, and
 * usage_error_if() with 64, after the synopsis too. */
void warn(const char *object, const char *reason);
void refuse_if(bool is_so, const char *object, const char *reason);
void usage_error_if(bool is_so, const char *object, const char *reason);

/* "TOOL: CALL OBJECT: what errno says"; errno is kept. fail() then exits with
 * 125, fail_exec() with 126 or 127. or_exit() returns RESULT, or if that is
 * negative, fails. */
void warn_errno(const char *call, const char *object);
#define fail(call, object) (warn_errno(call, object), _exit(FAILED))
#define fail_exec(call, object)                                                \
  (warn_errno(call, object),                                                   \
   _exit(errno == ENOENT ? NOT_FOUND : CANNOT_EXECUTE))
int or_exit(int result, const char *call, const char *object);

/* Writes TEXT to standard output. */
void print_or_exit(const char *text);

/* Stands behind "TOOL: " in each message: "", or for instance "TABLE:3: ". */
extern const char *message_prefix;

/* ---- What -v shows ---- */

/* SHOW(umount2, path, MNT_DETACH) calls umount2(path, MNT_DETACH); with -v it
 * first shows the call, a string by its value and all else as it stands in the
 * source. The arguments are at most five, are evaluated twice, and contain no
 * comma. If the point of a call is in a variable, show_call() is called with a
 * string that tells it. Only calls that change something are shown. */
#define SHOW(call, ...)                                                        \
  (show_call(#call, #__VA_ARGS__, STRINGS(__VA_ARGS__, 0, 0, 0, 0, 0)),        \
   call(__VA_ARGS__))
#define STRINGS(a, b, c, d, e, ...)                                            \
  ((const char *[]){STRING(a), STRING(b), STRING(c), STRING(d), STRING(e)})
#define STRING(x)                                                              \
  _Generic((x), char * : (x), const char * : (x), default : NULL)

/* With -v, shows "+ CALL(ARGUMENTS)". STRINGS has one pointer for each of the
 * ARGUMENTS, which have commas between: the string to show in quotes instead,
 * or NULL to show the argument itself. */
void show_call(const char *call, const char *arguments, const char **strings);

/* Whether each line of -v begins with the PID, as two processes write them. */
extern bool show_pid;

/* ---- Words (strsep(3) splits a list at its commas) ---- */

/* Reads a plain decimal number at TEXT to *NUMBER: no sign, no blank, no
 * leading zero, at most MAX. (strtoul(3) takes -1 and 010; the kernel takes
 * 4294967296 for user 0.) Returns what follows the digits, or NULL if there is
 * no such number. */
const char *read_digits(const char *text, uint64_t max, uint64_t *number);

/* Whether all of TEXT is such a number. */
bool read_number(const char *text, uint64_t max, uint64_t *number);

/* BEFORE, the number N and AFTER as one string, cut to 63 bytes. */
struct numbered {
  char text[64];
};
struct numbered numbered(const char *before, uint64_t n, const char *after);

/* Turns each \ooo, as mountinfo and fstab(5) have it, into its byte, in place.
 */
void unescape(char *text);

/* ---- Descriptors that the caller left open ---- */

/* Whether FD is open and the caller's: ours are all close-on-exec, which an
 * inherited one cannot be. */
bool is_inherited(int fd);

/* N of the word "fd:N", or -1 if WORD does not begin with "fd:". Exits with 64
 * if N is no number, and with 125 if the caller did not leave N open. */
int inherited_fd_or_exit(const char *word);

/* Closes all descriptors above 2 but those in the list KEEP, such as 3,5-7,
 * which may be NULL, and the COUNT in OURS, of which some may be -1. Exits with
 * 64 if KEEP is no such list. */
void close_others_or_exit(const char *keep, const int *ours, int count);
