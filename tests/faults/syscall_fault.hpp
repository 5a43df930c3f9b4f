// System calls that fail on request: the n-th call of one function fails once, in all processes that share the plan.
// Linked into a test, or preloaded into a program: then the plan is the file that $SHMETRICS_FAULT_PLAN names.
#pragma once

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <vector>

namespace shmetrics::tests {

struct FaultPlan {
  char function[16];
  std::uint64_t nth;  // from 1
  int error;
  std::atomic<std::uint64_t> calls;
  std::atomic<std::uint64_t> hits;

  void begin(const char* name, std::uint64_t n, int error_number) {
    std::strncpy(function, name, sizeof function - 1);
    nth = n;
    error = error_number;
    calls = 0;
    hits = 0;
  }
};

/// Of this process and its children from now on; null: none.
void use_plan(FaultPlan* plan);
/// Lets this process's clocks jump ahead.
void skip_time(int seconds);

struct Fault {
  const char* function;
  std::vector<int> errors;
};
/// What client and exporter use, and what each can say.
inline const Fault kFaults[] = {
    {"open", {EMFILE, ENOMEM, EACCES}},
    {"fallocate", {ENOSPC, EINTR, EOPNOTSUPP}},
    {"ftruncate", {EIO}},
    {"mmap", {ENOMEM, EAGAIN}},
    {"mprotect", {ENOMEM}},
    {"madvise", {EFAULT, ENOMEM, EINVAL, EINTR}},
    {"fcntl", {EAGAIN, ENOLCK}},
    {"fstat", {EIO}},
    {"stat", {EIO, EACCES}},
    {"fstatfs", {EIO}},
    {"linkat", {EEXIST, ENOENT, ENOSPC}},
    {"rename", {EACCES}},
    {"unlink", {EACCES}},
    {"pread", {EIO, EINTR}},
    {"read", {EIO}},
    {"lseek", {EINVAL, ENXIO}},
    {"fchmod", {EPERM}},
    {"getrandom", {ENOSYS}},
};

}  // namespace shmetrics::tests
