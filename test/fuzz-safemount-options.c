/* fuzz-safemount-options: any OPTIONS, after a byte that chooses TYPE. Each
 * word is known, or it is the file system's and stands as it was, in order. */

#include "fuzz-safemount.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static char *const types[] = {"", "none", "tmpfs", "dir", "symlink"};
  static struct lines lines;
  char *text, *copy, *rest, *word, *own;

  if (size == 0) {
    return 0;
  }
  text = strndup((const char *)data + 1, size - 1);
  copy = rest = strdup(text);
  struct line line = {.source = "/a", .target = "b"};
  line.type = types[*data % 5];
  lines.count = 0;
  RUN(add_line_or_exit(&lines, line, text));
  if (lines.count == 1) {
    check_line(lines.lines);
    own = lines.lines[0].words;
    while ((word = strsep(&rest, ","))) {
      if (!find_word(word) && *data % 5 == 2) {
        CHECK(own < lines.lines[0].end && strcmp(own, word) == 0);
        own += strlen(own) + 1;
      }
    }
    CHECK(own == lines.lines[0].end);
  }
  free(copy);
  free(text);
  return 0;
}
