// Updates that make no system call and allocate nothing. Link allocations.cpp into the test.
#pragma once

#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "tests/allocations.hpp"
#include "tests/forked.hpp"

namespace shmetrics::tests {

inline constexpr int kNoSeccomp = 77;

/// 2,001 updates in a child, where a system call is SIGKILL after half of them. 0: all was well; 1: it allocated.
template <typename Update>
int outcome_of_quiet(Update update) {
  return wait_for(forked([&] {
    update();
    const std::uint64_t before = allocations();
    for (int i = 0; i < 1000; ++i) update();
    if (allocations() != before) return 1;
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0) return kNoSeccomp;
    for (int i = 0; i < 1000; ++i) update();
    syscall(SYS_exit, 0);  // the only call that is left, but for read, write and sigreturn
    return 2;
  }));
}

}  // namespace shmetrics::tests
