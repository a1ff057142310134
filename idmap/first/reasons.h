/* reasons.h: what errno says.
 *
 * strerror(3) knows 134 errors, and its texts are a twelfth of each of these
 * programs. Here are those that the kernel gives to what they do, in the same
 * words.
 */

#ifndef REASONS_H
#define REASONS_H

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define REASON(number, text) NUMBER_AS_TEXT(number) ":" text "\0"
#define NUMBER_AS_TEXT(number) #number

/* clang-format off */
static const char reasons[] =
  REASON(EPERM, "Operation not permitted")
  REASON(ENOENT, "No such file or directory")
  REASON(ESRCH, "No such process")
  REASON(EINTR, "Interrupted system call")
  REASON(EIO, "I/O error")
  REASON(ENXIO, "No such device or address")
  REASON(E2BIG, "Argument list too long")
  REASON(ENOEXEC, "Exec format error")
  REASON(EBADF, "Bad file descriptor")
  REASON(ECHILD, "No child process")
  REASON(EAGAIN, "Resource temporarily unavailable")
  REASON(ENOMEM, "Out of memory")
  REASON(EACCES, "Permission denied")
  REASON(EFAULT, "Bad address")
  REASON(ENOTBLK, "Block device required")
  REASON(EBUSY, "Resource busy")
  REASON(EEXIST, "File exists")
  REASON(EXDEV, "Cross-device link")
  REASON(ENODEV, "No such device")
  REASON(ENOTDIR, "Not a directory")
  REASON(EISDIR, "Is a directory")
  REASON(EINVAL, "Invalid argument")
  REASON(ENFILE, "Too many open files in system")
  REASON(EMFILE, "No file descriptors available")
  REASON(ENOTTY, "Not a tty")
  REASON(ETXTBSY, "Text file busy")
  REASON(EFBIG, "File too large")
  REASON(ENOSPC, "No space left on device")
  REASON(ESPIPE, "Invalid seek")
  REASON(EROFS, "Read-only file system")
  REASON(EMLINK, "Too many links")
  REASON(EPIPE, "Broken pipe")
  REASON(ERANGE, "Result not representable")
  REASON(ENAMETOOLONG, "Filename too long")
  REASON(ENOSYS, "Function not implemented")
  REASON(ENOTEMPTY, "Directory not empty")
  REASON(ELOOP, "Symbolic link loop")
  REASON(ENODATA, "No data available")
  REASON(EOVERFLOW, "Value too large for data type")
  REASON(EUSERS, "No error information")
  REASON(EOPNOTSUPP, "Not supported")
  REASON(EAFNOSUPPORT, "Address family not supported by protocol")
  REASON(ESTALE, "Stale file handle")
  REASON(EUCLEAN, "No error information")
  REASON(EDQUOT, "Quota exceeded")
  REASON(ENOMEDIUM, "No medium found")
  REASON(ENOKEY, "Required key not available")
  REASON(EKEYREVOKED, "Key has been revoked")
  REASON(EBADMSG, "Bad message");
/* clang-format on */

/* The reason for ERROR, or NULL. */
static inline const char *reason(int error) {
  for (const char *at = reasons; *at; at += strlen(at) + 1) {
    int number = 0;
    while (*at != ':') {
      number = number * 10 + *at++ - '0';
    }
    if (number == error) {
      return at + 1;
    }
  }
  return NULL;
}

#endif
