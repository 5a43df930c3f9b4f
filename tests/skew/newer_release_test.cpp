// A newer release of shmetrics with the same layout version writes what this one does not know: a metric type, a kind
// of cell, a gauge mode, a flag, an action of a claim, a kind of record. This one goes on beside it, and after it.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <sstream>
#include <vector>

#include "shm/segment.hpp"
#include "tests/child_process.hpp"
#include "tests/raw_log.hpp"
#include "tests/scrape.hpp"
#include "tests/skew/worker_process.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using tests::RawPlace;
using tests::WorkerProcess;

/// What only the newer release knows of a family.
struct News {
  std::string name;
  std::string fields;
};

const std::vector<News>& all_news() {
  static const std::vector<News> all = {
      {"a metric type", "type=6"},
      {"a metric type of its process slots", "type=6 process_cells=4"},
      {"a metric type with more label names than any", "type=15 labels=3"},
      {"a kind of cell", "cell_kind=3"},
      {"a gauge mode", "type=2 gauge_mode=11 process_cells=2"},
      {"the first flag that is not known", "flags=4"},
      {"a flag beside native histograms", "type=3 flags=129"},
      {"the highest flag", "flags=2147483648"},
      {"a type with an action of a claim that is none", "type=6 process_cells=2 claim_action=9"},
  };
  return all;
}

