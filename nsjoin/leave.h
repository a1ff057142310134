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

/* Adds what the user UID needs. What the passwd file below our root says of
 * that user is data of the container: it may be missing, endless, or lie. */
void complete_environment_or_exit(uid_t uid);

/* ---- Descriptors ---- */

/* Exits if one of descriptors 0-2 is a directory. */
void refuse_directories(void);

/* ---- Who PROG is ---- */

/* Drops the supplementary groups, or if they cannot be dropped and MAY_STAY,
 * keeps them. A file can be closed to a group, so to drop a group can be a
 * gain. Root of a user namespace may not do it where setgroups is "deny"
 * (CVE-2014-8989), but root of ours may: so it is tried before the join and
 * after it. */
void drop_groups_or_exit(bool may_stay);

/* Whether TARGET has another user namespace than we, which we made: then its
 * processes have our groups anyway, and these may stay. */
bool owns_user_namespace_or_exit(const struct target *target);

/* Takes the user or group id ASKED. If that is NULL, and a user namespace was
 * joined, it takes 0, or if 0 is not mapped, the id that TARGET has in that
 * namespace: so call it after the join. */
void take_id_or_exit(const struct target *target, bool is_user,
                     const char *asked);

/* ---- What else is inherited ---- */

void drop_capabilities_or_exit(void); /* the inheritable and ambient ones */
void reset_signals_or_exit(void);     /* ignores and blocks none */
