/* map.h: maps of ids, as user_namespaces(7) has them.
 *
 * The kernel reads an id of 4294967296 as 0, the host's root, and says nothing.
 * So every number is checked here, and the whole map before any of it is
 * written: it can be written only once.
 */

#ifndef MAP_H
#define MAP_H

#include "step.h"

#define MOST_RANGES 340      /* before Linux 4.15: 5 */
#define MOST_TEXT 4095       /* one write(2) of less than a page */
#define LAST_ID 4294967294UL /* (uid_t)-1 means "no change" to many calls */

/* COUNT ids from INSIDE on are those from OUTSIDE on, one by one. */
struct range {
  unsigned long inside, outside, count; /* the order of the kernel's columns */
};

struct map {
  struct range ranges[MOST_RANGES];
  int length;
};

static inline bool overlap(unsigned long a, unsigned long b,
                           unsigned long a_count, unsigned long b_count) {
  return a < b + b_count && b < a + a_count;
}

/* Adds a range to MAP. Returns NULL, or what is wrong with it. */
static inline const char *add_range(struct map *map, unsigned long inside,
                                    unsigned long outside,
                                    unsigned long count) {
  if (count == 0) {
    return "a range of no ids";
  }
  if (inside + count - 1 > LAST_ID || outside + count - 1 > LAST_ID) {
    return "ids end at 4294967294";
  }
  for (int i = 0; i < map->length; i++) {
    const struct range *other = &map->ranges[i];
    if (overlap(inside, other->inside, count, other->count) ||
        overlap(outside, other->outside, count, other->count)) {
      return "two ranges overlap";
    }
  }
  if (map->length == MOST_RANGES) {
    return "more than 340 ranges";
  }
  map->ranges[map->length++] = (struct range){inside, outside, count};
  return NULL;
}

/* Moves *ID up to the lowest that no range of MAP has, in the OUTSIDE column or
 * in the other. Returns how many are free from there on, up to END. */
static inline unsigned long free_ids(const struct map *map, bool outside,
                                     unsigned long *id, unsigned long end) {
  unsigned long stop = end;

  for (int i = 0; i < map->length; i++) {
    const struct range *used = &map->ranges[i];
    unsigned long first = outside ? used->outside : used->inside;
    if (*id >= first && *id - first < used->count) {
      *id = first + used->count;
      stop = end;
      i = -1;
    } else if (first > *id && first < stop) {
      stop = first;
    }
  }
  return *id < stop ? stop - *id : 0;
}

/* Adds those of COUNT ids from OUTSIDE on that MAP does not have yet, onto the
 * lowest that are still free inside. Returns as add_range(). */
static inline const char *add_to_free(struct map *map, unsigned long outside,
                                      unsigned long count) {
  unsigned long end = outside + count, inside = 0, part;
  const char *wrong = NULL;

  while (!wrong && (part = free_ids(map, true, &outside, end))) {
    unsigned long room = free_ids(map, false, &inside, LAST_ID + 1);
    part = part < room ? part : room;
    wrong = add_range(map, inside, outside, part);
  }
  return wrong;
}

/* Reads INSIDE:OUTSIDE:COUNT at TEXT. Returns what follows, or NULL. */
static inline const char *read_range(const char *text, struct range *range) {
  const char *end = digits(text, LAST_ID, &range->inside);

  end = end && *end == ':' ? digits(end + 1, LAST_ID, &range->outside) : NULL;
  return end && *end == ':' ? digits(end + 1, LAST_ID + 1, &range->count)
                            : NULL;
}

/* The id inside that MAP gives to the id OUTSIDE, or -1. */
static inline long inside_of(const struct map *map, unsigned long outside) {
  for (int i = 0; i < map->length; i++) {
    const struct range *range = &map->ranges[i];
    if (outside >= range->outside && outside - range->outside < range->count) {
      return range->inside + (outside - range->outside);
    }
  }
  return -1;
}

/* The id outside that the id INSIDE stands for, or -1. */
static inline long outside_of(const struct map *map, unsigned long inside) {
  for (int i = 0; i < map->length; i++) {
    const struct range *range = &map->ranges[i];
    if (inside >= range->inside && inside - range->inside < range->count) {
      return range->outside + (inside - range->inside);
    }
  }
  return -1;
}

/* Whether MAP gives a meaning to the id INSIDE. */
static inline bool has_inside(const struct map *map, unsigned long inside) {
  return outside_of(map, inside) >= 0;
}

/* NUMBER as %10u, the kernel's columns. */
static inline void put_padded(struct line *line, unsigned long number) {
  for (unsigned long least = 1000000000; least > number && least > 1;
       least /= 10) {
    put_char(line, ' ');
  }
  put_number(line, number);
}

/* MAP as /proc/PID/uid_map shows it, or without blanks that only align it. */
static inline void put_map(struct line *line, const struct map *map,
                           bool aligned) {
  for (int i = 0; i < map->length; i++) {
    const unsigned long *numbers = &map->ranges[i].inside;
    for (int column = 0; column < 3; column++) {
      if (aligned) {
        put_padded(line, numbers[column]);
      } else {
        put_number(line, numbers[column]);
      }
      put_char(line, column < 2 ? ' ' : '\n');
    }
  }
}

/* Whether ONE and OTHER map the same: the kernel sorts long maps. */
static inline bool same_map(const struct map *one, const struct map *other) {
  for (int i = 0; i < one->length; i++) {
    int j = 0;
    while (j < other->length &&
           memcmp(&one->ranges[i], &other->ranges[j], sizeof(struct range))) {
      j++;
    }
    if (j == other->length) {
      return false;
    }
  }
  return one->length == other->length;
}

#endif
