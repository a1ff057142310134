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

/* How many ids from ID on are all in one range of MAP, which goes to *RANGE, or
 * all in none, and then that is NULL. */
static uint64_t run_of_ids(const struct map *map, enum column column,
                           uint64_t id, const struct range **range) {
  uint64_t length = end_of_ids - id;

  *range = NULL;
  for (int i = 0; i < map->length; i++) {
    uint64_t first = map->ranges[i].first[column];
    if (id >= first && id - first < map->ranges[i].count) {
      *range = &map->ranges[i];
      return first + map->ranges[i].count - id;
    }
    if (first > id && first - id < length) {
      length = first - id;
    }
  }
  return length;
}

bool translate(const struct map *map, enum column column, uint32_t id,
               uint32_t *other) {
  const struct range *range;

  run_of_ids(map, column, id, &range);
  if (range) {
    *other = range->first[!column] + (id - range->first[column]);
  }
  return range;
}

/* Adds a range of COUNT ids to MAP, if each id is free on both sides. Returns
 * NULL, or what is wrong. */
static const char *add_range(struct map *map, uint64_t inside, uint64_t outside,
                             uint64_t count) {
  const struct range *other;

  if (count == 0) {
    return "is a range of no ids";
  }
  if (inside + count > end_of_ids || outside + count > end_of_ids) {
    return "goes beyond the last id, 4294967294";
  }
  if (run_of_ids(map, INSIDE, inside, &other) < count || other ||
      run_of_ids(map, OUTSIDE, outside, &other) < count || other) {
    return "overlaps with another range";
  }
  if (map->length == MOST_RANGES) {
    return "is one range more than the kernel takes, 340";
  }
  map->ranges[map->length++] = (struct range){{inside, outside}, count};
  return NULL;
}

const char *add_numbers(struct map *map, const char *text, char separator) {
  uint64_t numbers[3];

  for (int i = 0; i < 3; i++) {
    text += separator == ' ' ? strspn(text, " ") : 0;
    text = read_digits(text, end_of_ids, &numbers[i]);
    if (!text || *text != (i < 2 ? separator : '\0')) {
      return "is not INSIDE:OUTSIDE:COUNT, nor a word that means ids";
    }
    text += i < 2;
  }
  return add_range(map, numbers[0], numbers[1], numbers[2]);
}

static uint64_t least(uint64_t one, uint64_t other) {
  return one < other ? one : other;
}

/* Adds those of COUNT ids from ID on that the present user namespace maps, and
 * the new map does not have yet, onto the lowest ones that are free inside.
 * Returns whether the present user namespace maps any. */
static bool add_mapped_or_exit(struct ids *ids, uint64_t id, uint64_t count) {
  uint64_t end = least(id + count, end_of_ids), inside = 0, part, room;
  const struct range *mapped, *used;
  bool any = false;

  for (; id < end; id += part) {
    part = least(end - id, run_of_ids(&ids->parent, INSIDE, id, &mapped));
    part = least(part, run_of_ids(&ids->map, OUTSIDE, id, &used));
    any |= mapped != NULL;
    if (mapped && !used) {
      while (room = run_of_ids(&ids->map, INSIDE, inside, &used), used) {
        inside += room;
      }
      part = least(part, room);
      const char *wrong = add_range(&ids->map, inside, id, part);
      refuse_if(wrong, numbered("the range of id ", id, "").text, wrong);
    }
  }
  return any;
}

/* ---- Maps as text ---- */

void print_map(const struct map *map, bool aligned, char text[MAP_SIZE]) {
  *text = '\0';
  for (int i = 0; i < map->length; i++) {
    const struct range *range = &map->ranges[i];
    const uint32_t columns[] = {range->first[INSIDE], range->first[OUTSIDE],
                                range->count};
    for (int column = 0; column < 3; column++) {
      struct numbered number = numbered("", columns[column], "");
      size_t spaces = aligned ? 10 - strlen(number.text) : 0;
      text = mempcpy(text, "          ", spaces);
      text = stpcpy(stpcpy(text, number.text), column < 2 ? " " : "\n");
    }
  }
}

/* Reads the map NAME, such as "self/uid_map", of the kernel. */
static void read_map_or_exit(int proc, const char *name, struct map *map) {
  struct reader file = open_proc_file(proc, name);
  char line[LINE_SIZE];

  or_exit(file.fd, "open", name);
  map->length = 0;
  while (next_line_or_exit(&file, line)) {
    refuse_if(add_numbers(map, line, ' '), name,
              "has a line that is no range of ids");
  }
}

void write_map_or_exit(int proc, const char *name, const struct map *map) {
  char text[MAP_SIZE];

  print_map(map, false, text);
  write_file_or_exit(proc, name, text);
}

void verify_map_or_exit(int proc, const char *name, const struct map *map) {
  const struct range *range;
  struct map seen;

  read_map_or_exit(proc, name, &seen);
  bool is_same = seen.length == map->length;
  for (int i = 0; is_same && i < map->length; i++) {
    run_of_ids(&seen, INSIDE, map->ranges[i].first[INSIDE], &range);
    is_same = range && !memcmp(range, &map->ranges[i], sizeof(*range));
  }
  refuse_if(!is_same, name, "is not the map that was written");
}

