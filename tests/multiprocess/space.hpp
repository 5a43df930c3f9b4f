// Tests on a tmpfs that has no room when the test says so, on this kernel and on one that cannot populate.
#pragma once

#include <gtest/gtest.h>
#include <shmetrics/shmetrics.hpp>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>

#include "collector/check.hpp"
#include "shm/geometry.hpp"
#include "shm/segment.hpp"
#include "tests/forked.hpp"
#include "tests/multiprocess/old_kernel.hpp"
#include "tests/scrape.hpp"
#include "tests/small_tmpfs.hpp"

namespace shmetrics {

inline constexpr std::uint32_t kStep = shm::kGrowthCells;

inline void pass_a_second() {
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
}

class SpaceTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (!disk_.refusal().empty()) GTEST_SKIP() << disk_.refusal();
    tests::populate_is_known = GetParam();
    options_.path = disk_.file("a.seg");
    options_.workers = 4;
    options_.slots = 4;
    options_.cells = 4 * kStep;
    options_.directory_bytes = 1 << 18;
    options_.series_per_family = 10'000;
  }
  void TearDown() override {
    if (!disk_.refusal().empty() || !std::filesystem::exists(options_.path)) return;
    const collector::CheckReport report = collector::check_segment(options_.path);
    EXPECT_EQ(report.verdict, collector::CheckReport::Verdict::kSound) << report.findings.at(0);
    EXPECT_EQ(tests::growth_by_fallocate > 0, !GetParam()) << "this kernel's own way was tested";
  }

  Registry open() const { return Registry::open(options_); }
  tests::Scrape scrape() const { return tests::scrape(options_.path); }
  static double sum(const tests::Scrape& result, const std::string& prefix) {
    double total = 0;
    for (const auto& [series, value] : result.values) total += series.starts_with(prefix) ? value : 0;
    return total;
  }
  /// What a thread slot has allocated, from the file itself.
  std::uint64_t cells_of_slot(std::uint32_t slot) const {
    const shm::Geometry shape{options_.workers, options_.slots, options_.cells, options_.directory_bytes};
    const shm::Descriptor file(::open(options_.path.c_str(), O_RDONLY | O_CLOEXEC));
    std::uint64_t cells = 0;
    const auto at = shape.slot_table() + slot * sizeof(shm::SlotEntry) + offsetof(shm::SlotEntry, cells_allocated);
    EXPECT_EQ(pread(file.get(), &cells, sizeof cells, static_cast<off_t>(at)), 8);
    return cells;
  }
  /// Of all files together.
  std::uint64_t used_bytes() const { return kDiskBytes - disk_.free_bytes(); }

  static constexpr std::uint64_t kDiskBytes = 2 << 20;
  tests::SmallTmpfs disk_{kDiskBytes};
  Options options_;
};

}  // namespace shmetrics
