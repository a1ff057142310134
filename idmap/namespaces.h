/* namespaces.h: the eight kinds of namespaces, by the names in /proc/PID/ns. */

#pragma once

#include "../pivot/proc.h"
#include <sched.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

enum { KINDS = 8 };

extern const struct kind {
  const char *name;
  int flag; /* of clone(2), unshare(2) and setns(2) */
} kinds[KINDS];

/* The flags of the names in LIST, which has commas between and is cut at these;
 * 0 if LIST is NULL. "all" means each kind that the kernel has. Exits with 64
 * for a word that is no name, and with 125 for a kind that the kernel does not
 * have. PROC is a checked /proc, or -1: then each kind is taken to exist. */
int read_namespaces_or_exit(char *list, int proc);

/* With -v, shows CALL with the names of the namespaces in FLAGS. */
void show_namespaces(const char *call, int flags);

/* Replaces the caller's session keyring, which no namespace keeps outside, by
 * an empty one, unless the kernel has no keys. PROC is a checked /proc. */
void leave_keyring_or_exit(int proc);
