// `shmetrics doctor`: each story of a missing metric, played with real workers, is told with what to do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <shmetrics/shmetrics.hpp>

#include "tests/collector/segment_builder.hpp"
#include "tests/live_worker.hpp"
#include "tests/small_tmpfs.hpp"
#include "tests/temporary_folder.hpp"
#include "tests/tools/run_program.hpp"

namespace shmetrics {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using tests::LiveWorker;
using tests::Outcome;
using tests::run_program;

class Doctor : public ::testing::Test {
 protected:
  void SetUp() override { chmod(folder_.file("").c_str(), 0755); }
  Outcome asked() const { return run_program({"doctor", path_}); }

  tests::TemporaryFolder folder_;
  std::string path_ = folder_.file("app.seg");
  Options options_{.path = path_, .quiet = true};
};

TEST_F(Doctor, OfAHealthySegmentHasNoProblemAndSaysHowToAskTheExporter) {
  const LiveWorker worker(options_, [](const Registry& registry) { registry.counter("app_total", "Help").inc(); });
  const Outcome outcome = asked();
  EXPECT_EQ(outcome.code, 0) << outcome.out;
  EXPECT_EQ(outcome.error, "");
  EXPECT_THAT(
      outcome.out,
      AllOf(StartsWith(path_ + "\nok       it is a segment, and sound\n"), HasSubstr("ok       1 worker is alive\n"),
            HasSubstr("ok       families: 1, series: 1;"),
            HasSubstr("\n  curl -fsS -H \"Authorization: Bearer $METRICS_TOKEN\""), Not(HasSubstr("problem  "))));
}

TEST_F(Doctor, WithoutASegmentNamesTheOneThatIsThereAndAFolderThatIsNot) {
  Options elsewhere = options_;
  elsewhere.path = folder_.file("other.seg");
  const LiveWorker worker(elsewhere, [](const Registry& registry) { registry.counter("app_total", "Help").inc(); });
  const Outcome missing = asked();
  EXPECT_EQ(missing.code, 2);
  EXPECT_THAT(missing.out, AllOf(HasSubstr("problem  no segment at " + path_),
                                 HasSubstr("note     here is another one: " + elsewhere.path + ", of ")));
  const Outcome nowhere = run_program({"doctor", folder_.file("none/app.seg")});
  EXPECT_EQ(nowhere.code, 2);
  EXPECT_THAT(nowhere.out, HasSubstr("there is no folder " + folder_.file("none/") + "; make it"));
}

TEST_F(Doctor, NamesAtMostFiveOthersAlsoBesideABareFileName) {
  for (const char* name : {"1", "2", "3", "4", "5", "6", "7"}) std::ofstream(folder_.file(name) + std::string(".seg"));
  std::filesystem::current_path(folder_.file(""));
  const std::string said = run_program({"doctor", "app.seg"}).out;
  EXPECT_THAT(said, AllOf(HasSubstr("here is another one: ./1.seg"), HasSubstr("./5.seg"), Not(HasSubstr("./6.seg"))));
}

TEST_F(Doctor, OfAFileThatIsNoSegmentSaysSo) {
  const Outcome outcome = run_program({"doctor", SHMETRICS_PROGRAM});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("problem  "), HasSubstr("not a segment"), Not(HasSubstr("ok  "))));
}

TEST_F(Doctor, SaysThatAllWorkersAreDead) {
  {
    const LiveWorker worker(options_, [](const Registry& registry) { registry.counter("app_total", "Help").inc(); });
  }
  const Outcome outcome = asked();
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("problem  no worker is alive: start the application"),
                                 HasSubstr("note     killed or crashed: 1 now")));
}

TEST_F(Doctor, GivesTheRemedyOfEachLoss) {
  const LiveWorker worker(options_, [](const Registry& registry) {
    registry.counter("app", "No _total").inc();
    auto paths = registry.counter("paths_total", "Help", {"path"}, {.series_limit = 1});
    paths.with("/").inc();
    paths.with("/a").inc();
    registry.float_counter("seconds_total", "Help").inc(-1);
  });
  const Outcome outcome = asked();
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("problem  declarations refused, rule: 1; a name, label, bound or help breaks a rule"),
                    HasSubstr("problem  updates dropped, refused_family: 1; their declaration was refused"),
                    HasSubstr("problem  label sets of paths_total in __overflow__, series_limit: 1; use a label with"),
                    HasSubstr("problem  values refused, negative: 1; counters take no negative value")));
}

TEST_F(Doctor, SaysThatItsFileSystemIsFull) {
  const tests::SmallTmpfs tmpfs(4 << 20);
  if (!tmpfs.refusal().empty()) GTEST_SKIP() << tmpfs.refusal();
  options_.path = tmpfs.file("app.seg");
  const LiveWorker worker(options_, [](const Registry& registry) { registry.counter("app_total", "Help").inc(); });
  tmpfs.fill(1);
  const Outcome outcome = run_program({"doctor", options_.path});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.out, HasSubstr("problem  its file system has 4 KiB left"));
  EXPECT_THAT(run_program({"doctor", tmpfs.file("other.seg")}).out,
              AllOf(HasSubstr("problem  no segment at"), HasSubstr("problem  its file system has 4 KiB left")));
}

TEST_F(Doctor, OfAUserWhoMayNotReadSaysWhoMay) {
  if (geteuid() != 0) GTEST_SKIP() << "NOT TESTED: another user is needed (needs root)";
  const LiveWorker worker(options_, [](const Registry& registry) { registry.counter("app_total", "Help").inc(); });
  const Outcome outcome = tests::run_command(
      {"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", SHMETRICS_PROGRAM, "doctor", path_});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("problem  no permission"), HasSubstr("belongs to uid 0")));
  ASSERT_EQ(chmod(path_.c_str(), 0644), 0);
  EXPECT_THAT(asked().out, HasSubstr("problem  every user of this machine may open it: chmod o-rw " + path_));
  ASSERT_EQ(chmod(path_.c_str(), 0640), 0);
  EXPECT_THAT(asked().out,
              HasSubstr("ok       it belongs to root; an exporter of root may read it, and one in group root with"));
}

TEST_F(Doctor, OfASegmentThatWasCutShortSaysSoOnce) {
  {
    const LiveWorker worker(options_, [](const Registry& registry) { registry.counter("app_total", "Help").inc(); });
  }
  std::filesystem::resize_file(path_, 100'000);
  const Outcome outcome = asked();
  EXPECT_EQ(outcome.code, 1);
  const std::size_t first = outcome.out.find("was truncated");
  EXPECT_NE(first, std::string::npos);
  EXPECT_EQ(outcome.out.find("was truncated", first + 1), std::string::npos) << outcome.out;
}

TEST_F(Doctor, OfADamagedSegmentNamesTheDamage) {
  tests::SegmentBuilder segment;
  segment.family(tests::counter("app_total"));
  segment.base()[segment.geometry().directory() + segment.geometry().heap() + 40] ^= std::byte{1};
  const Outcome outcome = run_program({"doctor", segment.path()});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("problem  directory entry 0: "), Not(HasSubstr("and sound"))));
}

}  // namespace
}  // namespace shmetrics
