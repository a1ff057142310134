/* fuzz-map: any MAP of idmap's command line, by a caller with any ids.
 *
 * What is taken must be what the kernel takes, and mean the same to it: within
 * the ids there are, without overlap, within what the parent maps, and as long
 * as one write(2) may be. What came out is read again as the kernel shows it.
 */

#include "fuzz.h"

#include "../idmap/map.c"
#include "../pivot/proc.c"
#include "../pivot/step.c"

/* By the rules of user_namespaces(7), without any of map.c. */
static void check(const struct map *map, const struct map *parent) {
  for (int i = 0; i < map->length; i++) {
    struct range a = map->ranges[i];
    uint64_t a_inside = (uint64_t)a.inside + a.count;
    uint64_t a_outside = (uint64_t)a.outside + a.count;
    bool within = false;
    CHECK(a.count > 0);
    CHECK(a_inside <= 4294967295 && a_outside <= 4294967295);
    for (int j = 0; j < i; j++) {
      struct range b = map->ranges[j];
      CHECK(a_inside <= b.inside || (uint64_t)b.inside + b.count <= a.inside);
      CHECK(a_outside <= b.outside ||
            (uint64_t)b.outside + b.count <= a.outside);
    }
    for (int j = 0; j < parent->length; j++) {
      struct range p = parent->ranges[j];
      within |=
          a.outside >= p.inside && a_outside <= (uint64_t)p.inside + p.count;
    }
    CHECK(within);
  }
}

/* Reads what the kernel would show of MAP, and compares. */
static void check_shown(const struct map *map) {
  static char text[MAP_SIZE];
  static struct map again;

  print_map(map, false, text);
  CHECK(strlen(text) < 4096);
  print_map(map, true, text);
  files[0] = (struct file){"self/uid_map", text, strlen(text), 0};
  again.length = -1;
  RUN(read_map_or_exit(3, "self/uid_map", &again));
  CHECK(is_same_map(map, &again) && is_same_map(&again, map));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct caller caller;
  static struct map map, shown;
  static char text[1 << 16];
  static bool is_made; /* longjmp(3) keeps its value */
  uint32_t id, first, count;

  if (size < 12 || size - 12 >= sizeof(text)) {
    return 0;
  }
  memcpy(&id, data, 4);
  memcpy(&first, data + 4, 4);
  memcpy(&count, data + 8, 4);
  memcpy(text, data + 12, size - 12);
  text[size - 12] = '\0';

  caller = (struct caller){.uid = id, .id = id};
  if (id % 2) {
    add_range(&caller.parent, 0, 0, 4294967295);
  } else {
    add_range(&caller.parent, 0, 0, first % 100000 + 1);
    add_range(&caller.parent, first, first, count);
  }

  files[0].name = NULL;
  is_made = false;
  RUN(make_map_or_exit(text, &caller, &map); is_made = true);
  if (is_made) {
    check(&map, &caller.parent);
    check_shown(&map);
  }

  /* The same bytes as a uid_map that some kernel shows. */

  files[0] =
      (struct file){"self/uid_map", (const char *)data + 12, size - 12, 0};
  RUN(read_map_or_exit(3, "self/uid_map", &shown));
  return 0;
}
