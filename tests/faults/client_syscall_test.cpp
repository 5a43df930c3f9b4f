// Each system call of a worker fails once, at each of its calls, with each errno that it may have: no crash, no wrong
// total, and once it is over everything works, in the same process and in the next.
#include <gtest/gtest.h>

#include "tests/faults/each_fault.hpp"
#include "tests/faults/shift.hpp"
#include "tests/forked.hpp"

namespace shmetrics::tests {
namespace {

// A day with the fault, another in a child, and one in the same process when the fault is over.
int work(const Shift& shift, FaultPlan& plan, Ledger& first, Ledger& child, Ledger& after) {
  arm(first.passes, {});
  use_plan(&plan);
  spend_day(shift.options(), shift.days() - 2, first);
  const pid_t pid = forked([&] {
    spend_day(shift.options(), shift.days() - 1, child);
    return 0;
  });
  if (wait_for(pid) != 0) return 1;
  use_plan(nullptr);
  skip_time(2);  // what failed is not tried again for a second
  spend_day(shift.options(), shift.days(), after);
  return 0;
}

class ClientSyscallTest : public ::testing::TestWithParam<Ground> {
 protected:
  /// Whether there was such a call.
  bool fail(const char* function, std::uint64_t nth, int error) {
    Shift shift(GetParam());
    FaultPlan& plan = shared<FaultPlan>();
    plan.begin(function, nth, error);
    Ledger& first = shift.open_ledger();
    Ledger& child = shift.open_ledger();
    Ledger& after = shift.open_ledger();
    shift.let_days_overlap();
    EXPECT_EQ(wait_for(forked([&] { return work(shift, plan, first, child, after); })), 0);
    const bool was_hit = plan.hits > 0;
    munmap(&plan, sizeof plan);
    EXPECT_TRUE(was_hit || (first.is_complete && child.is_complete));
    EXPECT_TRUE(after.is_complete) << "the fault was over";
    shift.check();
    shift.start_and_finish();
    shift.check();
    return was_hit;
  }
};

// SHMETRICS_FAULT_STRIDE: every n-th call alone, but for the first ones.
TEST_P(ClientSyscallTest, NoSingleFailureLosesACountOrTakesTheWorkerDown) {
  const auto faults = each_fault(SHMETRICS_FAULT_STRIDE == 1 ? 0 : 6, SHMETRICS_FAULT_STRIDE,
                                 [&](auto... fault) { return fail(fault...); });
  for (const char* const name : {"fcntl", "fstat", "fstatfs", "madvise", "mmap", "mprotect", "open", "pread", "read"}) {
    EXPECT_TRUE(faults.contains(name)) << name << " is not interposed any more";
  }
}

INSTANTIATE_TEST_SUITE_P(On, ClientSyscallTest, ::testing::ValuesIn(kGrounds),
                         [](const auto& ground) { return name_of(ground.param); });

}  // namespace
}  // namespace shmetrics::tests
