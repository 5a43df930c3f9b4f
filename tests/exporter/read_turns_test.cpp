#include "exporter/scrape/read_turns.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/collector/segment_builder.hpp"

namespace shmetrics::exporter {
namespace {

using collector::SegmentStatus;
using ::testing::HasSubstr;

/// A segment with one family, and one whose directory takes a thousand times as much.
class ReadTurnsTest : public ::testing::Test {
 protected:
  ReadTurnsTest() {
    const auto schema = tests::counter("large_total", {"x"});
    const auto family = large_.family(schema);
    for (int i = 0; i < 400; ++i) large_.series(family, {std::string(90, 'v') + std::to_string(i)});
    small_.family(tests::counter("small_total"));
    segments_.emplace_back(large_.path(), "large");
    segments_.emplace_back(small_.path(), "small");
    segments_.front().scraper.read();
    needed_ = segments_.front().scraper.held_bytes();
    segments_.front().scraper = collector::Scraper(large_.path(), "large");
  }
  /// Reads both, and says which are up.
  std::pair<bool, bool> read(const ReadBudget& budget) {
    statuses_ = read_in_turn(segments_, budget);
    return {statuses_[0].up, statuses_.size() > 1 && statuses_[1].up};
  }

  tests::SegmentBuilder large_, small_;
  std::list<FollowedSegment> segments_;
  std::uint64_t needed_ = 0;
  std::vector<SegmentStatus> statuses_;
};

using Up = std::pair<bool, bool>;

TEST_F(ReadTurnsTest, BothAreReadWithinABudgetThatIsEnough) {
  EXPECT_EQ(read({}), Up(true, true));
  EXPECT_EQ(statuses_[0].segment, "large");
  EXPECT_EQ(statuses_[1].segment, "small");
}

TEST_F(ReadTurnsTest, WhatTheOthersLeaveIsForTheOneThatNeedsMoreThanItsShare) {
  EXPECT_EQ(read({.held_bytes = needed_ + needed_ / 4}), Up(true, true)) << statuses_[0].problem;
  EXPECT_EQ(segments_.front().pause.count(), 0);
}

TEST_F(ReadTurnsTest, OneThatNeedsMoreThanThereIsIsDownWithItsReasonAndTheOtherIsServed) {
  EXPECT_EQ(read({.held_bytes = needed_ - 1000}), Up(false, true));
  EXPECT_THAT(statuses_[0].problem, HasSubstr("MiB of memory that are left for it"));
  EXPECT_LT(segments_.front().scraper.held_bytes(), 10'000u);
}

TEST_F(ReadTurnsTest, OneThatNeededTooMuchIsReadLessAndLessOftenWhileAnotherWouldWait) {
  for (const int pause : {1, 2, 4, 8, 16, 32, 60, 60}) {
    EXPECT_EQ(read({.held_bytes = needed_ - 1000}), Up(false, true));
    EXPECT_EQ(segments_.front().pause.count(), pause);
    EXPECT_THAT(statuses_[0].problem, HasSubstr("read less often"));
    const std::string problem = statuses_[0].problem;
    EXPECT_EQ(read({}), Up(false, true)) << "it is not looked at meanwhile";
    EXPECT_EQ(statuses_[0].problem, problem) << "the log says it once";
    EXPECT_EQ(statuses_[0].segment, "large");
    segments_.front().read_again = {};
  }
  EXPECT_EQ(read({}), Up(true, true));
  EXPECT_EQ(segments_.front().pause.count(), 0);
}

TEST_F(ReadTurnsTest, OneThatIsAloneIsReadEachTime) {
  EXPECT_EQ(read({.held_bytes = needed_ - 1000}), Up(false, true));
  segments_.pop_back();
  EXPECT_EQ(read({.held_bytes = needed_ - 1000}), Up(false, false));
  EXPECT_TRUE(read({}).first);
}

TEST_F(ReadTurnsTest, OneBesideARemovedFileIsAloneSinceThatIsNotRead) {
  segments_.back().is_removed = true;
  EXPECT_EQ(read({.held_bytes = needed_ - 1000}), Up(false, false));
  EXPECT_EQ(segments_.front().pause.count(), 0);
  EXPECT_TRUE(read({}).first);
}

TEST_F(ReadTurnsTest, ALookThatIsStoppedOrOutOfTimeEndsWithAReasonForEach) {
  const std::atomic<bool> is_stopped = true;
  for (const ReadBudget& budget : {ReadBudget{.is_stopped = &is_stopped}, ReadBudget{.time = {}}}) {
    EXPECT_EQ(read(budget), Up(false, false));
    EXPECT_TRUE(statuses_[0].ran_out && statuses_[1].ran_out);
    for (FollowedSegment& segment : segments_) segment.pause = {};
  }
}

}  // namespace
}  // namespace shmetrics::exporter
