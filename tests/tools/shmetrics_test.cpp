// The program `shmetrics`: what scripts rely on. Exit codes, where things are written, one line an error.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/collector/segment_builder.hpp"
#include "tests/collector/text_checker.hpp"
#include "tests/tools/run_program.hpp"

namespace shmetrics {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using tests::Outcome;
using tests::run_program;

class Program : public ::testing::Test {
 protected:
  Program() {
    const auto requests = segment_.family(tests::counter("app_requests_total", {"method"}));
    segment_.thread(0, segment_.series(requests, {"GET"})).store_relaxed(7);
    segment_.family(tests::histogram("app_seconds", {0.5}));
    segment_.family(tests::counter("other_total"));
    alive_ = segment_.live(0);
    segment_.view().worker(0).pid.store_relaxed(4711);
  }
  void expect_failure(const Outcome& outcome, int code, const std::string& what) {
    EXPECT_EQ(outcome.code, code) << outcome.error;
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.error, AllOf(StartsWith("shmetrics: "), HasSubstr(what)));
    EXPECT_EQ(std::count(outcome.error.begin(), outcome.error.end(), '\n'), 1) << outcome.error;
  }

  tests::SegmentBuilder segment_;
  shm::Descriptor alive_;
};

TEST_F(Program, DumpShowsATable) {
  const Outcome outcome = run_program({"dump", segment_.path()});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.error, "");
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("app_requests_total{method=\"GET\"}  7\n"), HasSubstr("workers   1 live"),
                                 HasSubstr("app_seconds  count 0  sum 0\n"), Not(HasSubstr("4711"))));
}

TEST_F(Program, DumpShowsWorkersWhenAsked) {
  EXPECT_THAT(run_program({"dump", "--workers", segment_.path()}).out, AllOf(HasSubstr("4711"), HasSubstr("live")));
}

TEST_F(Program, DumpTextIsTheTextFormatAndNothingElse) {
  const Outcome outcome = run_program({"dump", segment_.path(), "--format", "text"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(tests::TextChecker::problem(outcome.out), "");
  EXPECT_THAT(outcome.out, AllOf(StartsWith("# HELP app_requests_total Help.\n"), Not(HasSubstr("shmetrics_"))));
}

TEST_F(Program, DumpShowsTheFamiliesOfAPattern) {
  const Outcome outcome = run_program({"dump", "--format=text", "--family", "app_*", segment_.path()});
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("app_requests_total"), Not(HasSubstr("other_total"))));
  EXPECT_EQ(run_program({"dump", "--format=text", "--family", "nothing", segment_.path()}).code, 0);
}

TEST_F(Program, ThePathIsByDefaultTheClients) {
  setenv("SHMETRICS_SEGMENT", segment_.path().c_str(), 1);
  EXPECT_THAT(run_program({"dump"}).out, HasSubstr(segment_.path()));
  EXPECT_EQ(run_program({"check"}).code, 0);
  unsetenv("SHMETRICS_SEGMENT");
}

TEST_F(Program, ADeadSegmentAndACopyAreShownToo) {
  alive_.reset();
  EXPECT_THAT(run_program({"dump", segment_.path()}).out, HasSubstr("0 live, 1 dead"));
  const std::string copy = segment_.path() + ".copy";
  std::filesystem::copy_file(segment_.path(), copy);
  EXPECT_THAT(run_program({"dump", copy}).out, HasSubstr("app_requests_total{method=\"GET\"}  7\n"));
  EXPECT_EQ(run_program({"check", copy}).code, 0);
  unlink(copy.c_str());
}

TEST_F(Program, DumpWithoutASegmentFails) {
  expect_failure(run_program({"dump", "/dev/shm/shmetrics-test-none"}), 1, "shmetrics-test-none");
  expect_failure(run_program({"dump", "/dev/shm"}), 1, "/dev/shm");
  segment_.base()[0] ^= std::byte{1};
  expect_failure(run_program({"dump", segment_.path()}), 1, "first bytes");
}

TEST_F(Program, AWrongCommandLineIsTwoWhateverTheSubcommand) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{},
                                                    {"frobnicate"},
                                                    {"dump", "--format", "xml"},
                                                    {"dump", "--nonsense"},
                                                    {"dump", "a", "b"},
                                                    {"check", "a", "b"},
                                                    {"check", "--format", "text"},
                                                    {"dump", "--format"},
                                                    {"dump", "--workers", "--format", "text"}}) {
    expect_failure(run_program(arguments), 2, "");
  }
  expect_failure(run_program({"frobnicate"}), 2, "no command frobnicate; see shmetrics --help");
  expect_failure(run_program({"dump", "--nonsense"}), 2, "--nonsense; see shmetrics dump --help");
}

TEST_F(Program, CheckSaysSoundDamagedOrNoAnswer) {
  EXPECT_EQ(run_program({"check", segment_.path()}).code, 0);
  expect_failure(run_program({"check", "/dev/shm/shmetrics-test-none"}), 2, "shmetrics-test-none");
  expect_failure(run_program({"check", SHMETRICS_PROGRAM}), 2, "not a segment");

  segment_.base()[segment_.geometry().directory() + segment_.geometry().heap() + 200] ^= std::byte{1};
  const Outcome damaged = run_program({"check", segment_.path()});
  EXPECT_EQ(damaged.code, 1);
  EXPECT_EQ(damaged.error, "");
  EXPECT_THAT(damaged.out, HasSubstr("directory entry 2: "));
}

TEST_F(Program, HelpAndVersionAreNoErrors) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"--help"},
                                                    {"dump", "--help"},
                                                    {"check", "-h"},
                                                    {"doctor", "--help"},
                                                    {"top", "--help"},
                                                    {"diff", "-h"}}) {
    const Outcome outcome = run_program(arguments);
    EXPECT_EQ(outcome.code, 0);
    EXPECT_EQ(outcome.error, "");
    EXPECT_THAT(outcome.out, AllOf(HasSubstr("Examples:"), HasSubstr("  shmetrics ")));
  }
  EXPECT_THAT(run_program({"--version"}).out, StartsWith("shmetrics "));
}

TEST_F(Program, AClosedPipeIsNoError) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  close(ends[0]);
  const Outcome outcome = run_program({"dump", segment_.path()}, ends[1]);
  close(ends[1]);
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.error, "");
}

TEST_F(Program, AFullDiskIsAnError) {
  const shm::Descriptor full(open("/dev/full", O_WRONLY));
  expect_failure(run_program({"dump", segment_.path()}, full.get()), 1, "stdout");
  EXPECT_EQ(run_program({"check", segment_.path()}, full.get()).code, 2);
}

}  // namespace
}  // namespace shmetrics
