/* step.c: what makes a program a step of a chain. step.h has the contract.
 *
 * Messages are strings and one write(2): printf(3) would be a third of each of
 * these programs.
 */

#include "step.h"
#include "calls.h"

const char *message_prefix = "";
bool show_pid;
static bool verbose;

/* ---- Messages ---- */

/* Writes PARTS, up to NULL, as one line and by one write(2), so that the lines
 * of two processes do not mix. The user who made a file chose its name: a
 * newline or an escape sequence in it must not look like a line of ours. */
static void write_line(const char **parts) {
  char line[3 * PATH_MAX];
  size_t length = 0;
  int saved = errno;

  for (; *parts; parts++) {
    for (const char *next = *parts; *next && length < sizeof(line) - 5;
         next++) {
      unsigned char byte = *next;
      if (byte < ' ' || byte == 0x7f) {
        line[length++] = '\\';
        line[length++] = '0' + (byte >> 6);
        line[length++] = '0' + (byte >> 3 & 7);
        byte = '0' + (byte & 7);
      }
      line[length++] = byte;
    }
  }
  line[length++] = '\n';
  fwrite(line, 1, length, stderr);
  errno = saved;
}

void warn(const char *object, const char *reason) {
  write_line(
      (const char *[]){tool, ": ", message_prefix, object, ": ", reason, NULL});
}

void refuse_if(bool is_so, const char *object, const char *reason) {
  if (is_so) {
    warn(object, reason);
    _exit(FAILED);
  }
}

void usage_error_if(bool is_so, const char *object, const char *reason) {
  if (is_so) {
    warn(object, reason);
    fwrite(usage, 1, strcspn(usage, "\n") + 1, stderr);
    _exit(USAGE);
  }
}

void warn_errno(const char *call, const char *object) {
  write_line((const char *[]){tool, ": ", message_prefix, call,
                              *object ? " " : "", object, ": ", strerror(errno),
                              NULL});
}

void print_or_exit(const char *text) {
  ssize_t length = strlen(text), n = write(1, text, length);

  or_exit(n == length ? 0 : -1, "write", "standard output");
}

int or_exit(int result, const char *call, const char *object) {
  if (result < 0) {
    fail(call, object);
  }
  return result;
}

/* ---- What -v shows ---- */

void show_call(const char *call, const char *arguments, const char **strings) {
  char spelt[256] = "", *rest = spelt, *argument;
  struct numbered pid = numbered("", show_pid ? getpid() : 0, " ");
  const char *parts[32] = {show_pid ? pid.text : "", "+ ", call, "("};
  const char **part = parts + 4;

  strncat(spelt, arguments, sizeof(spelt) - 1);
  while ((argument = strsep(&rest, ","))) {
    const char *string = *strings++, *quote = string ? "\"" : "";
    *part++ = quote;
    *part++ = string ? string : argument + strspn(argument, " ");
    *part++ = quote;
    *part++ = rest ? ", " : ")";
  }
  if (verbose) {
    write_line(parts);
  }
}

/* ---- The first lines of a step, its options, and its last line ---- */

void begin_or_exit(int argc) {
  int fd;

  /* A step acts on what its caller names, with all the rights that it has. If
   * it has rights that the caller lacks, the caller gains them. */

  refuse_if(getuid() != geteuid() || getgid() != getegid(), "setuid or setgid",
            "refuses to run with the rights of another user or group");
  refuse_if(argc < 1, "argv", "is empty");

  /* open(2) takes the lowest number that is free. If the caller closed 0, 1 or
   * 2, a descriptor of ours would be read and written in its place. This one
   * holds the number until exec closes it. As if it were closed, it can be
   * neither read nor written. */

  do {
    fd = or_exit(open("/", O_PATH | O_CLOEXEC), "open", "/");
  } while (fd <= 2);
  close(fd);
}

int option_or_exit(int argc, char **argv, const char *known,
                   const char *often) {
  static char given[64];
  const char *word = optind < argc ? argv[optind] : "";

  if (strcmp(word, "--help") == 0 || strcmp(word, "--version") == 0) {
    argv[optind] = word[2] == 'h' ? "-h" : "-V";
  }
  opterr = 0;
  int letter = getopt(argc, argv, known);
  char option[] = {'-', letter == '?' || letter == ':' ? optopt : letter, '\0'};

  usage_error_if(letter == ':', option, "needs an argument");
  usage_error_if(letter == '?', strncmp(word, "--", 2) == 0 ? word : option,
                 "is not an option");
  if (letter == 'h' || letter == 'V') {
    print_or_exit(letter == 'h' ? usage : tool);
    print_or_exit(letter == 'h' ? "" : " 2.0\n");
    _exit(0);
  }
  if (letter == 'v') {
    verbose = true;
    return option_or_exit(argc, argv, known, often);
  }
  if (letter >= 0 && strchr(known, letter)[1] == ':') {
    usage_error_if(strchr(given, letter) && !strchr(often, letter), option,
                   "is given twice");
    if (!strchr(given, letter)) {
      given[strlen(given)] = letter; /* each once: 64 are enough */
    }
  }
  return letter;
}

