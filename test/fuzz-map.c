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
    uint64_t a_inside = (uint64_t)a.first[INSIDE] + a.count;
    uint64_t a_outside = (uint64_t)a.first[OUTSIDE] + a.count;
    bool within = false;
    CHECK(a.count > 0);
    CHECK(a_inside <= 4294967295 && a_outside <= 4294967295);
    for (int j = 0; j < i; j++) {
      struct range b = map->ranges[j];
      CHECK(a_inside <= b.first[INSIDE] ||
            (uint64_t)b.first[INSIDE] + b.count <= a.first[INSIDE]);
      CHECK(a_outside <= b.first[OUTSIDE] ||
            (uint64_t)b.first[OUTSIDE] + b.count <= a.first[OUTSIDE]);
    }
    for (int j = 0; j < parent->length; j++) {
      struct range p = parent->ranges[j];
      within |= a.first[OUTSIDE] >= p.first[INSIDE] &&
                a_outside <= (uint64_t)p.first[INSIDE] + p.count;
    }
    CHECK(within);
  }
}

/* Reads what the kernel would show of MAP, and compares. */
static void check_shown(const struct map *map) {
  static char text[MAP_SIZE];
  static bool again; /* longjmp(3) keeps its value */

  print_map(map, false, text);
  CHECK(strlen(text) < 4096);
  print_map(map, true, text);
  files[0] = (struct file){"self/uid_map", text, strlen(text), 0};
  again = false;
  RUN(verify_map_or_exit(3, "self/uid_map", map); again = true);
  CHECK(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct ids ids;
  static struct map shown;
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

  ids = (struct ids){.uid = id, .id = id};
  if (id % 2) {
    add_range(&ids.parent, 0, 0, 4294967295);
  } else {
    add_range(&ids.parent, 0, 0, first % 100000 + 1);
    add_range(&ids.parent, first, first, count);
  }

  files[0].name = NULL;
  is_made = false;
  RUN(make_map_or_exit(text, &ids); is_made = true);
  if (is_made) {
    check(&ids.map, &ids.parent);
    check_shown(&ids.map);
  }

  /* The same bytes as a uid_map that some kernel shows. */

  files[0] =
      (struct file){"self/uid_map", (const char *)data + 12, size - 12, 0};
  RUN(read_map_or_exit(3, "self/uid_map", &shown));
  return 0;
}
