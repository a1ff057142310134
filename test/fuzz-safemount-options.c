/* The words of OPTIONS: none is lost, no flag is both set and cleared. */

#include "../safemount/options.h"
#include "../safemount/userns.h"
#include <stdlib.h>

ABOUT("fuzz", "\n");

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct map map;
  char *text = malloc(size + 1), *copy, *rest, *name, *word;
  struct options options;

  memcpy(text, data, size);
  text[size] = '\0';
  copy = rest = strdup(text);
  if (!parse_options(text, &options)) {
    word = options.words;
    while ((name = strsep(&rest, ","))) {
      if (!*name || find_word(name)) {
        continue;
      }
      if (is_idmap(name)) {
        if (strcmp(options.idmap, name + 6) != 0) {
          abort();
        }
        continue;
      }
      word = next_other(&options, word);
      if (!word || strcmp(word, name) != 0) {
        abort();
      }
      word += strlen(word) + 1;
    }
    if (next_other(&options, word) ||
        options.flags.attr_set & options.flags.attr_clr & ~MOUNT_ATTR__ATIME) {
      abort();
    }
    if (options.idmap && !parse_ranges(options.idmap, &map) &&
        (map.length < 1 || map.length > MOST_RANGES)) {
      abort();
    }
  }
  free(copy);
  free(text);
  return 0;
}
