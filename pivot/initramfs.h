/* initramfs.h: leaving the initramfs.
 *
 * The kernel's first root, the rootfs, is mounted on nothing, so before Linux
 * 7.0 pivot_root(2) cannot replace it and answers EINVAL. The new root can be
 * mounted on top of it. A chroot(2) into the new root is then not the escape
 * that it is elsewhere: "/" is the topmost root of the mount namespace, and
 * user namespaces stay allowed (a chroot below the root may not make them).
 */

#pragma once

#include "proc.h"

/* A descriptor of "/", which is on the mount ROOT, if that is the initramfs and
 * we are in the initial user namespace; otherwise -1. PROC is a checked /proc.
 */
int open_initramfs_or_exit(int proc, uint64_t root);

/* Exits if -f must not delete the files of the mount ROOT: we are not PID 1, or
 * another mount shows files of the initramfs. */
void refuse_to_free(int proc, uint64_t root);

/* Moves what is mounted on dev, proc, sys and run in the directory INITRAMFS to
 * those below ".", the new root, if they are directories with no mount. */
void bring_along_or_exit(int initramfs);

/* Moves the mount of "." on top of "/", detaches all other mounts on the mount
 * ROOT, and calls chroot(2). */
void cover_initramfs_or_exit(int proc, int initramfs, uint64_t root);

/* Deletes what is in PATH below DIRECTORY, all of it on the mount ROOT. */
void delete_files_or_exit(int directory, const char *path, uint64_t root);