/* ---- Delegated ids ---- */

static const char *file_of(const struct ids *ids) {
  return ids->gids ? "/etc/subgid" : "/etc/subuid";
}

/* Opens a file of /etc; it is as empty as if it did not exist. */
static struct reader open_accounts_or_exit(const char *name) {
  struct reader file = {.fd = open(name, O_RDONLY | O_CLOEXEC)};

  or_exit(errno == ENOENT ? 0 : file.fd, "open", name);
  return file;
}

/* Reads the next line of three FIELDS, with colons between. Behind them may be
 * more, *REST. Other lines are passed over, and those that do not fit. */
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
static bool add_delegated_or_exit(struct ids *ids) {
  struct reader file = open_accounts_or_exit(file_of(ids));
  char name[256], line[1024], *fields[3], *rest;
  uint64_t first, count, owner;
  bool any = false;

  find_user_or_exit(ids->uid, name);
  while (next_fields_or_exit(&file, line, fields, &rest)) {
    bool is_ours = read_number(fields[0], end_of_ids, &owner)
                       ? owner == ids->uid
                       : *name && strcmp(fields[0], name) == 0;
    if (!rest && is_ours && read_number(fields[1], end_of_ids, &first) &&
        read_number(fields[2], end_of_ids, &count) && count > 0) {

      /* A delegated 0 would be root outside, which no one means. */

      bool is_root = first == 0;
      any |= add_mapped_or_exit(ids, first + is_root, count - is_root);
    }
  }
  return any;
}

/* ---- A map for the caller ---- */

void identify_or_exit(int proc, bool gids, struct ids *ids) {
  uint32_t outside, real, saved;

  /* Not geteuid(2), which has no way to tell that it failed: a filter that
   * refuses it makes root a user who has 2^32 - 1 for an id. */

  ids->gids = gids;
  or_exit(getresuid(&real, &ids->uid, &saved), "getresuid", "");
  or_exit(getresgid(&real, &ids->id, &saved), "getresgid", "");
  ids->id = gids ? ids->id : ids->uid;
  read_map_or_exit(proc, gids ? "self/gid_map" : "self/uid_map", &ids->parent);

  /* The kernel shows an id that is not mapped here as 65534, which can be
   * mapped as another user's. */

  refuse_if(!translate(&ids->parent, INSIDE, ids->id, &outside),
            gids ? "our own group id" : "our own user id",
            "is not mapped in this user namespace");
}

/* "sub" takes what is free when the other words are done: so it is not added,
 * but *SUB is set. */
static const char *add_word(struct ids *ids, const char *word, bool *sub) {
  const struct range *range = ids->parent.ranges;
  const char *wrong = NULL;

  if (strcmp(word, "root") == 0) {
    return add_range(&ids->map, 0, ids->id, 1);
  }
  if (strcmp(word, "self") == 0) {
    return add_range(&ids->map, ids->id, ids->id, 1);
  }
  if (strcmp(word, "sub") == 0) {
    *sub = true;
    return NULL;
  }
  if (strcmp(word, "all") != 0) {
    return add_numbers(&ids->map, word, ':');
  }
  for (; range < ids->parent.ranges + ids->parent.length && !wrong; range++) {
    wrong = add_range(&ids->map, range->first[INSIDE], range->first[INSIDE],
                      range->count);
  }
  return wrong;
}

static void add_default_or_exit(struct ids *ids) {
  if (ids->uid != 0) {
    add_range(&ids->map, 0, ids->id, 1);
    add_delegated_or_exit(ids);
    return;
  }

  /* Inside a container the block is not mapped. There, the ids from 1 on are
   * taken, so the inner root is not the outer one, if there are any others. */

  if (!add_delegated_or_exit(ids) &&
      !add_mapped_or_exit(ids, block_first, block_count) &&
      !add_mapped_or_exit(ids, 1, end_of_ids - 1)) {
    add_range(&ids->map, 0, 0, 1);
  }
}

void make_map_or_exit(char *text, struct ids *ids) {
  const struct range *range, *outer;
  char printed[MAP_SIZE], *word;
  bool sub = false;

  if (!text) {
    add_default_or_exit(ids);
  }
  while (text && (word = strsep(&text, ","))) {
    const char *wrong = add_word(ids, word, &sub);
    usage_error_if(wrong, word, wrong);
  }
  refuse_if(sub && !add_delegated_or_exit(ids), file_of(ids),
            numbered("delegates no ids: root can add the line ", ids->uid,
                     ":100000:65536")
                .text);

  /* The kernel takes a range only if one range of the parent has all of it, and
   * says so only when the namespace is there. */

  for (range = ids->map.ranges; range < ids->map.ranges + ids->map.length;
       range++) {
    uint32_t first = range->first[OUTSIDE];
    uint64_t length = run_of_ids(&ids->parent, INSIDE, first, &outer);
    refuse_if(!outer || length < range->count,
              numbered("the range of id ", first, "").text,
              "is not in one range of what is mapped here");
  }
  print_map(&ids->map, false, printed);
  usage_error_if(strlen(printed) >= MOST_MAP, "the map",
                 "is longer than the kernel reads, 4095 bytes");
}
