/* descriptors.h: what an inherited descriptor could carry across a step.
 *
 * An open directory of the old root is a way back into it: openat(2) on it
 * needs no path from the new one (CVE-2016-9962, CVE-2024-21626).
 */

#ifndef DESCRIPTORS_H
#define DESCRIPTORS_H

#include "place.h"

/* The range FIRST-LAST (or FIRST alone) at LIST, as in -k 3,5-7. Returns what
 * follows it and its comma, or NULL at the end of LIST. Exits on any other
 * text. */
static inline const char *range(const char *list, unsigned long *first,
                                unsigned long *last) {
  const char *end = digits(list, INT_MAX, first);

  *last = *first;
  if (end && *end == '-') {
    end = digits(end + 1, INT_MAX, last);
  }
  if (!end || (*end && *end != ',') || *last < *first) {
    errx(USAGE, "%s: not a list of descriptors, such as 3,5-7", list);
  }
  return *end ? end + 1 : NULL;
}

/* Closes every descriptor above 2 that KEEP, such a list or NULL, does not
 * name. By ranges, because ulimit -n can be lowered below a descriptor that is
 * open. Needs close_range(2), Linux 5.9. */
static inline void close_others(const char *keep) {
  for (unsigned long from = 3; from <= UINT_MAX;) {
    unsigned long first, last, kept = UINT_MAX + 1UL, next = kept;

    for (const char *rest = keep; rest;) {
      rest = range(rest, &first, &last);
      if (last >= from && first < kept) {
        kept = first;
        next = last + 1;
      }
    }
    if (kept > from && CALL(close_range, from, kept - 1, 0) < 0) {
      err(FAILED, "close_range (needs Linux 5.9)");
    }
    from = next;
  }
}

/* Exits if standard input, output or error is a directory: closed it cannot be,
 * and kept it must not be. */
static inline void refuse_directories(void) {
  for (int fd = 0; fd <= 2; fd++) {
    if (look(fd, "").is_directory) {
      errx(FAILED, "descriptor %ld is a directory: a way back", (long)fd);
    }
  }
}

#endif
