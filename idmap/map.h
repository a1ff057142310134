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

/* The ids from INSIDE on mean those from OUTSIDE on. The last id that there can
 * be is 4294967294: (uid_t)-1 means "no change" to many calls. */
struct range {
  uint32_t inside, outside, count;
};

struct map {
  struct range ranges[MOST_RANGES];
  int length;
};

/* Who asks for a map: of user ids, or of group ids. */
struct caller {
  bool gids;
  uid_t uid;   /* the user, to whom /etc/subuid and /etc/subgid delegate */
  uint32_t id; /* the effective user or group id */
  struct map parent; /* what the present user namespace maps */
};

/* Fills CALLER. Exits if the caller's own id is not mapped here. */
void identify_or_exit(int proc, bool gids, struct caller *caller);

/* Reads INSIDE:OUTSIDE:COUNT, all of WORD, and adds it to MAP. Returns NULL, or
 * what is wrong with it. */
const char *add_word(struct map *map, const char *word);

/* Makes MAP of the words of TEXT, a list with commas, which is cut at these; or
 * the default for CALLER if TEXT is NULL. */
void make_map_or_exit(char *text, const struct caller *caller, struct map *map);

/* Whether MAP gives the id FROM a meaning, which then goes to *TO. */
bool map_outside(const struct map *map, uint32_t from, uint32_t *to);
bool map_inside(const struct map *map, uint32_t from, uint32_t *to);

/* MAP as the kernel shows it, in columns; or without spaces that only align. */
void print_map(const struct map *map, bool aligned, char text[MAP_SIZE]);

/* Reads the map NAME, such as "self/uid_map", of the kernel. */
void read_map_or_exit(int proc, const char *name, struct map *map);

/* Whether both map the same ids: the kernel sorts long maps. */
bool is_same_map(const struct map *one, const struct map *other);