void execute(char **argv) {
  if (!*argv) {
    _exit(0);
  }
  SHOW(execvp, argv[0], argv);
  fail_exec("exec", argv[0]);
}

/* ---- Words ---- */

const char *read_digits(const char *text, uint64_t max, uint64_t *number) {
  const char *first = text;

  for (*number = 0; *text >= '0' && *text <= '9'; text++) {
    uint64_t digit = *text - '0', larger = *number * 10 + digit;
    if (*number > max / 10 || larger > max || larger < digit ||
        (text > first && *first == '0')) {
      return NULL;
    }
    *number = larger;
  }
  return text > first ? text : NULL;
}

bool read_number(const char *text, uint64_t max, uint64_t *number) {
  const char *end = read_digits(text, max, number);

  return end && !*end;
}

struct numbered numbered(const char *before, uint64_t n, const char *after) {
  struct numbered name = {""};
  char digits[21] = "", *first = digits + sizeof(digits) - 1;

  do {
    *--first = '0' + n % 10;
    n /= 10;
  } while (n > 0);
  strncat(name.text, before, sizeof(name.text) - 1);
  strncat(name.text, first, sizeof(name.text) - 1 - strlen(name.text));
  strncat(name.text, after, sizeof(name.text) - 1 - strlen(name.text));
  return name;
}

void unescape(char *text) {
  char *out = text;

  while (*text) {
    if (*text == '\\' && strspn(text + 1, "01234567") >= 3) {
      *out++ = (text[1] - '0') << 6 | (text[2] - '0') << 3 | (text[3] - '0');
      text += 4;
    } else {
      *out++ = *text++;
    }
  }
  *out = '\0';
}

/* ---- Descriptors that the caller left open ---- */

bool is_inherited(int fd) {
  int flags = fcntl(fd, F_GETFD);

  return flags == 0 || (flags < 0 && errno != EBADF);
}

int inherited_fd_or_exit(const char *word) {
  uint64_t fd;

  if (strncmp(word, "fd:", 3) != 0) {
    return -1;
  }
  usage_error_if(!read_number(word + 3, INT_MAX, &fd), word,
                 "is not the number of a descriptor");
  refuse_if(!is_inherited(fd), word, "is not open");
  return fd;
}

/* Reads a number or a range such as 5-7 at LIST, and the comma behind it.
 * Returns what follows, or NULL at the end of LIST. */
static const char *range_or_exit(const char *list, uint64_t *first,
                                 uint64_t *last) {
  const char *end = read_digits(list, INT_MAX, first);

  *last = *first;
  if (end && *end == '-') {
    end = read_digits(end + 1, INT_MAX, last);
  }
  usage_error_if(!end || (*end && *end != ',') || *last < *first, list,
                 "is not a list of descriptors, such as 3,5-7");
  return *end ? end + 1 : NULL;
}

void close_others_or_exit(const char *keep, const int *ours, int count) {
  const uint64_t end = (uint64_t)UINT_MAX + 1;
  uint64_t kept, next, first, last;

  /* By ranges and not one by one: ulimit -n can be lower than the number of a
   * descriptor that is open, so no limit says where the last one is. */

  for (uint64_t from = 3; from < end; from = next) {
    kept = next = end;
    for (const char *rest = keep; rest;) {
      rest = range_or_exit(rest, &first, &last);
      if (last >= from && first < kept) {
        kept = first;
        next = last + 1;
      }
    }
    for (int i = 0; i < count; i++) {
      const uint64_t fd = ours[i]; /* larger than any END if it is -1 */
      if (fd >= from && fd < kept) {
        kept = fd;
        next = fd + 1;
      }
    }
    if (kept > from) {
      struct numbered range = numbered("", from, "-");
      range = numbered(range.text, kept - 1, "");
      show_call("close_range", "range", (const char *[]){range.text});
      or_exit(close_range(from, kept - 1, 0), "close_range", range.text);
    }
  }
}
