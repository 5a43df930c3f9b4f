// Preloaded into an exporter: while the file that $SLOW_WHILE names is there, opening a segment takes a minute, and
// makes that file's neighbour `asleep` first.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int open(const char* path, int flags, ...) {
  static int (*next)(const char*, int, ...);
  if (next == NULL) next = (int (*)(const char*, int, ...))dlsym(RTLD_NEXT, "open");
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  const char* marker = getenv("SLOW_WHILE");
  if (marker != NULL && strstr(path, ".seg") != NULL && access(marker, F_OK) == 0) {
    char asleep[4096];
    snprintf(asleep, sizeof asleep, "%s.asleep", marker);
    close(next(asleep, O_CREAT | O_WRONLY, 0600));
    sleep(60);
  }
  return next(path, flags, mode);
}
