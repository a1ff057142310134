/* The words of OPTIONS: none is lost, no flag is both set and cleared. */

#include "../safemount/options.h"
#include "../safemount/userns.h"
#include <stdlib.h>

ABOUT("fuzz", "\n");

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = malloc(size + 1), *word;
  struct options options;
  size_t given = 1, known = 0;

  memcpy(text, data, size);
  text[size] = '\0';
  for (char *rest = strdup(text), *copy = rest; rest; given++) {
    char *name = strsep(&rest, ",");
    known += !*name || find_word(name) || strncmp(name, "idmap=", 6) == 0;
    if (!rest) {
      free(copy);
    }
  }
  if (!parse_options(text, &options)) {
    if (options.others_count + known != given - 1 ||
        options.flags.attr_set & options.flags.attr_clr & ~MOUNT_ATTR__ATIME) {
      abort();
    }
    word = options.others;
    for (size_t i = 0; i < options.others_count; i++) {
      if (!*word || find_word(word)) {
        abort();
      }
      word += strlen(word) + 1;
    }
    if (word > text + size + 1) {
      abort();
    }
    static struct map map;
    if (options.idmap && !parse_ranges(options.idmap, &map) &&
        (map.length < 1 || map.length > MOST_RANGES)) {
      abort();
    }
  }
  free(text);
  return 0;
}
