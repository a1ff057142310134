/* Lines of a TABLE: no byte beyond them is touched, no field is made up. */

#include "../safemount/table.h"
#include <stdlib.h>

ABOUT("fuzz", "\n");

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *line = malloc(size + 1);
  struct fields fields;

  memcpy(line, data, size);
  line[size] = '\0';
  if (!parse_line(line, size, &fields) && *fields.source) {
    const char *all[] = {fields.source, fields.target, fields.type,
                         fields.options};
    for (int i = 0; i < 4; i++) {
      if (all[i] < line || all[i] + strlen(all[i]) > line + size) {
        abort();
      }
    }
    if (!*fields.target || !*fields.type) {
      abort();
    }
  }
  free(line);
  return 0;
}
