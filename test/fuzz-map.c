/* fuzz-map: any MAP of idmap's command line, by somebody with any ids.
 *
 * What is taken must be what the kernel takes, and mean the same to it: within
 * the ids there are, without overlap, within what the parent maps, and as long
 * as one write(2) may be. What came out is read again as the kernel shows it.
 */

#include "fuzz.h"

#include "../idmap/first/words.h"

ABOUT("fuzz", "\n");

static const char *shown; /* what is read from any file */
static size_t shown_length;

static long fake_call(long number, long a, long b, long c, long d) {
  (void)a;
  if (number == SYS_pread64 && (size_t)d < shown_length) {
    size_t n = shown_length - d < (size_t)c ? shown_length - d : (size_t)c;
    memcpy((void *)b, shown + d, n);
    return n;
  }
  if (number == SYS_openat) {
    errno = ENOENT;
    return -1;
  }
  return number == SYS_write ? c : 0;
}

/* By the rules of user_namespaces(7), without any of map.h. */
static void check(const struct map *map, const struct map *parent) {
  for (int i = 0; i < map->length; i++) {
    struct range a = map->ranges[i];
    bool within = false;
    CHECK(a.count > 0);
    CHECK(a.inside + a.count <= 4294967295 &&
          a.outside + a.count <= 4294967295);
    for (int j = 0; j < i; j++) {
      struct range b = map->ranges[j];
      CHECK(a.inside + a.count <= b.inside || b.inside + b.count <= a.inside);
      CHECK(a.outside + a.count <= b.outside ||
            b.outside + b.count <= a.outside);
    }
    for (int j = 0; j < parent->length; j++) {
      struct range p = parent->ranges[j];
      within |=
          a.outside >= p.inside && a.outside + a.count <= p.inside + p.count;
    }
    CHECK(within);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct caller caller;
  static struct map map, again;
  static struct line line;
  static char text[1 << 16];
  uint32_t id, first, count;

  if (size < 12 || size - 12 >= sizeof(text)) {
    return 0;
  }
  memcpy(&id, data, 4);
  memcpy(&first, data + 4, 4);
  memcpy(&count, data + 8, 4);
  memcpy(text, data + 12, size - 12);
  text[size - 12] = '\0';

  caller = (struct caller){.uid = id, .id = id, .file = "/f", .accounts = "/a"};
  if (id % 2) {
    add_range(&caller.parent, 0, 0, 4294967295);
  } else {
    add_range(&caller.parent, 0, 0, first % 100000 + 1);
    add_range(&caller.parent, first, first, count);
  }

  map.length = -1;
  RUN(make_map(text, &caller, &map); line.length = 0;
      put_map(&line, &map, true); put_char(&line, '\0'); shown = line.text;
      shown_length = line.length - 1; check(&map, &caller.parent);
      again.length = -1; RUN(read_map(3, &again));
      CHECK(same_map(&map, &again) && same_map(&again, &map)));

  /* The same bytes as a uid_map that some kernel shows. */

  shown = text;
  shown_length = size - 12;
  RUN(read_map(3, &again));
  return 0;
}
