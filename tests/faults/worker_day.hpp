// A day of a worker: it opens, declares, registers, counts, observes, sets gauges, runs out of its slot and of slots at
// all, and ends. So it comes past every failpoint of its way, and writes down what it has done for sure.
#pragma once

#include <shmetrics/shmetrics.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>

#include "tests/faults/failpoint_action.hpp"
#include "tests/shared_memory.hpp"

namespace shmetrics::tests {

/// The families of a day, each of which counts by ones.
enum Kind : std::size_t { kHits, kCost, kDuration, kWide, kBalance, kKinds };

/// What outlives a killed worker: acknowledged after each update, so never ahead of it.
struct Ledger {
  std::atomic<std::uint64_t> acknowledged[kKinds];
  std::atomic<int> lowest_set, highest_set, newest_set;  // 0: none yet
  std::atomic<bool> is_complete;                         // the day ended, and everything was open to it
  Passes passes;
  std::atomic<std::int64_t> longest_open_ns, longest_declaration_ns, longest_with_ns, longest_update_ns;
};

/// Slots for two threads of the three; cells for seven days, each of which needs more than a growth step.
inline Options day_options(const std::string& path) {
  Options options;
  options.path = path;
  options.workers = 4;
  options.slots = 2;
  options.cells = 16384;
  options.directory_bytes = 1u << 16;
  return options;
}

/// `number` from 1 names the label sets that this day registers, and its gauges' values.
void spend_day(const Options& options, int number, Ledger& ledger);

}  // namespace shmetrics::tests
