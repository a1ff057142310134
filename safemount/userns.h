/* userns.h: a user namespace that is made for its maps alone.
 *
 * An idmapped mount takes its maps from a user namespace (mount_setattr(2)). A
 * namespace begins with a process. Once its file is open, the process may end.
 */

#pragma once

/* A descriptor of a new user namespace that maps users and groups by RANGES,
 * INSIDE:OUTSIDE:COUNT joined by +. Exits if RANGES is no such list, if the
 * kernel refuses the maps, or if there is no whole procfs. */
int new_userns_or_exit(const char *ranges);
