/* map.c: maps of ids. map.h has the contract.
 *
 * /etc/passwd, /etc/subuid and /etc/subgid are read as files, without NSS: no
 * library is loaded, and what a network says about users changes nothing.
 */

#include "map.h"

/* Ids are uint32_t, and sums of them uint64_t: the end of a range can be 2^32.
 */
static const uint64_t end_of_ids = 4294967295;

/* The ids of root's containers, if nothing is delegated to root: a block that
 * no scheme of allocation uses (it is above systemd's container ranges, which
 * end at 1878982655, see UIDS-GIDS in its documentation). So no id inside is
 * that of a user outside, and files keep their owners from run to run. */
static const uint32_t block_first = 1879048192, block_count = 65536;

/* ---- Ranges ---- */

static bool overlaps(uint64_t a, uint64_t a_count, uint64_t b,
                     uint64_t b_count) {
  return a < b + b_count && b < a + a_count;
}

/* Returns NULL, or what is wrong. */
static const char *add_range(struct map *map, uint64_t inside, uint64_t outside,
                             uint64_t count) {
  if (count == 0) {
    return "is a range of no ids";
  }
  if (inside + count > end_of_ids || outside + count > end_of_ids) {
    return "goes beyond the last id, 4294967294";
  }
  for (int i = 0; i < map->length; i++) {
    const struct range *other = &map->ranges[i];
    if (overlaps(inside, count, other->inside, other->count) ||
        overlaps(outside, count, other->outside, other->count)) {
      return "overlaps with another range";
    }
  }
  if (map->length == MOST_RANGES) {
    return "is one range more than the kernel takes, 340";
  }
  map->ranges[map->length++] = (struct range){inside, outside, count};
  return NULL;
}

const char *add_word(struct map *map, const char *word) {
  uint64_t numbers[3];

  for (int i = 0; i < 3; i++) {
    word = read_digits(word, end_of_ids, &numbers[i]);
    if (!word || *word != (i < 2 ? ':' : '\0')) {
      return "is not INSIDE:OUTSIDE:COUNT, root, self, sub or all";
    }
    word += i < 2;
  }
  return add_range(map, numbers[0], numbers[1], numbers[2]);
}

bool map_outside(const struct map *map, uint32_t from, uint32_t *to) {
  for (int i = 0; i < map->length; i++) {
    const struct range *range = &map->ranges[i];
    if (from >= range->inside && from - range->inside < range->count) {
      *to = range->outside + (from - range->inside);
      return true;
    }
  }
  return false;
}

bool map_inside(const struct map *map, uint32_t from, uint32_t *to) {
  for (int i = 0; i < map->length; i++) {
    const struct range *range = &map->ranges[i];
    if (from >= range->outside && from - range->outside < range->count) {
      *to = range->inside + (from - range->outside);
      return true;
    }
  }
  return false;
}

/* The lowest id from *ID on that no range of MAP has in its column OUTSIDE, or
 * in the other, goes to *ID. Returns how many are free from there to END. */
static uint64_t find_free(const struct map *map, bool outside, uint64_t *id,
                          uint64_t end) {
  uint64_t stop = end;

  for (int i = 0; i < map->length; i++) {
    const struct range *used = &map->ranges[i];
    uint64_t first = outside ? used->outside : used->inside;
    if (*id >= first && *id < first + used->count) {
      *id = first + used->count;
      stop = end;
      i = -1;
    } else if (first > *id && first < stop) {
      stop = first;
    }
  }
  return *id < stop ? stop - *id : 0;
}

/* Adds the ids from OUTSIDE to END that MAP does not have yet, onto the lowest
 * ones that are free inside. */
static void add_to_free_or_exit(struct map *map, uint64_t outside,
                                uint64_t end) {
  uint64_t inside = 0, part;

  while ((part = find_free(map, true, &outside, end)) > 0) {
    uint64_t room = find_free(map, false, &inside, end_of_ids);
    const char *wrong =
        add_range(map, inside, outside, part < room ? part : room);
    refuse_if(wrong, numbered("the range of id ", outside, "").text, wrong);
  }
}

/* Adds those of COUNT ids from FIRST on which the present user namespace maps.
 * Returns whether there are any. */
