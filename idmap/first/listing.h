/* listing.h: the names in a directory. */

#ifndef LISTING_H
#define LISTING_H

#include "place.h"
#include <dirent.h>

/* musl's name for getdents, which to the kernel is an older call. */
#undef getdents64

struct listing {
  int fd;
  _Alignas(struct dirent) char entries[2048];
  long next, length;
};

/* Opens PATH below DIRECTORY, which is not a link. False, and errno, if not. */
static inline bool open_listing(struct listing *listing, int directory,
                                const char *path) {
  listing->next = listing->length = 0;
  listing->fd = open_file(directory, path);
  return listing->fd >= 0;
}

/* The next name but "." and "..", or NULL at the end, where it is closed. */
static inline const char *next_entry(struct listing *listing) {
  const char *name;

  do {
    if (listing->next == listing->length) {
      listing->length = CALL(getdents64, listing->fd, &listing->entries,
                             sizeof(listing->entries));
      listing->next = 0;
      if (listing->length < 0) {
        err(FAILED, "getdents64");
      }
      if (listing->length == 0) {
        close_fd(listing->fd);
        return NULL;
      }
    }
    struct dirent *entry = (void *)(listing->entries + listing->next);
    listing->next += entry->d_reclen;
    name = entry->d_name;
  } while (name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2])));
  return name;
}

#endif
