// kill -9 at every failpoint: the next worker finds nothing that hurts it, and loses nothing.
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "tests/faults/shift.hpp"
#include "tests/forked.hpp"

namespace shmetrics::tests {
namespace {

/// How often an undisturbed day passes each failpoint.
std::array<std::uint64_t, kFailpoints> passes_of_a_day(Ground ground) {
  Shift shift(ground);
  shift.start_and_finish();
  std::array<std::uint64_t, kFailpoints> passes;
  std::copy(shift.ledger().passes.begin(), shift.ledger().passes.end(), passes.begin());
  return passes;
}

TEST(FailpointTest, ADayComesPastEveryOne) {
  std::array<std::uint64_t, kFailpoints> passed{};
  for (const Ground ground : kGrounds) {
    const auto passes = passes_of_a_day(ground);
    for (std::size_t point = 0; point < kFailpoints; ++point) passed[point] += passes[point];
  }
  for (std::size_t point = 0; point < kFailpoints; ++point) {
    if (kFailpointNames[point] == "append_lost") continue;  // it takes another worker: FailpointStopTest
    EXPECT_GT(passed[point], 0u) << kFailpointNames[point] << ": worker_day.cpp needs a step that comes there";
  }
}

TEST(FailpointTest, TheCrashTableNamesThemAllAndNoOther) {
  std::stringstream page;
  page << std::ifstream(SHMETRICS_DOCS "/segment-format.md").rdbuf();
  std::string table = page.str();
  table = table.substr(table.find("## Crash table"));
  table = table.substr(0, table.find("\n## "));
  std::set<std::string> named;
  for (std::size_t at = 0; (at = table.find('`', at)) != table.npos;) {
    const std::size_t end = table.find('`', at + 1);
    const std::string word = table.substr(at + 1, end - at - 1);
    const bool is_lower_case = word.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == word.npos;
    if (is_lower_case && word.find('_') != word.npos && word != "cells_allocated") named.insert(word);
    at = end + 1;
  }
  EXPECT_EQ(named, std::set<std::string>(std::begin(kFailpointNames), std::end(kFailpointNames)));
}

class FailpointKillTest : public ::testing::TestWithParam<Ground> {};

TEST_P(FailpointKillTest, TheNextWorkerGoesOnWhereverTheLastWasKilled) {
  const auto passes = passes_of_a_day(GetParam());
  int kills = 0;
  Waits waits;
  for (std::size_t point = 0; point < kFailpoints; ++point) {
    // First, middle, last: a record of a family or of a series, the first thread or a later one.
    for (const std::uint64_t pass : std::set<std::uint64_t>{1, (passes[point] + 1) / 2, passes[point]}) {
      if (pass == 0 || pass > passes[point]) continue;
      SCOPED_TRACE(std::string(kFailpointNames[point]) + ", pass " + std::to_string(pass));
      Shift shift(GetParam());
      shift.check();
      ASSERT_TRUE(shift.start_and_lose({point, pass, Strike::kKill}));
      shift.check();
      shift.start_and_finish();
      shift.check();
      shift.check_folder();
      ++kills;
      waits.note(shift.ledger());
      if (HasFailure()) return;
    }
  }
  std::printf("%d kills; ", kills);
  waits.print();
  EXPECT_GT(kills, static_cast<int>(kFailpoints)) << "each point three times, where this ground comes there";
}

INSTANTIATE_TEST_SUITE_P(On, FailpointKillTest, ::testing::ValuesIn(kGrounds),
                         [](const auto& ground) { return name_of(ground.param); });

}  // namespace
}  // namespace shmetrics::tests
