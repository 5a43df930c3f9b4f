// What happens at a failpoint (shm/failpoint.hpp), in the test build: nothing, until a test asks for more.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "shm/failpoint.hpp"

namespace shmetrics::tests {

inline constexpr std::string_view kFailpointNames[] = {
#define SHMETRICS_NAME(name) #name,
    SHMETRICS_EACH_FAILPOINT(SHMETRICS_NAME)
#undef SHMETRICS_NAME
};
inline constexpr std::size_t kFailpoints = std::size(kFailpointNames);

/// How often each was passed.
using Passes = std::array<std::atomic<std::uint64_t>, kFailpoints>;

enum class Strike {
  kKill,  // kill -9
  kStop,  // SIGSTOP, the whole process
  kHold,  // the thread alone, until let_go()
};

struct Failure {
  std::size_t point = kFailpoints;  // none
  std::uint64_t pass = 1;           // strikes at the n-th
  Strike strike = Strike::kKill;
  bool dies_if_lost = false;  // kill -9 behind a lost swap too: it takes another worker, so it is no step of a day
};

/// Counts this process's passes in `passes` from now on, and strikes once.
void arm(Passes& passes, const Failure& failure);
/// Whether a thread was held.
bool holds();
/// For good: nobody is held later either.
void let_go();

}  // namespace shmetrics::tests
