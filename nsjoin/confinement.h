/* confinement.h: the limits that a container is under, besides namespaces.
 *
 * setns(2) puts no process into a cgroup, and changes neither its label nor its
 * capabilities. A command that entered a container would be the one process in
 * it without these limits. Seccomp filters cannot be taken on: the kernel shows
 * them to no one.
 */

#pragma once

#include "target.h"
#include <stdbool.h>

enum { CGROUP = 1, LABEL = 2, CAPS = 4 };

/* What the LIST of -a asks for, such as cgroup,label. It is cut at its commas.
 */
int read_confinement_or_exit(char *list);

/* Puts this process into the cgroup of TARGET, in the hierarchy of version 2.
 * Exits if TARGET is in another cgroup than we in one of version 1. Call it
 * before the join: a cgroup namespace hides what is above the container. */
void join_cgroup_or_exit(int proc, const struct target *target);

/* Has the next exec take on the AppArmor profile or the SELinux context of
 * TARGET. Call it before no_new_privs, which forbids the change. */
void take_label_or_exit(int proc, const struct target *target);

/* Drops from the capability bounding set what TARGET does not have there, and
 * takes on its no_new_privs. Call it before the ids are taken: without user 0
 * there is no right to the first. */
void limit_capabilities_or_exit(const struct target *target);
