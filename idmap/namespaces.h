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

/* The flags of the names in LIST, with commas, which is cut at these. "all"
 * leaves out those that the kernel does not have; a name that it does not have
 * is an error. PROC is a checked /proc, or -1: then all are taken to exist. */
int read_namespaces_or_exit(char *list, int proc);

/* Shows, for -v, a CALL whose argument is FLAGS. */
void show_namespaces(const char *call, int flags);

/* Replaces the session keyring, which no namespace keeps outside, by an empty
 * one. PROC is a checked /proc. */
void leave_keyring_or_exit(int proc);
