// Killed twice: the worker that repairs what another left is killed itself, at every pair of failpoints on the way.
#include <gtest/gtest.h>

#include "tests/faults/shift.hpp"

namespace shmetrics::tests {
namespace {

// A day on a segment with a killed worker passes all of creation's repairs and then these; each pair costs three days.
// SHMETRICS_PAIRS_STRIDE: every n-th pair alone.
bool is_repair(std::size_t point) {
  const std::string_view name = kFailpointNames[point];
  return name.starts_with("append_") || name.starts_with("claim_") || name.starts_with("grow_") ||
         name.starts_with("replace_");
}

TEST(FailpointPairTest, TwoKilledWorkersInARowLeaveNothingThatHurtsTheThird) {
  std::size_t pairs = 0, tried = 0;
  int kills = 0;
  for (std::size_t first = 0; first < kFailpoints; ++first) {
    for (std::size_t second = 0; second < kFailpoints; ++second) {
      if (!is_repair(first) || !is_repair(second)) continue;
      if (pairs++ % SHMETRICS_PAIRS_STRIDE != 0 && first != second) continue;
      const bool replaces = kFailpointNames[first].starts_with("replace_");
      SCOPED_TRACE(std::string(kFailpointNames[first]) + ", then " + std::string(kFailpointNames[second]));
      Shift shift(replaces ? Ground::kEmptyFile : Ground::kKilledWorker);
      kills += shift.start_and_lose({first, 1, Strike::kKill}) ? 1 : 0;
      // The second of a pair may not come by any more: then its day is whole.
      kills += shift.start_and_lose({second, 1, Strike::kKill}) ? 1 : 0;
      shift.check();
      shift.start_and_finish();
      shift.check();
      shift.check_folder();
      ++tried;
      if (HasFailure()) return;
    }
  }
  std::printf("%zu of %zu pairs, %d kills\n", tried, pairs, kills);
  EXPECT_GE(kills, static_cast<int>(tried));
}

}  // namespace
}  // namespace shmetrics::tests
