// What a process says of mistakes: one line a cause, on stderr or to whom the application names, or nothing.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>
#include <vector>

#include "tests/client/refusing.hpp"

namespace shmetrics {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::SizeIs;
using ::testing::StartsWith;

class MessageTest : public ::testing::Test {
 protected:
  MessageTest() {
    unsetenv("SHMETRICS_QUIET");
    options_.path = folder_.file("a.seg");
  }
  Registry open() const { return Registry::open(options_); }
  /// The lines on stderr of a process that does that.
  template <typename Act>
  std::vector<std::string> said(Act act) const {
    const std::string file = folder_.file("stderr");
    const pid_t child = tests::forked([&] {
      const int output = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
      if (dup2(output, STDERR_FILENO) < 0) return 1;
      act(open());
      return 0;
    });
    EXPECT_EQ(tests::wait_for(child), 0);
    std::vector<std::string> lines;
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  }
  static void break_a_rule(const Registry& registry) { static_cast<void>(registry.counter("hits", "H").error()); }
  static void declare_twice(const Registry& registry) {
    static_cast<void>(registry.counter("twice_total", "T", {"a"}).error());
    static_cast<void>(registry.counter("twice_total", "T", {"b"}).error());
  }

  tests::TemporaryFolder folder_;
  Options options_;
};

TEST_F(MessageTest, ASegmentThatCannotBeOpenedIsSaidOnceAProcess) {
  Options nowhere = options_;
  nowhere.path = folder_.file("none/a.seg");
  const auto try_often = [&](const Registry&) {
    for (int i = 0; i < 3; ++i) {
      std::error_code error;
      EXPECT_FALSE(Registry::open(nowhere, error));
    }
  };
  EXPECT_THAT(said(try_often), ElementsAre(AllOf(StartsWith("shmetrics: "), HasSubstr("make the folder"),
                                                 HasSubstr("are not counted"))));
  nowhere.quiet = true;
  EXPECT_THAT(said(try_often), IsEmpty());
}

TEST_F(MessageTest, AWrongNumberOfValuesIsSaidOnce) {
  EXPECT_THAT(said([](const Registry& registry) {
                const auto hits = registry.counter("hits_total", "H", {{"method", "status"}});  // braces too many
                for (int i = 0; i < 3; ++i) hits.with("GET").inc();
                hits.with("GET", 200).inc();
              }),
              ElementsAre("shmetrics: 'hits_total' takes 2 label values and was given 1: such updates are dropped"));
}

TEST_F(MessageTest, AMistakeIsSaidOnceACauseAndProcess) {
  const auto lines = said([](const Registry& registry) {
    for (int i = 0; i < 100; ++i) {
      break_a_rule(registry);
      declare_twice(registry);
    }
    static_cast<void>(registry.gauge("another_total", "also against a rule").error());
  });
  EXPECT_THAT(lines, ElementsAre(AllOf(StartsWith("shmetrics: "), HasSubstr("'hits_total'")),
                                 AllOf(StartsWith("shmetrics: "), HasSubstr("'twice_total' was declared"))));
  EXPECT_THAT(said(break_a_rule), SizeIs(1)) << "the next process says it too";
}

TEST_F(MessageTest, ThreadsThatMakeOneMistakeTogetherSayItOnce) {
  EXPECT_THAT(said([](const Registry& registry) {
                std::vector<std::thread> threads;
                for (int t = 0; t < 8; ++t) threads.emplace_back([&] { break_a_rule(registry); });
                for (std::thread& thread : threads) thread.join();
              }),
              SizeIs(1));
}

TEST_F(MessageTest, WhereNothingIsWrongNothingIsSaid) {
  EXPECT_THAT(said([](const Registry& registry) {
                registry.counter("a_total", "A", {"l"}, {.series_limit = 1}).with("v").inc();
                registry.counter("a_total", "A", {"l"}).with("past the limit").inc();
                registry.gauge("g", "G").set(1);
              }),
              IsEmpty())
      << "a limit that the user set is no mistake";
}

TEST_F(MessageTest, WhoWantsItQuietHearsNothing) {
  options_.quiet = true;
  EXPECT_THAT(said(break_a_rule), IsEmpty());
  options_.quiet = false;
  setenv("SHMETRICS_QUIET", "1", 1);
  EXPECT_THAT(said(break_a_rule), IsEmpty());
  for (const char* const other : {"0", "", "yes"}) {
    setenv("SHMETRICS_QUIET", other, 1);
    EXPECT_THAT(said(break_a_rule), SizeIs(1)) << '"' << other << '"';
  }
  unsetenv("SHMETRICS_QUIET");
  EXPECT_EQ(tests::count_of(tests::scrape(options_.path).status.declarations_refused, "rule"), 5u)
      << "counted it is in any case";
}

std::vector<std::string>& heard() {
  static std::vector<std::string> lines;
  return lines;
}

TEST_F(MessageTest, AnApplicationMayTakeTheLinesInsteadOfStderr) {
  options_.on_error = [](const char* line) { heard().emplace_back(line); };
  const auto lines = said([](const Registry& registry) {
    break_a_rule(registry);
    break_a_rule(registry);
    declare_twice(registry);
    for (const std::string& line : heard()) std::fprintf(stderr, "heard: %s\n", line.c_str());
  });
  EXPECT_THAT(lines, ElementsAre(StartsWith("heard: counter 'hits' must end in"), StartsWith("heard: 'twice_total'")));
}

TEST_F(MessageTest, AnApplicationHearsOnceThatASegmentCannotBeOpened) {
  Options nowhere{.path = folder_.file("none/a.seg")};
  nowhere.on_error = [](const char* line) { heard().emplace_back(line); };
  const auto lines = said([&](const Registry&) {
    std::error_code error;
    static_cast<void>(Registry::open({.path = folder_.file("none/b.seg")}, error));  // another library's: on stderr
    for (int i = 0; i < 3; ++i) static_cast<void>(Registry::open(nowhere, error));
    for (const std::string& line : heard()) std::fprintf(stderr, "heard: %s\n", line.c_str());
  });
  EXPECT_THAT(lines,
              ElementsAre(StartsWith("shmetrics: "), AllOf(StartsWith("heard: "), HasSubstr("make the folder"))));
}

TEST_F(MessageTest, AWorkerWithoutAnEntrySaysThatItsGaugesAreDropped) {
  options_.workers = 1;
  const tests::LiveWorker only(options_, [](const Registry& registry) { registry.gauge("g", "G").set(1); });
  const auto lines = said([](const Registry& registry) {
    registry.counter("a_total", "A").inc();
    const Gauge gauge = registry.gauge("g", "G");
    for (int i = 0; i < 100; ++i) gauge.set(i);
    std::thread([&] { gauge.inc(); }).join();
  });
  EXPECT_THAT(lines, ElementsAre(AllOf(StartsWith("shmetrics: gauges of this process are dropped"),
                                       HasSubstr("shmetrics_updates_dropped_total"))));
  const tests::Scrape result = tests::scrape(options_.path);
  EXPECT_EQ(result["g"], 1);
  EXPECT_EQ(result["a_total"], 1);
  EXPECT_EQ(tests::count_of(result.status.updates_dropped, "no_entry"), 101u);
}

TEST_F(MessageTest, AFileThatLacksPartOfTheModeIsSaidOnceWithTheRemedy) {
  options_.mode = 0600;
  EXPECT_THAT(said([](const Registry&) {}), IsEmpty());
  options_.mode = 0660;
  const auto lines = said([&](const Registry&) { static_cast<void>(open()); });
  ASSERT_THAT(lines, SizeIs(1));
  EXPECT_THAT(lines[0],
              MatchesRegex("shmetrics: .*a\\.seg is there with mode 0600, and 0660 was asked for: chmod 0660 it"));
  options_.mode = 0;
  setenv("SHMETRICS_MODE", "0640", 1);
  EXPECT_THAT(said([](const Registry&) {}), ElementsAre(HasSubstr("and 0640 was asked for")));
  unsetenv("SHMETRICS_MODE");
  for (const std::uint32_t fine : {0u, 0600u, 0400u}) {
    options_.mode = fine;
    EXPECT_THAT(said([](const Registry&) {}), IsEmpty()) << "a file that grants more is fine, and so is nothing asked";
  }
}

TEST_F(MessageTest, AStderrThatNobodyReadsKeepsNoOtherThreadFromRegistering) {
  options_.mode = 0600;
  static_cast<void>(said([](const Registry&) {}));
  const std::string others = folder_.file("b.seg");
  const pid_t child = tests::forked([&] {
    const auto hits = Registry::open({.path = others}).counter("hits_total", "H", {"l"});
    int ends[2];
    if (pipe2(ends, O_NONBLOCK) != 0) return 1;
    while (write(ends[1], "x", 1) == 1) {
    }
    fcntl(ends[1], F_SETFL, 0);
    if (dup2(ends[1], STDERR_FILENO) < 0) return 1;
    options_.mode = 0660;
    std::thread([&] { static_cast<void>(open()); }).detach();  // has something to say
    usleep(300'000);
    hits.with("new").inc();
    _exit(0);
    return 1;
  });
  EXPECT_EQ(tests::wait_for(child), 0);
  EXPECT_TRUE(tests::scrape(others).has("hits_total{l=\"new\"}"));
}

TEST_F(MessageTest, AnUpdateThatCannotSaySomethingLeavesErrnoAlone) {
  options_.workers = 1;
  const tests::LiveWorker only(options_, [](const Registry& registry) { registry.gauge("g", "G").set(1); });
  const pid_t child = tests::forked([&] {
    const Gauge gauge = open().gauge("g", "G");
    close(STDERR_FILENO);
    errno = 4242;
    gauge.set(1);
    _exit(errno == 4242 ? 0 : 1);  // nothing more of it can be said on stderr
    return 2;
  });
  EXPECT_EQ(tests::wait_for(child), 0);
}

#ifndef __SANITIZE_ADDRESS__  // whose own end of a thread does not survive the unwinding of a cancelled one
TEST_F(MessageTest, AThreadIsNotCancelledWhereAnUpdateSaysSomething) {
  options_.workers = 1;
  const tests::LiveWorker only(options_, [](const Registry& registry) { registry.gauge("g", "G").set(1); });
  EXPECT_THAT(said([](const Registry& registry) {
                const Gauge gauge = registry.gauge("g", "G");
                std::thread([&] {
                  pthread_cancel(pthread_self());
                  gauge.set(1);  // writes to stderr, which is a point of cancellation
                  pthread_testcancel();
                  std::fputs("was not cancelled\n", stderr);
                }).join();
              }),
              SizeIs(1));
}
#endif

}  // namespace
}  // namespace shmetrics
