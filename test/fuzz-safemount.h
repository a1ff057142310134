/* fuzz-safemount.h: the modules of safemount under libFuzzer. They look nothing
 * up, make no user namespace and are silent. */

#include "fuzz.h"

#include "../pivot/step.c"
#include "../safemount/table.c"
#include "../safemount/walk.c"

int new_userns_or_exit(const char *ranges) {
  return strlen(ranges) % 7 ? 100 : -1;
}

/* What must hold for each line that is taken: that it does one thing, and that
 * no flag is lost, or both set and cleared. */
static void check_line(const struct line *line) {
  const struct mount_attr *attr = &line->flags.attr;
  uint64_t atime = MOUNT_ATTR__ATIME;

  CHECK(line->kind && !(line->kind & (line->kind - 1)));
  CHECK(line->kind <= MAKE && *line->target && !is_no_path(line->target));
  CHECK(!(attr->attr_set & attr->attr_clr & ~atime));
  CHECK(!(attr->attr_set & atime) || (attr->attr_clr & atime) == atime);
  CHECK((line->kind & (MAKE | PROPAGATE)) == 0 || attr->attr_set == 0);
  CHECK(line->kind == MOUNT_NEW || line->words == line->end);
  CHECK(line->kind != PROPAGATE || line->sharing.attr.propagation);
  CHECK(!attr->attr_set || *line->flags.words);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