static bool add_mapped(struct map *map, const struct caller *caller,
                       uint64_t first, uint64_t count) {
  bool any = false;

  for (int i = 0; i < caller->parent.length; i++) {
    const struct range *range = &caller->parent.ranges[i];
    uint64_t start = first > range->inside ? first : range->inside;
    uint64_t end = (uint64_t)range->inside + range->count;
    end = first + count < end ? first + count : end;
    if (start < end) {
      add_to_free_or_exit(map, start, end);
      any = true;
    }
  }
  return any;
}

/* ---- Delegated ids ---- */

/* Opens a file of /etc; it is as empty as if it did not exist. */
static struct reader open_accounts_or_exit(const char *name) {
  struct reader file = {.fd = open(name, O_RDONLY | O_CLOEXEC)};

  or_exit(errno == ENOENT ? 0 : file.fd, "open", name);
  return file;
}

/* Reads the next line of three fields and maybe more, *REST, with colons
 * between. Other lines are passed over, and those that do not fit. */
static bool next_fields_or_exit(struct reader *file, char line[1024],
                                char *fields[3], char **rest) {
  ssize_t length = file->fd;

  while (length >= 0 && (length = read_line(file, line, 1024)) >= 0) {
    bool is_text = length < 1024 && strlen(line) == (size_t)length;
    *rest = line;
    for (int i = 0; i < 3; i++) {
      fields[i] = strsep(rest, ":");
    }
    if (is_text && fields[2]) {
      return true;
    }
  }
  or_exit(file->fd >= 0 && errno ? -1 : 0, "read", "a file of /etc");
  return false;
}

/* The name of the user UID in /etc/passwd goes to NAME, "" if there is none. */
static void find_user_or_exit(uid_t uid, char name[256]) {
  struct reader file = open_accounts_or_exit("/etc/passwd");
  char line[1024], *fields[3], *rest;
  uint64_t id;

  name[0] = '\0';
  while (next_fields_or_exit(&file, line, fields, &rest)) {
    if (!*name && read_number(fields[2], end_of_ids, &id) && id == uid &&
        strlen(fields[0]) < 256) {
      strcpy(name, fields[0]);
    }
  }
}

/* Adds what is delegated to the user. Returns whether that is anything. */
static bool add_delegated(struct map *map, const struct caller *caller) {
  struct reader file =
      open_accounts_or_exit(caller->gids ? "/etc/subgid" : "/etc/subuid");
  char name[256], line[1024], *fields[3], *rest;
  uint64_t first, count, owner;
  bool any = false;

  find_user_or_exit(caller->uid, name);
  while (next_fields_or_exit(&file, line, fields, &rest)) {
    bool is_ours = read_number(fields[0], end_of_ids, &owner)
                       ? owner == caller->uid
                       : *name && strcmp(fields[0], name) == 0;
    if (rest || !is_ours || !read_number(fields[1], end_of_ids, &first) ||
        !read_number(fields[2], end_of_ids, &count) || count == 0) {
      continue;
    }

    /* A delegated 0 would be root outside, which no one means. */

    any |= add_mapped(map, caller, first + (first == 0), count - (first == 0));
  }
  return any;
}

static _Noreturn void fail_delegation(const struct caller *caller) {
  const char *file = caller->gids ? "/etc/subgid" : "/etc/subuid";

  warn(file, numbered("delegates no ids to user ", caller->uid, "").text);
  warn(file,
       numbered("root can add the line ", caller->uid, ":100000:65536").text);
  _exit(FAILED);
}

/* ---- A map for the caller ---- */

void identify_or_exit(int proc, bool gids, struct caller *caller) {
  uint32_t outside, real, saved;

  /* Not geteuid(2), which has no way to tell that it failed: a filter that
   * refuses it makes root a user who has 2^32 - 1 for an id. */

  caller->gids = gids;
  or_exit(getresuid(&real, &caller->uid, &saved), "getresuid", "");
  or_exit(getresgid(&real, &caller->id, &saved), "getresgid", "");
  caller->id = gids ? caller->id : caller->uid;
  read_map_or_exit(proc, gids ? "self/gid_map" : "self/uid_map",
                   &caller->parent);

  /* An id that is not mapped here is shown as 65534, which is another's. */

  refuse_if(!map_outside(&caller->parent, caller->id, &outside),
            gids ? "our own group id" : "our own user id",
            "is not mapped in this user namespace");
}

/* "sub" takes what is free when the other words are done: so it is not added,
 * but *SUB is set. */
