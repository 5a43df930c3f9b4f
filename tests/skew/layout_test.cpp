// Programs of two layout versions and one path: rolled forward, rolled back, and both at once.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <vector>

#include "shm/segment.hpp"
#include "tests/child_process.hpp"
#include "tests/running_exporter.hpp"
#include "tests/scrape.hpp"
#include "tests/skew/worker_process.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using tests::WorkerProcess;

class LayoutSkewTest : public ::testing::Test {
 protected:
  /// A worker of a release, with the segment open, one counter, and one hit.
  std::unique_ptr<WorkerProcess> counting(const char* program) {
    auto worker = std::make_unique<WorkerProcess>(program);
    EXPECT_EQ(worker->ask("open " + path_), "ok");
    EXPECT_EQ(worker->ask("counter hits_total Hits"), "ok");
    EXPECT_EQ(worker->ask("count"), "ok");
    return worker;
  }
  double hits() const { return tests::scrape(path_)["hits_total"]; }
  std::uint32_t version_at_path() const {
    shm::Header header{};
    const shm::Descriptor file(open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    return pread(file.get(), &header, sizeof header, 0) == sizeof header ? header.layout_version : 0;
  }
  static auto names_both_versions() { return AllOf(HasSubstr("version 2"), HasSubstr("version 3")); }
  std::string scraped(const tests::RunningExporter& exporter) const { return exporter.get("/metrics").body; }

  tests::TemporaryFolder folder_;
  std::string path_ = folder_.file("a.seg");
};

TEST_F(LayoutSkewTest, WhileOldWorkersLiveANewOneIsRefusedAndTheyGoOn) {
  const auto old = counting(SHMETRICS_WORKER);
  const auto before = shm::file_id(path_);
  WorkerProcess next(SHMETRICS_WORKER_NEXT);
  const std::string refusal = next.ask("open " + path_);
  EXPECT_THAT(refusal, names_both_versions());
  EXPECT_THAT(refusal, AllOf(HasSubstr("stop the workers"), HasSubstr("fresh file"))) << "it says what to do";
  EXPECT_THAT(next.ask("counter hits_total Hits"), names_both_versions());
  EXPECT_EQ(next.ask("count"), "ok") << "the refused one runs on, and counts nowhere";
  EXPECT_EQ(old->ask("count"), "ok");
  EXPECT_EQ(hits(), 2);
  EXPECT_EQ(shm::file_id(path_), before);
}

TEST_F(LayoutSkewTest, WhenAllOldWorkersAreGoneANewOneReplacesTheFile) {
  for (const bool in_order : {true, false}) {
    std::filesystem::remove(path_);
    auto old = counting(SHMETRICS_WORKER);
    const auto before = shm::file_id(path_);
    in_order ? static_cast<void>(old->finish()) : old->kill();
    const auto next = counting(SHMETRICS_WORKER_NEXT);
    EXPECT_NE(shm::file_id(path_), before);
    EXPECT_EQ(version_at_path(), 3u);
    EXPECT_EQ(tests::leftovers_of(path_), 0u);
  }
}

TEST_F(LayoutSkewTest, RolledBackAnOldWorkerNeverOverwritesTheNewerFile) {
  counting(SHMETRICS_WORKER_NEXT)->finish();
  const auto before = shm::file_id(path_);
  WorkerProcess old(SHMETRICS_WORKER);
  const std::string refusal = old.ask("open " + path_);
  EXPECT_THAT(refusal, names_both_versions());
  EXPECT_THAT(refusal, AllOf(HasSubstr("remove"), HasSubstr("fresh file")));
  EXPECT_EQ(shm::file_id(path_), before) << "nobody lives, and still it is not for an older program to throw away";
  EXPECT_EQ(version_at_path(), 3u);
  EXPECT_EQ(old.ask("open " + path_ + " fresh"), "ok") << "who rolls back says so";
  EXPECT_EQ(version_at_path(), 2u);
}

TEST_F(LayoutSkewTest, FreshPutsTheNewReleaseBesideTheOldOnesWorkers) {
  WorkerProcess old_master(SHMETRICS_WORKER);
  ASSERT_EQ(old_master.ask("open " + path_), "ok");
  ASSERT_EQ(old_master.ask("counter hits_total Hits"), "ok");
  for (int i = 0; i < 3; ++i) ASSERT_EQ(old_master.ask("fork"), "ok");
  EXPECT_EQ(hits(), 3);
  const shm::OpenedSegment old_file = shm::open_for_reading(path_);

  WorkerProcess new_master(SHMETRICS_WORKER_NEXT);
  ASSERT_EQ(new_master.ask("open " + path_ + " fresh"), "ok");
  ASSERT_EQ(new_master.ask("counter hits_total Hits"), "ok");
  EXPECT_EQ(version_at_path(), 3u);
  // A prefork server in the middle of its upgrade: children of both masters come and go.
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(old_master.ask("fork"), "ok");
    EXPECT_EQ(new_master.ask("fork"), "ok");
  }
  const auto dump = tests::run_command({SHMETRICS_PROGRAM_NEXT, "dump", path_, "--format", "text"});
  EXPECT_EQ(dump.code, 0) << dump.error;
  EXPECT_THAT(dump.out, HasSubstr("hits_total 5\n")) << "the new release's children, and none of the old one's";
  const std::string saved = folder_.file("old.seg");
  std::filesystem::copy_file("/proc/self/fd/" + std::to_string(old_file.file.get()), saved);
  EXPECT_EQ(tests::scrape(saved)["hits_total"], 8) << "which count on where they always did";
}

