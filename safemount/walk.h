/* walk.h: from ROOT to what a path below it names, and never outside.
 *
 * Each look-up of a path starts anew. Someone who can write to a directory on
 * the path can put a link there between two look-ups, and the second one then
 * arrives elsewhere (CVE-2015-1335, CVE-2021-30465). So a path is walked once,
 * to a descriptor, and everything else is done to that descriptor: it stays the
 * same directory or file, whatever its path leads to by then.
 */

#pragma once

#include "../pivot/calls.h"
#include "../pivot/step.h"

struct root {
  const char *path;   /* the administrator's, so links in it are followed */
  int fd;             /* ROOT, or what was mounted on it since */
  bool follows_links; /* -L: follow links, but as if ROOT were "/" */
};

/* What to do if a path does not exist. If TYPE is not 0, a file of that type is
 * made, and the directories on the way to it. Otherwise nothing is made, and it
 * is an error unless IS_OPTIONAL. */
struct missing {
  mode_t type; /* S_IFDIR, S_IFREG or S_IFLNK */
  mode_t mode; /* of a directory; less the umask, unless it is exact */
  bool is_exact;
  const char *text; /* of a link */
  bool is_optional;
};

/* What a path names. */
struct place {
  char path[PATH_MAX];
  char *name;         /* its last component; "" for ROOT */
  int parent, fd;     /* opened by O_PATH, or ROOT's own descriptor */
  struct statx found; /* what statx(2) says about FD */
};

/* Whether PATH is empty, too long, or has ".." in it, which leads out of ROOT
 * or takes a detour inside. no_path is the message for that. */
bool is_no_path(const char *path);
extern const char no_path[];

/* Opens what place->path names below ROOT: what is mounted there, if there is a
 * mount. A leading slash means ROOT. Follows no link, or with -L, as if ROOT
 * were "/". Makes what does not exist, as MISSING says; exits if that fails.
 * Returns false and errno if a component cannot be opened, or is a link
 * (ELOOP): place->path is then cut behind that component. close_place() is
 * still to be called. */
bool walk(const struct root *root, struct place *place,
          const struct missing *missing);

/* Does the same for PATH, of which it makes a copy. Exits if it fails, unless
 * PATH does not exist and is optional: then it returns false with errno ENOENT,
 * and PLACE is closed. */
bool open_below_or_exit(const struct root *root, const char *path,
                        const struct missing *missing, struct place *place);

/* Closes the descriptors of PLACE, but not that of ROOT. */
void close_place(const struct root *root, const struct place *place);