static const char *add_any_word(struct map *map, const struct caller *caller,
                                const char *word, bool *sub) {
  const char *wrong = NULL;

  if (strcmp(word, "root") == 0) {
    return add_range(map, 0, caller->id, 1);
  }
  if (strcmp(word, "self") == 0) {
    return add_range(map, caller->id, caller->id, 1);
  }
  if (strcmp(word, "sub") == 0) {
    *sub = true;
    return NULL;
  }
  if (strcmp(word, "all") != 0) {
    return add_word(map, word);
  }
  for (int i = 0; i < caller->parent.length && !wrong; i++) {
    const struct range *range = &caller->parent.ranges[i];
    wrong = add_range(map, range->inside, range->inside, range->count);
  }
  return wrong;
}

static void add_default(struct map *map, const struct caller *caller) {
  if (caller->uid != 0) {
    add_range(map, 0, caller->id, 1);
    add_delegated(map, caller);
    return;
  }

  /* Inside a container the block is not mapped. There, the ids from 1 on are
   * taken, so the inner root is not the outer one, if there are any others. */

  if (!add_delegated(map, caller) &&
      !add_mapped(map, caller, block_first, block_count) &&
      !add_mapped(map, caller, 1, end_of_ids - 1)) {
    add_range(map, 0, 0, 1);
  }
}

/* The kernel takes a range only if one range of the parent has all of it, and
 * says so only when the namespace is there. */
static bool is_mapped(const struct map *parent, const struct range *range) {
  for (int i = 0; i < parent->length; i++) {
    const struct range *outer = &parent->ranges[i];
    if (range->outside >= outer->inside &&
        (uint64_t)range->outside + range->count <=
            (uint64_t)outer->inside + outer->count) {
      return true;
    }
  }
  return false;
}

void make_map_or_exit(char *text, const struct caller *caller,
                      struct map *map) {
  char printed[MAP_SIZE], *word;
  bool sub = false;

  map->length = 0;
  if (!text) {
    add_default(map, caller);
  }
  while (text && (word = strsep(&text, ","))) {
    const char *wrong = add_any_word(map, caller, word, &sub);
    usage_error_if(wrong, word, wrong);
  }
  if (sub && !add_delegated(map, caller)) {
    fail_delegation(caller);
  }
  for (int i = 0; i < map->length; i++) {
    const struct range *range = &map->ranges[i];
    refuse_if(!is_mapped(&caller->parent, range),
              numbered("the range of id ", range->outside, "").text,
              "is not in one range of what is mapped here");
  }
  print_map(map, false, printed);
  usage_error_if(strlen(printed) >= MOST_MAP, "the map",
                 "is longer than the kernel reads, 4095 bytes");
}

/* ---- Maps as text ---- */

void print_map(const struct map *map, bool aligned, char text[MAP_SIZE]) {
  *text = '\0';
  for (int i = 0; i < map->length; i++) {
    const struct range *range = &map->ranges[i];
    const uint32_t columns[] = {range->inside, range->outside, range->count};
    for (int column = 0; column < 3; column++) {
      struct numbered number = numbered("", columns[column], "");
      size_t spaces = aligned ? 10 - strlen(number.text) : 0;
      text = mempcpy(text, "          ", spaces);
      text = stpcpy(stpcpy(text, number.text), column < 2 ? " " : "\n");
    }
  }
}

void read_map_or_exit(int proc, const char *name, struct map *map) {
  struct reader file = open_proc_file(proc, name);
  char line[LINE_SIZE], *next;
  uint64_t numbers[3];

  or_exit(file.fd, "open", name);
  map->length = 0;
  while (next_line_or_exit(&file, line)) {
    next = line;
    for (int i = 0; i < 3 && next; i++) {
      next += strspn(next, " ");
      next = (char *)read_digits(next, end_of_ids, &numbers[i]);
    }
    refuse_if(!next || *next ||
                  add_range(map, numbers[0], numbers[1], numbers[2]),
              name, "has a line that is no range of ids");
  }
}

bool is_same_map(const struct map *one, const struct map *other) {
  for (int i = 0; i < one->length; i++) {
    int j = 0;
    while (j < other->length &&
           memcmp(&one->ranges[i], &other->ranges[j], sizeof(struct range))) {
      j++;
    }
    if (j == other->length) {
      return false;
    }
  }
  return one->length == other->length;
}
