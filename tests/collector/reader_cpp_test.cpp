// <shmetrics/reader.hpp>: a segment as values, and no exception through the C API.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <latch>
#include <shmetrics/reader.hpp>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "shm/descriptor.hpp"
#include "tests/collector/segment_builder.hpp"

namespace shmetrics {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Optional;

class ReaderCpp : public ::testing::Test {
 protected:
  ReaderCpp() {
    const auto hits = segment_.family(tests::counter("hits_total", {"path", "code"}));
    segment_.thread(0, segment_.series(hits, {"/a", "200"})).store_relaxed(3);
    segment_.thread(1, segment_.series(hits, {"/b", "500"})).store_relaxed((std::uint64_t{1} << 63) + 1);
    const auto size = segment_.family(tests::plain(shm::MetricType::kSummary, "size_bytes"));
    segment_.thread(1, size.cell + shm::kHistogramBuckets).store_relaxed(2);
    segment_.thread(1, size.cell + shm::kHistogramSum).store_double_relaxed(9);
  }
  tests::SegmentBuilder segment_;
};

TEST_F(ReaderCpp, GivesValuesByNameAndLabelsInAnyOrder) {
  const Reading reading = Reading::of(segment_.path());
  EXPECT_THAT(reading.value("hits_total", {{"code", "200"}, {"path", "/a"}}), Optional(3));
  EXPECT_THAT(reading.value("size_bytes_sum"), Optional(9));
  EXPECT_EQ(reading.value("hits_total", {{"path", "/a"}}), std::nullopt);
  EXPECT_EQ(reading.value("other"), std::nullopt);
}

TEST_F(ReaderCpp, GivesTextOfTheFamiliesThatAreWantedInEachFormat) {
  const Reading reading = Reading::of(segment_.path());
  EXPECT_EQ(reading.text(SHMETRICS_TEXT, [](std::string_view name) { return name == "size_bytes_count"; }),
            "# HELP size_bytes Help.\n# TYPE size_bytes summary\nsize_bytes_sum 9\nsize_bytes_count 2\n");
  EXPECT_THAT(reading.text(), HasSubstr("hits_total{path=\"/a\",code=\"200\"} 3\n"));
  EXPECT_THAT(reading.text(SHMETRICS_OPENMETRICS), HasSubstr("# EOF\n"));
  EXPECT_THAT(reading.text(SHMETRICS_JSON), HasSubstr("\"families\""));
}

TEST_F(ReaderCpp, VisitsSamplesAndWorkers) {
  const Reading reading = Reading::of(segment_.path());
  std::vector<std::string> names;
  std::uint64_t whole = 0;
  reading.for_each_sample([&](const shmetrics_sample& sample) {
    names.emplace_back(sample.name);
    whole = std::max(whole, sample.whole);
  });
  EXPECT_THAT(names, ElementsAre("hits_total", "hits_total", "size_bytes_sum", "size_bytes_count"));
  EXPECT_EQ(whole, (std::uint64_t{1} << 63) + 1);
  for (const ReadWorker& worker : reading.workers()) EXPECT_NE(worker.state, "");
}

TEST_F(ReaderCpp, ReadsByADescriptorWithoutKeepingIt) {
  const shm::Descriptor file(open(segment_.path().c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_THAT(Reading::of_descriptor(file.get()).value("size_bytes_count"), Optional(2));
  EXPECT_EQ(fcntl(file.get(), F_GETFD), FD_CLOEXEC);
}

TEST_F(ReaderCpp, SaysWhyASegmentCannotBeRead) {
  try {
    Reading::of("/none/there.seg");
    FAIL() << "no file, and no error";
  } catch (const ReadingError& error) {
    EXPECT_EQ(error.code(), 1);  // SHMETRICS_NOT_READY
    EXPECT_THAT(error.what(), HasSubstr("/none/there.seg"));
  }
  EXPECT_THROW(Reading::of_descriptor(-1), ReadingError);
  EXPECT_THROW(static_cast<void>(Reading::of("/etc/passwd")), ReadingError);
}

TEST_F(ReaderCpp, WhatACallbackThrowsReachesTheCallerAndNothingIsCalledAgain) {
  const Reading reading = Reading::of(segment_.path());
  int calls = 0;
  const auto fail = [&](const auto&) -> bool {
    ++calls;
    throw std::out_of_range("mine");
  };
  EXPECT_THROW(reading.for_each_sample(fail), std::out_of_range);
  EXPECT_EQ(calls, 1);
  EXPECT_THROW(static_cast<void>(reading.text(SHMETRICS_TEXT, fail)), std::out_of_range);
  EXPECT_EQ(calls, 2);
  EXPECT_THROW(reading.for_each_sample([](const auto&) { throw 5; }), int);
}

// The first text by protobuf leaves something behind for the next.
TEST_F(ReaderCpp, IsUsedByAnyNumberOfThreads) {
  tests::SegmentBuilder large(
      {.workers = 1, .thread_slots = 1, .cells = 8 * shm::kGrowthCells, .directory_bytes = 1 << 20});
  const auto many = large.family(tests::counter("many_total", {"x"}));
  for (int i = 0; i < 2000; ++i) large.series(many, {std::to_string(i)});
  const std::string expected = Reading::of(large.path()).text(SHMETRICS_PROTOBUF);
  ASSERT_GT(expected.size(), 50'000u);
  for (int round = 0; round < 50; ++round) {
    const Reading reading = Reading::of(large.path());
    std::latch both(2);
    const auto render = [&] {
      both.arrive_and_wait();
      return reading.text(SHMETRICS_PROTOBUF);
    };
    std::future<std::string> other = std::async(std::launch::async, render);
    EXPECT_TRUE(render() == expected);
    EXPECT_TRUE(other.get() == expected);
  }
}

TEST_F(ReaderCpp, IsMovedAndNeverCopied) {
  static_assert(!std::is_copy_constructible_v<Reading> && std::is_nothrow_move_constructible_v<Reading>);
  Reading first = Reading::of(segment_.path());
  const Reading second = std::move(first);
  EXPECT_THAT(second.value("size_bytes_count"), Optional(2));
  EXPECT_EQ(first.get(), nullptr);
  EXPECT_EQ(first.value("size_bytes_count"), std::nullopt);
}

}  // namespace
}  // namespace shmetrics
