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
 * read /proc/PID/environ. If KEEPS_TERM, TERM alone is in it then. */
void wipe_environment_or_exit(bool keeps_term);

/* Makes the environment the one that process DIRECTORY in /proc was started
 * with. */
void take_environment_or_exit(int directory);

/* Adds what the user UID needs. What the passwd file below our root says of
 * that user is data of the container: it may be missing, endless, or lie. */
void complete_environment_or_exit(uid_t uid);

/* ---- Descriptors ---- */

/* Exits if one of descriptors 0-2 is a directory. */
void refuse_directories(void);

/* ---- Who PROG is ---- */

struct id {
  bool is_known; /* it was asked for */
  uint32_t number;
};

/* Drops the supplementary groups, before the join. Returns whether they may
 * stay if they cannot be dropped after it either. */
bool drop_groups_or_exit(const struct target *target);
void drop_groups_inside_or_exit(const struct target *target, bool may_stay);

/* Takes the ids that are known. If a user namespace was joined, the others are
 * 0 if that is mapped, otherwise the target's. */
void take_ids_or_exit(const struct target *target, struct id uid,
                      struct id gid);

/* ---- What else is inherited ---- */

void drop_capabilities_or_exit(void); /* the inheritable and ambient ones */
void reset_signals_or_exit(void);     /* ignores and blocks none */
