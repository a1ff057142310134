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

/* Fills IDS, all but its map, for this process. PROC is a checked /proc, here
 * and below. Exits if our own id is not mapped in our user namespace. */
void identify_or_exit(int proc, bool gids, struct ids *ids);

/* Fills the map of IDS, which is empty, by the words of TEXT, a list with
 * commas that is cut at these, or by the default if TEXT is NULL. Exits with 64
 * for a wrong word or a map that is too long, and with 125 if the map has ids
 * that are not mapped here, or if "sub" has none to add. */
void make_map_or_exit(char *text, struct ids *ids);

/* Adds INSIDE:OUTSIDE:COUNT, which is all of TEXT, to MAP. SEPARATOR is ':', or
 * ' ' for the lines of the kernel, with more blanks before each number. Returns
 * NULL, or what is wrong with TEXT; then MAP is as before. */
const char *add_numbers(struct map *map, const char *text, char separator);

/* Whether MAP has ID in COLUMN. If so, *OTHER is its id in the other column;
 * otherwise *OTHER stays as it is. */
bool translate(const struct map *map, enum column column, uint32_t id,
               uint32_t *other);

/* Writes MAP to TEXT, a line for each range: in columns, as the kernel shows
 * it, if it is to be ALIGNED, otherwise with one space between the numbers. */
void print_map(const struct map *map, bool aligned, char text[MAP_SIZE]);

/* Writes MAP to the file NAME in PROC, such as "123/uid_map". */
void write_map_or_exit(int proc, const char *name, const struct map *map);

/* Exits if the file NAME in PROC has other ranges than MAP. Their order may
 * differ: the kernel sorts long maps. */
void verify_map_or_exit(int proc, const char *name, const struct map *map);
