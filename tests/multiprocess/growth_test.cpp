// How a slot takes its memory, on this kernel and on one before 5.14: without a descriptor, within limits, and never
// as a hole.
#include <sys/mman.h>
#include <sys/resource.h>

#include <string>
#include <thread>

#include "tests/multiprocess/space.hpp"

namespace shmetrics {
namespace {

class GrowthTest : public SpaceTest {};
INSTANTIATE_TEST_SUITE_P(Kernel, GrowthTest, ::testing::Values(true, false),
                         [](const auto& kernel) { return kernel.param ? "OfToday" : "Before5_14"; });

// With holes in them, histograms would be read from a copy, where nobody sees that they change meanwhile.
TEST_P(GrowthTest, WhatHasGrownHasNoHoles) {
  const Registry registry = open();
  registry.histogram("h", "H", {}, {1}).observe(1);
  registry.gauge("active", "A").set(1);
  const shm::Geometry shape{options_.workers, options_.slots, options_.cells, options_.directory_bytes};
  const shm::Descriptor file(::open(options_.path.c_str(), O_RDONLY | O_CLOEXEC));
  for (const std::uint64_t slot : {shape.thread_slot(0), shape.process_slot(0), shape.gauge_spill_cells()}) {
    EXPECT_GE(lseek(file.get(), static_cast<off_t>(slot), SEEK_HOLE), static_cast<off_t>(slot + kStep * 8)) << slot;
  }
}

TEST_P(GrowthTest, AWorkerWithoutADescriptorLeftReachesWhatOthersHaveGrown) {
  const tests::Baton grown;
  const Registry registry = open();
  const auto family = registry.counter("a_total", "A", {"n"});
  const Gauge active = registry.gauge("active", "A");
  family.with("low").inc();
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              for (std::uint32_t i = 0; i < kStep; ++i) static_cast<void>(family.with(std::to_string(i)));
              active.set(1);
              return 0;
            })),
            0);
  const rlimit none{0, 20'000};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const Counter high = family.with(std::to_string(kStep - 1));
  high.inc();
  active.set(2);
  const rlimit many{20'000, 20'000};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &many), 0);
  const tests::Scrape result = scrape();
  EXPECT_EQ(result["a_total{n=\"" + std::to_string(kStep - 1) + "\"}"], 1);
  EXPECT_EQ(result["active"], 2);
  EXPECT_EQ(tests::count_of(result.status.updates_dropped, "no_entry"), 0u);
}

TEST_P(GrowthTest, AnUpdateThatHasNoPlaceAtAllIsCountedAsDropped) {
  const Registry registry = open();
  const auto family = registry.counter("a_total", "A", {"n"});
  const auto histograms = registry.histogram("h", "H", {"n"}, {1});
  static_cast<void>(registry.gauge("active", "A"));
  family.with("low").inc();
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              for (std::uint32_t i = 0; i < kStep; ++i) static_cast<void>(family.with(std::to_string(i)));
              static_cast<void>(histograms.with("high"));
              return 0;
            })),
            0);
  const Counter high = family.with(std::to_string(kStep - 1));
  const Histogram h = histograms.with("high");
  tests::populate_is_known = tests::populate_finds_no_room = true;  // although the memory of the spill is there
  high.inc();
  h.observe(1);
  tests::populate_finds_no_room = false;
  EXPECT_EQ(tests::count_of(scrape().status.updates_dropped, "no_memory"), 2u);
  pass_a_second();
  tests::populate_is_known = GetParam();
  high.inc();
  EXPECT_EQ(scrape()["a_total{n=\"" + std::to_string(kStep - 1) + "\"}"], 1);
}

TEST_P(GrowthTest, AFileSizeLimitHindersNoGrowth) {
  const Registry registry = open();
  const auto family = registry.counter("a_total", "A", {"n"});
  const Gauge active = registry.gauge("active", "A");
  const rlimit small{4096, RLIM_INFINITY};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);  // its signal would end this process
  for (std::uint32_t i = 0; i < kStep + 100; ++i) family.with(std::to_string(i)).inc();
  active.set(1);
  const tests::Scrape result = scrape();
  EXPECT_EQ(sum(result, "a_total"), kStep + 100);
  EXPECT_FALSE(result.has("a_total{n=\"__overflow__\"}"));
  EXPECT_EQ(result["active"], 1);
}

TEST_P(GrowthTest, AWorkerThatLocksItsMemoryTakesNoMoreRoomAndSurvivesItsEnd) {
  if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) GTEST_SKIP() << "NOT TESTED: mlockall needs root or ulimit -l unlimited";
  const Registry registry = open();
  const auto family = registry.counter("a_total", "A", {"n"});
  static_cast<void>(registry.gauge("active", "A"));
  family.with("0").inc();
  EXPECT_LE(used_bytes(), 40u << 12) << "of a file of " << std::filesystem::file_size(options_.path);
  disk_.fill();
  for (int i = 0; i < 1000; ++i) family.with(std::to_string(i)).inc();
  std::thread([&] { family.with("0").inc(); }).join();
  EXPECT_EQ(sum(scrape(), "a_total"), 1002);
  munlockall();
}

}  // namespace
}  // namespace shmetrics
