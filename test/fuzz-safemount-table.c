/* fuzz-safemount-table: any line of a table. Each field of it lies within the
 * line, and what is taken makes sense. */

#include "fuzz-safemount.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct lines lines;
  char *text = malloc(size + 1);

  memcpy(text, data, size);
  text[size] = '\0';
  lines.count = 0;
  message_prefix = "table:1: ";
  RUN(read_line_or_exit(&lines, (struct line){0}, text));
  for (size_t i = 0; i < lines.count; i++) {
    const struct line *line = &lines.lines[i];
    const char *all[] = {line->source, line->target, line->type};
    for (int j = 0; j < 3; j++) {
      CHECK(all[j] >= text && all[j] + strlen(all[j]) <= text + size);
    }
    CHECK(*line->source && *line->type);
    check_line(line);
  }
  free(text);
  return 0;
}
