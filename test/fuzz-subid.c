/* fuzz-subid: any /etc/subuid and /etc/passwd, read in pieces of any size.
 *
 * The first byte is the size of a piece, the next the user, then come passwd
 * and, behind a byte of 0xff, subuid, which starts with a line that hardly fits
 * if the user is odd.
 */

#include "fuzz.h"

#include "../idmap/map.c"
#include "../pivot/proc.c"
#include "../pivot/step.c"

/* Whether a line of FILE delegates ID to the user UID, who has NAME, as far as
 * can be said without any of the code under test. A line that does not fit is
 * passed over, and a byte of 0 ends one. */
static bool delegated(unsigned long id, const struct file *file,
                      const char *name, unsigned long uid) {
  const char *at = file->text, *stop = at + file->length;

  while (at < stop) {
    const char *end = memchr(at, '\n', stop - at);
    char line[1024], owner[1024], number[32];
    unsigned long first, count;
    int used = 0;
    size_t length = (end ? end : stop) - at;
    if (length < sizeof(line)) {
      memcpy(line, at, length);
      line[length] = '\0';
      length = strlen(line);
      snprintf(number, sizeof(number), "%lu", uid);
      if (sscanf(line, "%1023[^:]:%lu:%lu%n", owner, &first, &count, &used) ==
              3 &&
          (size_t)used == length && first <= id && id - first < count &&
          (strcmp(owner, number) == 0 || (*name && !strcmp(owner, name)))) {
        return true;
      }
    }
    at = end ? end + 1 : stop;
  }
  return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct ids ids;
  static char subuid[1 << 16], name[256];
  static bool is_made; /* longjmp(3) keeps its value */

  if (size < 2) {
    return 0;
  }
  size_t long_line = data[1] % 2 ? 1008 : 0;
  piece = data[0] ? data[0] * 17 + long_line : SIZE_MAX;
  const char *text = (const char *)data + 2;
  const char *half = memchr(text, 0xff, size - 2);
  files[0] = (struct file){"/etc/passwd", text, half ? half - text : 0, 0};
  const char *rest = half ? half + 1 : text;
  size_t length = text + size - 2 - rest;
  if (length > sizeof(subuid) - long_line) {
    return 0;
  }
  memset(subuid, 'x', long_line);
  memcpy(subuid + long_line, rest, length);
  files[1] = (struct file){"/etc/subuid", subuid, long_line + length, 0};

  ids = (struct ids){.uid = data[1], .id = data[1]};
  add_range(&ids.parent, 0, 0, 4294967295);

  is_made = false;
  RUN(make_map_or_exit(NULL, &ids); is_made = true);
  if (!is_made) {
    return 0;
  }
  find_user_or_exit(ids.uid, name);
  for (int i = 0; i < ids.map.length; i++) {
    struct range range = ids.map.ranges[i];
    CHECK(range.count > 0 &&
          (uint64_t)range.first[OUTSIDE] + range.count <= 4294967295);
    if (range.first[OUTSIDE] == ids.id || range.first[OUTSIDE] == block_first) {
      continue;
    }
    CHECK(range.first[OUTSIDE] != 0);
    CHECK(delegated(range.first[OUTSIDE], &files[1], name, ids.uid));
    CHECK(delegated(range.first[OUTSIDE] + range.count - 1, &files[1], name,
                    ids.uid));
  }
  return 0;
}
