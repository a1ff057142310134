/* confinement.h: the limits that a container is under, besides namespaces.
 *
 * setns(2) puts no process into a cgroup, and changes neither its label nor its
 * capabilities. A command that entered a container would be the one process in
 * it without these limits. Seccomp filters are not taken on: the kernel shows
 * them only to root that traces the process (PTRACE_SECCOMP_GET_FILTER of
 * ptrace(2)).
 */

#pragma once

#include "target.h"
#include <stdbool.h>

enum { CGROUP = 1, LABEL = 2, CAPS = 4 };

/* The bits above that the LIST of -a asks for, such as cgroup,label, which is
 * cut at its commas; 0 if LIST is NULL. Exits with 64 for any other word. */
int read_confinement_or_exit(char *list);

/* Moves this process into TARGET's cgroup in the hierarchy of version 2. Exits
 * unless it is then in TARGET's cgroup in each hierarchy, of version 1 too.
 * Call it before the join: a cgroup namespace hides what is above the
 * container. PROC is a checked /proc. */
void join_cgroup_or_exit(int proc, const struct target *target);

/* Has the next exec take on the AppArmor profile or the SELinux context of
 * TARGET. Call it before no_new_privs, which forbids the change. */
void take_label_or_exit(int proc, const struct target *target);

/* Drops from the capability bounding set what TARGET does not have there, and
 * takes on its no_new_privs. Call it before take_id_or_exit(): a user other
 * than 0 may not change that set. */
void limit_capabilities_or_exit(const struct target *target);
