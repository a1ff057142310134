/* witness: print what a program sees of the step that ran it.
 *
 *   witness KNOWN [ARG]...   (ARG with the mode of the file of that name)
 *
 * What the steps change of a process is printed, and nothing that differs from
 * one run to the next: if two runs of a step print the same, both were whole.
 * KNOWN is a list of namespaces such as "mnt:[4026531841]"; one that is not in
 * it is "new". A procfs is mounted on /proc if nothing is there.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Prints the lines of FILE that begin with START. */
static void print_lines(const char *path, const char *start) {
  char line[4096];
  FILE *file = fopen(path, "r");

  while (file && fgets(line, sizeof(line), file)) {
    if (strncmp(line, start, strlen(start)) == 0) {
      fputs(line, stdout);
    }
  }
  if (file) {
    fclose(file);
  }
}

/* Where each mount is, its flags, and how it is shared, but not with whom. */
static void print_mounts(void) {
  char line[4096], root[4096], point[4096], flags[256];
  FILE *file = fopen("/proc/self/mountinfo", "r");

  while (file && fgets(line, sizeof(line), file)) {
    sscanf(line, "%*s %*s %*s %4095s %4095s %255s", root, point, flags);
    printf("%s on %s %s%s%s\n", root, point, flags,
           strstr(line, " shared:") ? " shared" : "",
           strstr(line, " master:") ? " slave" : "");
  }
  if (file) {
    fclose(file);
  }
}

static void print_namespaces(const char *known) {
  const char *const names[] = {"cgroup", "ipc",  "mnt",  "net",
                               "pid",    "time", "user", "uts"};
  char path[32], link[64];

  for (int i = 0; i < 8; i++) {
    snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
    memset(link, 0, sizeof(link));
    readlink(path, link, sizeof(link) - 1);
    printf("%s %s\n", names[i], strstr(known, link) ? link : "new");
  }
}

static void print_ids(void) {
  uid_t uid[3];
  gid_t gid[3], groups[64];

  getresuid(uid, uid + 1, uid + 2);
  getresgid(gid, gid + 1, gid + 2);
  printf("ids %u %u %u %u %u %u groups", uid[0], uid[1], uid[2], gid[0], gid[1],
         gid[2]);
  int count = getgroups(64, groups);
  for (int i = 0; i < count; i++) {
    printf(" %u", groups[i]);
  }
  puts("");
  print_lines("/proc/self/uid_map", "");
  print_lines("/proc/self/gid_map", "");
  print_lines("/proc/self/setgroups", "");
}

/* What a program inherits: descriptors, signals, keys, limits. */
static void print_process(void) {
  struct rlimit files;
  struct stat st;
  mode_t mask = umask(0);
  int signal = 0, exe = open("/proc/self/exe", O_RDONLY);

  printf("seals %d\n", fcntl(exe, F_GET_SEALS));
  close(exe);
  for (int fd = 0; fd < 1024; fd++) {
    if (fstat(fd, &st) == 0) {
      printf("descriptor %d%s\n", fd, S_ISDIR(st.st_mode) ? " directory" : "");
    }
  }
  const char *const sets[] = {"SigIgn", "SigBlk", "CapInh",
                              "CapEff", "CapAmb", "NoNewPrivs"};
  for (int i = 0; i < 6; i++) {
    print_lines("/proc/self/status", sets[i]);
  }
  prctl(PR_GET_PDEATHSIG, &signal);
  getrlimit(RLIMIT_NOFILE, &files);
  long key = syscall(SYS_keyctl, 10, -3, "user", "sweep", 0); /* search @s */
  printf("death signal %d, umask %o, %ld files, %s key, %s of a session\n",
         signal, mask, (long)files.rlim_cur, key < 0 ? "no" : "the",
         getsid(0) == getpid() ? "leader" : "member");
}

int main(int argc, char **argv) {
  char name[65] = "", cwd[4096] = "";
  struct ifreq lo = {.ifr_name = "lo"};
  struct stat st;

  if (access("/proc/self", F_OK)) {
    mount("proc", "/proc", "proc", 0, NULL);
  }
  for (int i = 2; i < argc; i++) {
    mode_t mode = lstat(argv[i], &st) ? 0 : st.st_mode;
    printf("[%s] %o\n", argv[i], mode);
  }
  gethostname(name, sizeof(name) - 1);
  getcwd(cwd, sizeof(cwd));
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ioctl(fd, SIOCGIFFLAGS, &lo);
  close(fd);
  printf("%s in %s on %s, lo %s\n", argv[0], cwd, name,
         lo.ifr_flags & IFF_UP ? "up" : "down");
  printf("%s\n", getpid() == 1 ? "PID 1" : "another PID");
  printf("secret: %s\n", getenv("SECRET") ? getenv("SECRET") : "none");
  print_namespaces(argc > 1 ? argv[1] : "");
  print_ids();
  print_process();
  print_mounts();
  return 7;
}
