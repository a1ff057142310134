/* fuzz-safemount-path: any path. The components of one that is taken are names,
 * none of them "." or "..", and nothing but slashes and dots is between them.
 */

#include "fuzz-safemount.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *path = strndup((const char *)data, size), *end, *last = path;

  if (!is_no_path(path)) {
    char *name = component(path, &end);
    while (*name) {
      CHECK(!memchr(name, '/', end - name) && end > name);
      CHECK(strncmp(name, "..", 2) != 0 || end - name != 2);
      CHECK(*name != '.' || end - name != 1);
      CHECK(strspn(last, "/.") >= (size_t)(name - last));
      last = end;
      name = component(end, &end);
    }
    CHECK(last[strspn(last, "/.")] == '\0');
  }
  free(path);
  return 0;
}