TEST_F(LayoutSkewTest, OfManyThatStartAtOnceOneReleaseWinsAndTheOtherIsRefused) {
  for (int round = 0; round < 5; ++round) {
    std::filesystem::remove(path_);
    std::vector<std::unique_ptr<WorkerProcess>> workers;
    for (int i = 0; i < 6; ++i) {
      workers.push_back(std::make_unique<WorkerProcess>(i % 2 == 0 ? SHMETRICS_WORKER : SHMETRICS_WORKER_NEXT));
    }
    for (const auto& worker : workers) worker->send("open " + path_);
    std::vector<std::string> answers;
    for (const auto& worker : workers) answers.push_back(worker->answer());
    // Nobody counts yet, so a newer program may still replace what an older one has made; never the other way round.
    const bool next_won = version_at_path() == 3;
    double expected = 0;
    for (std::size_t i = 0; i < workers.size(); ++i) {
      const bool is_next = i % 2 == 1;
      if (is_next) {
        EXPECT_EQ(answers[i], "ok");
      } else if (answers[i] != "ok") {
        EXPECT_THAT(answers[i], names_both_versions());
      }
      workers[i]->ask("counter hits_total Hits");
      workers[i]->ask("count");
      if (is_next == next_won) expected += 1;
    }
    EXPECT_TRUE(next_won) << "with nobody counting, the newer one replaces";
    const auto dump = tests::run_command({SHMETRICS_PROGRAM_NEXT, "dump", path_, "--format", "text"});
    EXPECT_THAT(dump.out, HasSubstr("hits_total 3\n")) << dump.error;
    EXPECT_EQ(expected, 3);
  }
}

TEST_F(LayoutSkewTest, AnExporterOfTheOtherReleaseSaysDownAndWhy) {
  struct Pair {
    const char* worker;
    const char* other_worker;
    const char* exporter;
  };
  for (const auto& [worker, other_worker, program] :
       {Pair{SHMETRICS_WORKER_NEXT, SHMETRICS_WORKER, SHMETRICS_EXPORTER_PROGRAM},
        Pair{SHMETRICS_WORKER, SHMETRICS_WORKER_NEXT, SHMETRICS_EXPORTER_NEXT}}) {
    std::filesystem::remove(path_);
    const auto alive = counting(worker);
    tests::RunningExporter exporter({.segment = path_, .program = program});
    const std::string body = scraped(exporter);
    EXPECT_THAT(body, HasSubstr("\nshmetrics_segment_up 0\n"));
    EXPECT_THAT(body, Not(HasSubstr("hits_total")));
    EXPECT_TRUE(exporter.child().says("has layout version")) << exporter.child().err();
    EXPECT_THAT(exporter.child().err(), names_both_versions());
    alive->finish();
    std::filesystem::remove(path_);
    const auto own = counting(other_worker);
    EXPECT_THAT(scraped(exporter), AllOf(HasSubstr("\nshmetrics_segment_up 1\n"), HasSubstr("\nhits_total 1\n")))
        << "it recovers by itself";
  }
}

TEST_F(LayoutSkewTest, ARollForwardUnderARunningExporterIsDownUntilTheExporterFollows) {
  auto old = counting(SHMETRICS_WORKER);
  tests::RunningExporter exporter({.segment = path_});
  EXPECT_THAT(scraped(exporter), HasSubstr("\nhits_total 1\n"));
  old->finish();
  const auto next = counting(SHMETRICS_WORKER_NEXT);
  EXPECT_THAT(scraped(exporter), AllOf(HasSubstr("\nshmetrics_segment_up 0\n"), Not(HasSubstr("hits_total"))))
      << "old values are not served on";
  tests::RunningExporter follower({.segment = path_, .program = SHMETRICS_EXPORTER_NEXT});
  EXPECT_THAT(scraped(follower), HasSubstr("\nhits_total 1\n"));
}

TEST_F(LayoutSkewTest, ToolsOfTheOtherReleaseGiveNoAnswer) {
  counting(SHMETRICS_WORKER_NEXT)->finish();
  struct Case {
    std::vector<std::string> arguments;
    int code;
  };
  for (const Case& tool : {Case{{"check", path_}, 2}, Case{{"diff", path_, path_}, 2}, Case{{"dump", path_}, 1},
                           Case{{"top", path_, "--once"}, 1}}) {
    for (const char* program : {SHMETRICS_PROGRAM, SHMETRICS_PROGRAM_NEXT}) {
      std::vector<std::string> command{program};
      command.insert(command.end(), tool.arguments.begin(), tool.arguments.end());
      const auto outcome = tests::run_command(command);
      if (program == std::string(SHMETRICS_PROGRAM_NEXT)) {
        EXPECT_EQ(outcome.code, 0) << tool.arguments[0] << outcome.error;
        continue;
      }
      EXPECT_EQ(outcome.code, tool.code) << tool.arguments[0];
      EXPECT_THAT(outcome.error + outcome.out, names_both_versions()) << tool.arguments[0];
    }
  }
}

}  // namespace
}  // namespace shmetrics
