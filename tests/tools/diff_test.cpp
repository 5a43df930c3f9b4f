// `shmetrics diff`: what differs, by how much, and what scripts make of its exit code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/collector/segment_builder.hpp"
#include "tests/tools/run_program.hpp"
#include "tools/diff.hpp"

namespace shmetrics::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using tests::Outcome;
using tests::run_program;

TEST(Delta, WholeNumbersAreExactOthersAreDoubles) {
  EXPECT_EQ(delta("3", "10"), "7");
  EXPECT_EQ(delta("10", "3"), "-7");
  EXPECT_EQ(delta("0", "18446744073709551615"), "18446744073709551615");
  EXPECT_EQ(delta("18446744073709551615", "18446744073709551614"), "-1");
  EXPECT_EQ(delta("0.5", "2"), "1.5");
  EXPECT_EQ(delta("-1", "1"), "2");
  EXPECT_EQ(delta("1", "+Inf"), "+Inf");
  EXPECT_EQ(delta("1", "NaN"), "NaN");
}

TEST(Delta, WithoutANumberThereIsNone) {
  EXPECT_EQ(delta("-", "1"), "-");
  EXPECT_EQ(delta("1", "-"), "-");
}

class Diff : public ::testing::Test {
 protected:
  std::uint32_t add_counter(tests::SegmentBuilder& segment, std::string_view name, std::uint64_t value,
                            std::string_view method = "GET") {
    const auto family = segment.family(tests::counter(name, {"method"}));
    const std::uint32_t cell = segment.series(family, {method});
    segment.thread(0, cell).store_relaxed(value);
    return cell;
  }
  Outcome compared() const { return run_program({"diff", a_.path(), b_.path()}); }
  void expect_lines(const std::string& lines) const {
    const Outcome outcome = compared();
    EXPECT_EQ(outcome.out, lines);
    EXPECT_EQ(outcome.error, "");
    EXPECT_EQ(outcome.code, lines.empty() ? 0 : 1);
  }
  tests::SegmentBuilder a_, b_;
};

TEST_F(Diff, EqualSegmentsSayNothing) {
  expect_lines("");
  add_counter(a_, "app_total", 5);
  add_counter(b_, "app_total", 5);
  expect_lines("");
}

TEST_F(Diff, ADifferenceIsALineWithBothValuesAndTheDelta) {
  add_counter(a_, "app_total", 9007199254740993);
  add_counter(b_, "app_total", 9007199254740992);  // the same as a double
  expect_lines("app_total{method=\"GET\"} 9007199254740993 9007199254740992 -1\n");
}

TEST_F(Diff, WhatOneSegmentLacksIsADash) {
  const auto family = a_.family(tests::counter("app_total", {"method"}));
  a_.series(family, {"A B"});
  a_.series(family, {"C"});
  add_counter(b_, "app_total", 1, "D");
  add_counter(b_, "zoo_total", 2);
  expect_lines(
      "app_total{method=\"A B\"} 0 - -\napp_total{method=\"C\"} 0 - -\napp_total{method=\"D\"} - 1 -\n"
      "zoo_total{method=\"GET\"} - 2 -\n");
}

TEST_F(Diff, HistogramsAreComparedLineByLine) {
  for (tests::SegmentBuilder* segment : {&a_, &b_}) segment->family(tests::histogram("app_seconds", {0.5}));
  const std::uint32_t cell = shm::kPrefixCells;
  b_.thread(0, cell + shm::kHistogramSum).store_double_relaxed(1.5);
  b_.thread(0, cell + shm::kHistogramBuckets + 1).store_relaxed(1);
  expect_lines("app_seconds_bucket{le=\"+Inf\"} 0 1 1\napp_seconds_sum 0 1.5 1.5\napp_seconds_count 0 1 1\n");
}

TEST_F(Diff, TheSameNumberOfAnotherKindIsEqual) {
  a_.thread(0, a_.family(tests::counter("app_total")).cell).store_relaxed(1'000'000);
  b_.thread(0, b_.family(tests::counter("app_total", {}, shm::CellKind::kDouble)).cell).store_double_relaxed(1e6);
  for (tests::SegmentBuilder* segment : {&a_, &b_}) {
    const auto gauge = segment->family(tests::gauge("g", shm::GaugeMode::kMax));
    segment->set_gauge(0, gauge.cell, segment == &a_ ? 0.0 : -0.0);
    const auto odd = segment->family(tests::gauge("odd", shm::GaugeMode::kMax));
    segment->set_gauge(0, odd.cell, std::nan(""));
    segment->dead(0);
  }
  expect_lines("");
}

TEST_F(Diff, WithoutTwoSegmentsThereIsNoAnswer) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"diff"},
                                                    {"diff", a_.path()},
                                                    {"diff", a_.path(), b_.path(), a_.path()},
                                                    {"diff", a_.path(), "/dev/shm/shmetrics-test-none"},
                                                    {"diff", "/dev/shm/shmetrics-test-none", b_.path()},
                                                    {"diff", a_.path(), SHMETRICS_PROGRAM},
                                                    {"diff", a_.path(), b_.path(), "--nonsense"}}) {
    const Outcome outcome = run_program(arguments);
    EXPECT_EQ(outcome.code, 2);
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.error, StartsWith("shmetrics: "));
    EXPECT_EQ(std::count(outcome.error.begin(), outcome.error.end(), '\n'), 1) << outcome.error;
  }
}

TEST_F(Diff, NativeBucketsWithinOneClassicBucketDiffer) {
  constexpr std::uint32_t kFirst = shm::kHistogramBuckets;  // up to 1, 1.41, 2, 2.83, 4, above
  const auto of_a = a_.family(tests::native_histogram("d_seconds", 1, 4, 1.5));
  const auto of_b = b_.family(tests::native_histogram("d_seconds", 1, 4, 1.5));
  a_.thread(0, of_a.cell + kFirst + 1).store_relaxed(1);
  b_.thread(0, of_b.cell + kFirst + 2).store_relaxed(1);
  expect_lines("d_seconds{native=\"1.4142135623730951\"} 1 - -\nd_seconds{native=\"2\"} - 1 -\n");
}

}  // namespace
}  // namespace shmetrics::tools
