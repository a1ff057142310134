/* A path as it is walked: an l is a link, all else a directory. What is left at
 * the end has neither a link nor "..", and never grew beyond PATH_MAX. */

#include "../safemount/walk.h"
#include <stdlib.h>

ABOUT("fuzz", "\n");

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static char path[PATH_MAX];
  char *input = malloc(size + 2), *name = path;
  size_t length;
  int links = 0;

  memcpy(input, data, size);
  input[size] = input[size + 1] = '\0';
  const char *text = input + strlen(input) + 1;

  is_root(input);
  has_dot_dot(input);
  if (strlen(input) < PATH_MAX && *text) {
    strcpy(path, input);
    while (*(name = component(name, &length))) {
      if (is_dot_dot(name, length)) {
        cut_dot_dot(path, name);
        name = path;
      } else if (*name == 'l') {
        if (++links > MOST_LINKS || !put_link(path, name, length, text)) {
          break;
        }
        name = path;
      } else {
        name += length;
      }
    }
    if (strlen(path) >= PATH_MAX || (!*name && has_dot_dot(path))) {
      abort();
    }
  }
  free(input);
  return 0;
}
