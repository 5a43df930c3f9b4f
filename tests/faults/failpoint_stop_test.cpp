// A worker that stands still at a failpoint, with whatever locks it has there: nobody waits for it longer than stated,
// what others count is right, and when it goes on, or is killed after all, so is everything else.
#include <gtest/gtest.h>

#include "tests/faults/shift.hpp"
#include "tests/forked.hpp"

namespace shmetrics::tests {
namespace {

class FailpointStopTest : public ::testing::TestWithParam<Ground> {
 protected:
  /// One stopped worker, another that spends its day meanwhile, and the end of the first.
  void stop_at(const Failure& failure, bool kills) {
    Shift shift(GetParam());
    const pid_t stopped = shift.start(failure);
    const int number = shift.days();
    int status = 0;
    ASSERT_EQ(waitpid(stopped, &status, WUNTRACED), stopped);
    if (WIFEXITED(status)) return;  // it has no such pass on this ground
    ASSERT_TRUE(WIFSTOPPED(status));
    ++stops_;
    shift.let_days_overlap();

    EXPECT_EQ(wait_for(shift.start()), 0);
    check_waits(shift.ledger());
    waits_.note(shift.ledger());
    shift.check(1, 1);

    if (kills) {
      EXPECT_EQ(kill_and_wait(stopped), -SIGKILL);
      shift.note_kill();
    } else {
      kill(stopped, SIGCONT);
      EXPECT_EQ(wait_for(stopped), 0);
      EXPECT_TRUE(shift.ledger(number).is_complete);
    }
    shift.check();
    shift.start_and_finish();
    shift.check();
    shift.check_folder();
  }

  int stops_ = 0;
  Waits waits_;
};

TEST_P(FailpointStopTest, AStoppedWorkerKeepsNobodyWaiting) {
  for (std::size_t point = 0; point < kFailpoints; ++point) {
    SCOPED_TRACE(kFailpointNames[point]);
    ASSERT_NO_FATAL_FAILURE(stop_at({point, 1, Strike::kStop}, false));
    ASSERT_NO_FATAL_FAILURE(stop_at({point, 1, Strike::kStop}, true));
    if (kFailpointNames[point].starts_with("append_")) {  // the twentieth record is a series
      ASSERT_NO_FATAL_FAILURE(stop_at({point, 20, Strike::kStop}, false));
      ASSERT_NO_FATAL_FAILURE(stop_at({point, 20, Strike::kStop}, true));
    }
    if (HasFailure()) return;
  }
  std::printf("%d stops; ", stops_);
  waits_.print();
  EXPECT_GT(stops_, static_cast<int>(kFailpoints)) << "each point twice, where this ground comes there";
}

TEST_P(FailpointStopTest, AStoppedAppendLosesItsSwapAndGoesOnOrIsKilledBehindIt) {
  for (const bool dies : {false, true}) {
    Shift shift(GetParam());
    const auto written = static_cast<std::size_t>(shm::Failpoint::append_record_written);
    const pid_t stopped = shift.start({written, 1, Strike::kStop, dies});
    const int number = shift.days();
    int status = 0;
    ASSERT_EQ(waitpid(stopped, &status, WUNTRACED), stopped);
    ASSERT_TRUE(WIFSTOPPED(status));
    shift.let_days_overlap();
    EXPECT_EQ(wait_for(shift.start()), 0);
    kill(stopped, SIGCONT);
    EXPECT_EQ(wait_for(stopped), dies ? -SIGKILL : 0);
    if (dies) shift.note_kill();
    EXPECT_GT(shift.ledger(number).passes[static_cast<std::size_t>(shm::Failpoint::append_lost)], 0u);
    shift.check();
    shift.start_and_finish();
    shift.check();
    shift.check_folder();
  }
}

INSTANTIATE_TEST_SUITE_P(On, FailpointStopTest, ::testing::ValuesIn(kGrounds),
                         [](const auto& ground) { return name_of(ground.param); });

}  // namespace
}  // namespace shmetrics::tests
