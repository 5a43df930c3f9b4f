// Preloaded into a program: $PAGE_BYTES is the size of this machine's memory pages.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

long sysconf(int name) {
  static long (*next)(int);
  if (next == NULL) next = (long (*)(int))dlsym(RTLD_NEXT, "sysconf");
  return name == _SC_PAGESIZE ? atol(getenv("PAGE_BYTES")) : next(name);
}
