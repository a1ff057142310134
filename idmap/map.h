/* map.h: maps of ids, as user_namespaces(7) has them.
 *
 * The kernel reads an id of 4294967296 as 0, the root of the host, and says
 * nothing. And a map can be written only once. So every number is checked, and
 * the whole map, before any of it is written.
 */

#pragma once

#include "../pivot/proc.h"

enum {
  MOST_RANGES = 340, /* of a map, since Linux 4.15 */
  MOST_MAP = 4096,   /* bytes in one write(2), which must be less */
  MAP_SIZE = MOST_RANGES * 33 + 1 /* bytes of the longest aligned map */
};

/* The ids from first[INSIDE] on mean those from first[OUTSIDE] on. The last id
 * that there can be is 4294967294: (uid_t)-1 means "no change" to many calls.
 */
enum column { INSIDE, OUTSIDE };
struct range {
  uint32_t first[2], count;
};

struct map {
  struct range ranges[MOST_RANGES];
  int length;
};

/* The user ids, or the group ids, and who asks for a map of them. */
struct ids {
  bool gids;
  uid_t uid;   /* the user, to whom /etc/subuid and /etc/subgid delegate */
  uint32_t id; /* the effective user or group id */
  struct map parent; /* what the present user namespace maps */
  struct map map;    /* what the new one is to map */
};

/* Fills IDS, all but its map. Exits if the caller's own id is not mapped here.
 */
void identify_or_exit(int proc, bool gids, struct ids *ids);

/* Makes the map of IDS, which is empty, of the words of TEXT, a list with
 * commas, which is cut at these; or the default if TEXT is NULL. */
void make_map_or_exit(char *text, struct ids *ids);

/* Reads INSIDE:OUTSIDE:COUNT, all of TEXT, and adds it to MAP. Another
 * SEPARATOR than ':' can be a blank: then there may be more blanks before each
 * number. Returns NULL, or what is wrong with it. */
const char *add_numbers(struct map *map, const char *text, char separator);

/* Whether MAP has ID in COLUMN. What it is in the other one goes to *OTHER. */
bool translate(const struct map *map, enum column column, uint32_t id,
               uint32_t *other);

/* MAP as the kernel shows it, in columns; or without spaces that only align. */
void print_map(const struct map *map, bool aligned, char text[MAP_SIZE]);

/* Writes MAP to the file NAME of the procfs PROC. */
void write_map_or_exit(int proc, const char *name, const struct map *map);

/* Exits if the map NAME of the kernel does not map the same ids as MAP. It may
 * be in another order: the kernel sorts long maps. */
void verify_map_or_exit(int proc, const char *name, const struct map *map);
