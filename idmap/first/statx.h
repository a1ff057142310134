/* statx.h: struct statx, with the mount's ID of Linux 5.8.
 *
 * glibc defines it in <sys/stat.h>, and so does musl since 1.2.5. For an older
 * musl it is in the kernel's <linux/stat.h>; both headers together are an
 * error. The struct of musl 1.2.5 is that of Linux 4.11 and has only padding
 * where the kernel writes the mount's ID; 1.2.6 names it.
 */

#ifndef STATX_H
#define STATX_H

#include <stddef.h>
#include <sys/stat.h>

#ifndef STATX_TYPE
#include <linux/stat.h>
#endif

#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x1000U
#define STATX_ATTR_MOUNT_ROOT 0x2000
#define stx_mnt_id __pad1[0]
#endif

_Static_assert(offsetof(struct statx, stx_mnt_id) == 0x90,
               "the kernel writes the mount's ID at 0x90");

#endif
