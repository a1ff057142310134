/* leave.h: what of the caller stays outside.
 *
 * setns(2) changes namespaces and nothing else. Descriptors, environment, keys,
 * groups, capabilities and signals stay the caller's. Each is a way for the
 * caller's rights into the container, or for the container to the caller.
 */

#pragma once

#include "target.h"
#include <stdbool.h>
#include <stdint.h>

/* ---- Environment ---- */

/* Overwrites the bytes of our environment with zeros: root of the container may
 * read /proc/PID/environ. Then the environment is the one that the process
 * DIRECTORY in /proc was started with, or if that is -1, our TERM alone. */
void leave_environment_or_exit(int directory);

/* Adds PATH, HOME, SHELL, USER and LOGNAME for the user UID, by the passwd file
 * below our root. That file is data of the container: it may be missing,
 * endless, or lie. Call it after the join. */
void complete_environment_or_exit(uid_t uid);

/* ---- Descriptors ---- */

/* Exits if the caller left a directory open as one of descriptors 0-2. */
void refuse_directories(void);

/* ---- Who PROG is ---- */

/* Drops the supplementary groups. If setgroups(2) answers EPERM, keeps them if
 * they MAY_STAY, otherwise exits. A file can be closed to a group, so to drop a
 * group can be a gain: root of a user namespace where setgroups is "deny" may
 * not do it (CVE-2014-8989). Root of our own user namespace may. So call it
 * before the join and after it. */
void drop_groups_or_exit(bool may_stay);

/* Whether TARGET has another user namespace than we, and our user made it: then
 * its processes have our groups anyway, and these may stay. */
bool owns_user_namespace_or_exit(const struct target *target);

/* Takes the user id ASKED, or the group id if not IS_USER; ASKED is a decimal
 * number. If it is NULL and a user namespace was joined, takes 0, or if 0 is
 * not mapped there, the id that TARGET has there: so call it after the join. If
 * it is NULL otherwise, changes nothing. */
void take_id_or_exit(const struct target *target, bool is_user,
                     const char *asked);

/* ---- What else is inherited ---- */

void drop_capabilities_or_exit(void); /* the inheritable and ambient ones */
void reset_signals_or_exit(void);     /* none is ignored or blocked then */
