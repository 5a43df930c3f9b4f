// Walks through all faults of a program, for the tests of system calls that fail.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <map>
#include <string>

#include "tests/faults/syscall_fault.hpp"

namespace shmetrics::tests {

/// Lets each call fail, by each error; after the first `whole` calls every `stride`th one. `fail` takes function, call
/// and error, and says whether there was such a call. Returns the faults of each function; stops at a failed test.
template <typename Fail>
std::map<std::string, int> each_fault(std::uint64_t whole, std::uint64_t stride, Fail fail) {
  std::map<std::string, int> faults;
  for (const Fault& fault : kFaults) {
    for (const int error : fault.errors) {
      for (std::uint64_t nth = 1;; nth += nth < whole ? 1 : stride) {
        SCOPED_TRACE(std::string(fault.function) + " " + std::to_string(nth) + ": " + std::strerror(error));
        const bool was_hit = fail(fault.function, nth, error);
        if (::testing::Test::HasFailure()) return faults;
        if (!was_hit) break;
        ++faults[fault.function];
      }
    }
  }
  for (const auto& [function, count] : faults) std::printf("%s %d, ", function.c_str(), count);
  std::puts("faults");
  return faults;
}

}  // namespace shmetrics::tests
