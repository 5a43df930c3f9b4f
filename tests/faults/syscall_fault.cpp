#include "tests/faults/syscall_fault.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

namespace shmetrics::tests {
namespace {

constinit FaultPlan* current = nullptr;
constinit int seconds_ahead = 0;

bool fails(const char* function) {
  if (current == nullptr || std::strcmp(current->function, function) != 0) return false;
  if (current->calls.fetch_add(1) + 1 != current->nth) return false;
  current->hits.fetch_add(1);
  errno = current->error;
  return true;
}

template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

// By raw system calls: the functions are those of this file here.
[[gnu::constructor]] void read_plan() {
  const char* path = getenv("SHMETRICS_FAULT_PLAN");
  if (path == nullptr) return;
  const long fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
  const long at = syscall(SYS_mmap, nullptr, sizeof(FaultPlan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  syscall(SYS_close, fd);
  if (at > 0) current = reinterpret_cast<FaultPlan*>(at);
}

}  // namespace

void use_plan(FaultPlan* plan) {
  current = plan;
}

void skip_time(int seconds) {
  seconds_ahead += seconds;
}

}  // namespace shmetrics::tests

// The libc's functions, each of which asks the plan first.
#define SHMETRICS_FAULTY(result, name, parameters, arguments)                   \
  __attribute__((visibility("default"))) result name parameters {               \
    if (shmetrics::tests::fails(#name)) return (result)(-1);                    \
    static auto* const real = shmetrics::tests::next<result parameters>(#name); \
    return real arguments;                                                      \
  }

extern "C" {
SHMETRICS_FAULTY(int, fallocate, (int fd, int mode, off_t offset, off_t bytes), (fd, mode, offset, bytes))
SHMETRICS_FAULTY(int, ftruncate, (int fd, off_t bytes) noexcept, (fd, bytes))
SHMETRICS_FAULTY(void*, mmap, (void* at, size_t bytes, int access, int flags, int fd, off_t offset) noexcept,
                 (at, bytes, access, flags, fd, offset))
SHMETRICS_FAULTY(int, mprotect, (void* at, size_t bytes, int access) noexcept, (at, bytes, access))
SHMETRICS_FAULTY(int, madvise, (void* at, size_t bytes, int advice) noexcept, (at, bytes, advice))
SHMETRICS_FAULTY(int, fstat, (int fd, struct stat* status) noexcept, (fd, status))
SHMETRICS_FAULTY(int, stat, (const char* path, struct stat* status) noexcept, (path, status))
SHMETRICS_FAULTY(int, fstatfs, (int fd, struct statfs* status) noexcept, (fd, status))
SHMETRICS_FAULTY(int, linkat, (int from, const char* old, int to, const char* path, int flags) noexcept,
                 (from, old, to, path, flags))
SHMETRICS_FAULTY(int, rename, (const char* old, const char* path) noexcept, (old, path))
SHMETRICS_FAULTY(int, unlink, (const char* path) noexcept, (path))
SHMETRICS_FAULTY(ssize_t, pread, (int fd, void* to, size_t bytes, off_t offset), (fd, to, bytes, offset))
SHMETRICS_FAULTY(ssize_t, read, (int fd, void* to, size_t bytes), (fd, to, bytes))
SHMETRICS_FAULTY(off_t, lseek, (int fd, off_t offset, int whence) noexcept, (fd, offset, whence))
SHMETRICS_FAULTY(int, fchmod, (int fd, mode_t mode) noexcept, (fd, mode))
SHMETRICS_FAULTY(ssize_t, getrandom, (void* to, size_t bytes, unsigned flags), (to, bytes, flags))

__attribute__((visibility("default"))) int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  if (shmetrics::tests::fails("open")) return -1;
  static auto* const real = shmetrics::tests::next<int(const char*, int, ...)>("open");
  return real(path, flags, mode);
}

__attribute__((visibility("default"))) int fcntl(int fd, int command, ...) {
  va_list rest;
  va_start(rest, command);
  void* const argument = va_arg(rest, void*);
  va_end(rest);
  if (shmetrics::tests::fails("fcntl")) return -1;
  static auto* const real = shmetrics::tests::next<int(int, int, ...)>("fcntl");
  return real(fd, command, argument);
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, timespec* now) noexcept {
  static auto* const real = shmetrics::tests::next<int(clockid_t, timespec*)>("clock_gettime");
  const int result = real(clock, now);
  now->tv_sec += shmetrics::tests::seconds_ahead;
  return result;
}
}
