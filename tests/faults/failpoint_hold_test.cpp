// One thread stands still at a failpoint, mostly with the control lock: the other threads of its process and a child
// forked meanwhile wait no longer than stated and count right, and it ends its day when it is let go.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tests/faults/shift.hpp"
#include "tests/forked.hpp"

namespace shmetrics::tests {
namespace {

constexpr auto kLongestFork = std::chrono::milliseconds(200) * 50;

// What the process of the held thread does; the code that it ends with.
enum Outcome { kHeld = 0, kNeverCame, kForkTookLong, kChildFailed };

int hold_and_work(const Shift& shift, const Failure& failure, Ledger& held, Ledger& beside, Ledger& child) {
  arm(held.passes, failure);
  std::atomic<bool> is_done{false};
  std::thread thread([&] {
    spend_day(shift.options(), shift.days() - 2, held);
    is_done = true;
  });
  while (!holds() && !is_done) usleep(100);
  int outcome = is_done && !holds() ? kNeverCame : kHeld;
  if (outcome == kHeld) {
    spend_day(shift.options(), shift.days() - 1, beside);
    const auto start = std::chrono::steady_clock::now();
    const pid_t pid = forked([&] {
      spend_day(shift.options(), shift.days(), child);
      return 0;
    });
    if (std::chrono::steady_clock::now() - start > kLongestFork) outcome = kForkTookLong;
    if (wait_for(pid) != 0) outcome = kChildFailed;
  }
  let_go();
  thread.join();
  return outcome;
}

// SHMETRICS_HOLDS_STRIDE: every n-th alone; each takes a second of deadlines.
TEST(FailpointHoldTest, AHeldThreadKeepsItsProcessAndItsChildrenNoLongerThanStated) {
  int count = 0;
  Waits waits;
  for (std::size_t point = 0; point < kFailpoints; point += SHMETRICS_HOLDS_STRIDE) {
    const std::string_view name = kFailpointNames[point];
    const bool is_new = name.starts_with("create_") || name.starts_with("replace_");
    SCOPED_TRACE(name);
    Shift shift(is_new ? Ground::kEmptyFile : Ground::kKilledWorker);
    Ledger& held = shift.open_ledger();
    Ledger& beside = shift.open_ledger();
    Ledger& child = shift.open_ledger();
    const int outcome = wait_for(forked([&] {
      return hold_and_work(shift, {point, 1, Strike::kHold}, held, beside, child);
    }));
    if (outcome != kNeverCame) {  // release of the entry, for one, is not a thread's
      EXPECT_EQ(outcome, kHeld);
      ++count;
    }
    EXPECT_TRUE(held.is_complete);
    for (const Ledger* ledger : {&beside, &child}) {
      check_waits(*ledger);
      waits.note(*ledger);
    }
    shift.let_days_overlap();
    shift.check();
    shift.start_and_finish();
    shift.check();
    if (HasFailure()) return;
  }
  std::printf("%d holds; ", count);
  waits.print();
  EXPECT_GT(count, 3);
}

}  // namespace
}  // namespace shmetrics::tests
