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
  bool follows_links; /* -L: those inside ROOT */
};

/* What to do if a path does not exist. TYPE is what is made, and directories on
 * the way to it; if it is 0, nothing is, and that may be no error. */
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
 * or takes a detour inside. Then no_path says that. */
bool is_no_path(const char *path);
extern const char no_path[];

/* Opens what place->path names below ROOT: what is mounted there, if there is a
 * mount. A leading slash means ROOT. No link is followed, or with -L, as if
 * ROOT were "/". If that fails, it returns false, and the path is cut behind
 * the component that is the cause. errno is ELOOP if that is a link. */
bool walk(const struct root *root, struct place *place,
          const struct missing *missing);

/* The same for PATH. Returns false only if it does not exist and that is no
 * error; otherwise it exits. */
bool open_below_or_exit(const struct root *root, const char *path,
                        const struct missing *missing, struct place *place);

void close_place(const struct root *root, const struct place *place);