class NewerReleaseTest : public ::testing::Test {
 protected:
  std::unique_ptr<WorkerProcess> started() {
    auto worker = std::make_unique<WorkerProcess>(SHMETRICS_WORKER);
    EXPECT_EQ(worker->ask("open " + path_), "ok");
    EXPECT_EQ(worker->ask("counter steady_total Steady"), "ok");
    return worker;
  }
  /// One of the newer release; the file must be there.
  std::unique_ptr<WorkerProcess> started_newer() {
    auto newer = std::make_unique<WorkerProcess>(SHMETRICS_WORKER_NEWER);
    EXPECT_EQ(newer->ask("open " + path_), "ok");
    return newer;
  }
  static RawPlace place_in(const std::string& answer) {
    RawPlace place;
    std::istringstream words(answer);
    words >> place.entry >> place.first_thread_cell >> place.first_process_cell;
    EXPECT_FALSE(words.fail()) << answer;
    return place;
  }
  /// Nothing is wrong with the file, however much of it is not known.
  void expect_sound_and_newer() {
    const auto check = tests::run_command({SHMETRICS_PROGRAM, "check", path_});
    EXPECT_EQ(check.code, 0) << check.out << check.error;
    EXPECT_THAT(check.out, HasSubstr("was written by a newer release"));
    EXPECT_THAT(check.out, Not(HasSubstr("checksum")));
  }
  std::uint64_t word_at(std::uint64_t offset) const {
    std::uint64_t word = 0;
    const shm::Descriptor file(open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(pread(file.get(), &word, sizeof word, static_cast<off_t>(offset)), 8);
    return word;
  }
  shm::Geometry geometry() const { return shm::open_for_reading(path_).geometry; }
  std::uint64_t process_cell(std::uint32_t worker, std::uint32_t cell) const {
    return word_at(geometry().process_slot(worker) + std::uint64_t{cell} * 8);
  }
  double folded(std::uint32_t cell) const {
    return std::bit_cast<double>(word_at(geometry().gauge_spill_cells() + std::uint64_t{cell} * 8));
  }

  tests::TemporaryFolder folder_;
  std::string path_ = folder_.file("a.seg");
};

TEST_F(NewerReleaseTest, WhatItDoesNotKnowIsSteppedOverAndAllElseGoesOn) {
  for (const News& news : all_news()) {
    SCOPED_TRACE(news.name);
    std::filesystem::remove(path_);
    const auto before = started();
    const auto newer = started_newer();
    const RawPlace family = place_in(newer->ask("family app_news " + news.fields + " thread_cells=3"));
    const RawPlace series = place_in(newer->ask("series " + std::to_string(family.entry) + " v thread_cells=2"));
    EXPECT_EQ(newer->ask("count " + std::to_string(series.first_thread_cell)), "1");

    const auto after = started();  // reads it from the beginning; `before` comes to it in the middle
    for (const auto& worker : {before.get(), after.get()}) {
      EXPECT_EQ(worker->ask("counter job_total Help queue"), "ok");
      worker->ask("count");
      for (int i = 0; i < 20; ++i) worker->ask("with set" + std::to_string(i));
    }
    const tests::Scrape scrape = tests::scrape(path_);
    EXPECT_EQ(scrape["steady_total"], 2);
    for (int i = 0; i < 20; ++i) EXPECT_EQ(scrape["job_total{queue=\"set" + std::to_string(i) + "\"}"], 2);
    EXPECT_THAT(scrape.text, Not(HasSubstr("app_news")));
    EXPECT_EQ(scrape.status.newer_records, 2u);
    EXPECT_EQ(scrape.status.quarantined_families + scrape.status.quarantined_series, 2u) << "those, and no others";
    EXPECT_TRUE(scrape.status.series_overflow.empty());
    EXPECT_EQ(newer->ask("count " + std::to_string(series.first_thread_cell)), "2") << "its cells are its own";
    EXPECT_EQ(newer->ask("count " + std::to_string(family.first_thread_cell)), "1");
    expect_sound_and_newer();
  }
}

TEST_F(NewerReleaseTest, ToolsShowTheRestAndDoNotCallItDamaged) {
  const auto worker = started();
  worker->ask("count");
  const auto newer = started_newer();
  newer->ask("family app_news type=6 thread_cells=3");
  newer->ask("record 3 thread_cells=1 process_cells=2");
  const auto next = started();
  EXPECT_EQ(next->ask("gauge late Help"), "ok");
  next->ask("count 4");
  expect_sound_and_newer();
  const auto check = tests::run_command({SHMETRICS_PROGRAM, "check", path_});
  EXPECT_THAT(check.out,
              AllOf(HasSubstr("directory entry 1: "), HasSubstr("'app_news'"), HasSubstr("directory entry 2: ")));
  for (const char* const format : {"text", "openmetrics", "table", "json"}) {
    const auto dump = tests::run_command({SHMETRICS_PROGRAM, "dump", path_, "--format", format});
    EXPECT_EQ(dump.code, 0) << format << dump.error;
    EXPECT_THAT(dump.out, AllOf(HasSubstr("steady"), HasSubstr("late"), Not(HasSubstr("app_news")))) << format;
  }
}

TEST_F(NewerReleaseTest, ARecordOfAKindThatItDoesNotKnowIsSteppedOverWithItsCells) {
  const auto worker = started();
  const auto newer = started_newer();
  const RawPlace unknown = place_in(newer->ask("record 3 thread_cells=5 process_cells=6"));
  const RawPlace last = place_in(newer->ask("record 15"));
  EXPECT_EQ(last.first_thread_cell, unknown.first_thread_cell + 5);
  ASSERT_EQ(worker->ask("counter job_total Help queue"), "ok");
  ASSERT_EQ(worker->ask("gauge depth Help max"), "ok");
  worker->ask("count 7");
  const tests::Scrape scrape = tests::scrape(path_);
  EXPECT_EQ(scrape["job_total{queue=\"v\"}"], 1);
  EXPECT_EQ(scrape["depth"], 7);
  EXPECT_EQ(scrape.status.newer_records, 2u);
  for (std::uint32_t i = 0; i < 5; ++i) {
    EXPECT_EQ(newer->ask("count " + std::to_string(unknown.first_thread_cell + i)), "1") << "nobody else counts there";
  }
  expect_sound_and_newer();
}

TEST_F(NewerReleaseTest, ANameThatTheNewerReleaseHasIsRefusedAndSaysWhatToDo) {
  for (const News& news : all_news()) {
    SCOPED_TRACE(news.name);
    std::filesystem::remove(path_);
    const auto known = started();
    started_newer()->ask("family app_news_total " + news.fields + " thread_cells=3");
    const auto worker = started();
    for (const auto& old : {known.get(), worker.get()}) {
      EXPECT_THAT(old->ask("counter app_news_total Help"),
                  AllOf(HasSubstr("'app_news_total'"), HasSubstr("newer release"), HasSubstr("upgrade this program")));
      EXPECT_EQ(old->ask("counter other_total Help"), "ok");
      EXPECT_EQ(old->ask("count"), "ok");
    }
    const tests::Scrape scrape = tests::scrape(path_);
    EXPECT_EQ(tests::count_of(scrape.status.declarations_refused, "newer_release"), 2u);
    EXPECT_EQ(tests::count_of(scrape.status.updates_dropped, "refused_family"), 2u);
    EXPECT_EQ(scrape["other_total"], 2);
  }
}

TEST_F(NewerReleaseTest, WhoHadTheNameBeforeTheNewerReleaseMadeItAnotherTypeRunsOn) {
  const auto old = started();
  ASSERT_EQ(old->ask("counter app_news_total Help queue"), "ok");
  old->ask("count");
  started_newer()->ask("family app_news_total type=6 thread_cells=3");
  for (int i = 0; i < 20; ++i) old->ask("with set" + std::to_string(i));
  EXPECT_EQ(old->ask("counter late_total Help"), "ok");
  EXPECT_EQ(old->ask("count"), "ok");
  EXPECT_THAT(started()->ask("counter app_news_total Help queue"), HasSubstr("newer release"));
  const tests::Scrape scrape = tests::scrape(path_);
  EXPECT_EQ(scrape["steady_total"], 2);
  EXPECT_EQ(scrape["late_total"], 1);
  expect_sound_and_newer();
}

TEST_F(NewerReleaseTest, ASchemaThatItKnowsIsStillItsOwnBesideANewerGeneration) {
  const auto old = started();
  ASSERT_EQ(old->ask("counter app_news_total Help queue"), "ok");
  started_newer()->ask("family app_news_total flags=4 thread_cells=3");
  const auto worker = started();
  EXPECT_EQ(worker->ask("counter app_news_total Help queue"), "ok") << "it is there, and known";
  old->ask("count");
  worker->ask("count");
  EXPECT_EQ(tests::scrape(path_)["app_news_total{queue=\"v\"}"], 2);
  EXPECT_THAT(started()->ask("counter app_news_total Help path"), HasSubstr("newer release"));
  expect_sound_and_newer();
}

/// Gauges of a newer release's dead worker, and what a claim of its entry makes of them.
struct Claim {
  std::uint32_t action;
  bool is_left;
  double folded;  // 0: nothing
};

TEST_F(NewerReleaseTest, AClaimOfItsDeadWorkersEntryDoesWithTheCellsWhatTheRecordSays) {
  const Claim claims[] = {{0, false, 0}, {1, true, 0}, {2, false, 3}, {3, false, 5}, {9, false, 0}};
  auto first = started();
  auto newer = started_newer();
  struct Set {
    Claim claim;
    std::uint32_t of_family, of_series;
  };
  std::vector<Set> sets;
  for (const Claim& claim : claims) {
    const std::string fields = "claim_action=" + std::to_string(claim.action) + " process_cells=2";
    const RawPlace family =
        place_in(newer->ask("family app_news" + std::to_string(claim.action) + " type=6 " + fields));
    const RawPlace series = place_in(newer->ask("series " + std::to_string(family.entry) + " v process_cells=2"));
    sets.push_back({claim, family.first_process_cell, series.first_process_cell});
  }
  const RawPlace other = place_in(newer->ask("record 3 process_cells=2"));
  // Two of its workers set them, to 3 and to 5, in the one entry that is used, one after the other.
  std::uint32_t entry = 0;
  for (const char* const value : {" 3", " 5"}) {
    if (value[1] == '5') newer = started_newer();
    entry = static_cast<std::uint32_t>(std::stoul(newer->ask("claim")));
    for (const Set& set : sets) {
      newer->ask("gauge " + std::to_string(set.of_family) + value);
      newer->ask("gauge " + std::to_string(set.of_series) + value);
    }
    newer->ask("gauge " + std::to_string(other.first_process_cell) + value);
    newer->kill();
    // One of ours takes the entry over, as its first act, and leaves it in order.
    WorkerProcess adopter(SHMETRICS_WORKER);
    ASSERT_EQ(adopter.ask("open " + path_), "ok");
    ASSERT_EQ(adopter.ask("gauge depth Help"), "ok");
    ASSERT_EQ(adopter.ask("count 1"), "ok");
    adopter.finish();
    ASSERT_EQ(tests::scrape(path_).status.worker_deaths, value[1] == '3' ? 1u : 2u) << "it was adopted";
    for (const Set& set : sets) {
      SCOPED_TRACE("action " + std::to_string(set.claim.action));
      for (const std::uint32_t cell : {set.of_family, set.of_series}) {
        EXPECT_EQ(process_cell(entry, cell) != 0, set.claim.is_left);
        EXPECT_EQ(process_cell(entry, cell + 1) != 0, set.claim.is_left);
      }
    }
    EXPECT_EQ(process_cell(entry, other.first_process_cell), 0u) << "of a record without such a word";
  }
  for (const Set& set : sets) {
    SCOPED_TRACE("action " + std::to_string(set.claim.action));
    for (const std::uint32_t cell : {set.of_family, set.of_series}) EXPECT_EQ(folded(cell + 1), set.claim.folded);
  }
  expect_sound_and_newer();
}

TEST_F(NewerReleaseTest, WhenTheNewerReleaseIsRolledBackItsFileIsGoneOnWith) {
  auto first = started();
  first->ask("count");
  auto newer = started_newer();
  newer->ask("claim");
  newer->ask("family app_news type=6 thread_cells=3");
  const auto before = shm::file_id(path_);
  first->finish();
  newer->kill();
  const auto rolled_back = started();
  rolled_back->ask("count");
  EXPECT_EQ(shm::file_id(path_), before);
  EXPECT_EQ(tests::scrape(path_)["steady_total"], 2);
  expect_sound_and_newer();
}

}  // namespace
}  // namespace shmetrics
