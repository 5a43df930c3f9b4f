// Declarations that are refused: each reason is told, counted, and costs nothing but the family's own updates. What was
// not refused for good heals: by the next declaration at once, by with() within two seconds.
#include <gmock/gmock.h>

#include <vector>

#include "client/control_lock.hpp"
#include "tests/client/refusing.hpp"
#include "tests/raw_log.hpp"

namespace shmetrics {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using tests::comes_within_two_seconds;
using tests::LiveWorker;

/// Somebody else in this process is registering, for as long as this lives.
class BusyThread {
 public:
  BusyThread() {
    thread_ = std::thread([this] {
      const detail::ControlGuard hold{detail::Deadline()};
      held_.pass();
      done_.receive();
    });
    held_.receive();
  }
  ~BusyThread() { end(); }
  void end() {
    if (!thread_.joinable()) return;
    done_.pass();
    thread_.join();
  }

 private:
  tests::Baton held_, done_;
  std::thread thread_;
};

class RefusalTest : public ::testing::Test {
 protected:
  Registry open() const { return segment_.open(); }
  std::uint64_t refused(std::string_view reason) const { return segment_.refused(reason); }
  std::uint64_t dropped(std::string_view reason) const { return segment_.dropped(reason); }
  tests::Scrape scrape() const { return segment_.scrape(); }
  /// A process that comes, does that, and goes in order.
  template <typename Act>
  void in_a_worker(Act act) const {
    ASSERT_EQ(tests::wait_for(tests::forked([&] {
                act(open());
                return 0;
              })),
              0);
  }
  /// All refusals but those of `reason`.
  std::uint64_t refused_otherwise(std::string_view reason) const {
    std::uint64_t others = 0;
    for (const auto& [each, count] : scrape().status.declarations_refused) others += each == reason ? 0 : count;
    return others;
  }

  tests::TemporaryFolder folder_;
  tests::RefusingSegment segment_{folder_.file("a.seg")};
};

TEST_F(RefusalTest, NothingIsRefusedWhereNothingIsWrong) {
  const Registry registry = open();
  registry.counter("a_total", "A", {"l"}).with("v").inc();
  registry.gauge("g", "G").set(1);
  const tests::Scrape result = scrape();
  EXPECT_EQ(result.status.declarations_refused.size(), 8u) << "every reason is there, at 0";
  for (const auto& [reason, count] : result.status.declarations_refused) EXPECT_EQ(count, 0u) << reason;
  for (const auto& [reason, count] : result.status.updates_dropped) EXPECT_EQ(count, 0u) << reason;
}

TEST_F(RefusalTest, EachUpdateOfARefusedFamilyIsCountedAndNoneElsewhere) {
  const Registry registry = open();
  registry.counter("hits", "no _total").inc(5);
  registry.counter("hits", "no _total", {"l"}).with("v").inc();
  registry.float_counter("cost", "no _total").inc(0.5);
  const Gauge gauge = registry.gauge("g_total", "a counter's name");
  gauge.set(1);
  gauge.inc();
  registry.histogram("h", "no bounds", {}, {}).observe(1);
  registry.summary("s", "").observe(1);
  EXPECT_EQ(dropped("refused_family"), 7u);
  EXPECT_EQ(refused("rule"), 6u);
  EXPECT_EQ(refused_otherwise("rule"), 0u);
  EXPECT_TRUE(scrape().values.empty());
  { const InFlight inert(gauge); }
  EXPECT_EQ(dropped("refused_family"), 8u) << "what was not raised is not lowered";
}

TEST_F(RefusalTest, ValuesThatAreNoneAreCountedAsSuchNotAsDropped) {
  const Registry registry = open();
  registry.counter("hits", "no _total").inc(-1);
  registry.histogram("h", "", {}, {1}).observe(std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(dropped("refused_family"), 0u);
  EXPECT_EQ(tests::count_of(scrape().status.values_refused, "negative"), 1u);
  EXPECT_EQ(tests::count_of(scrape().status.values_refused, "nan"), 1u);
}

TEST_F(RefusalTest, HoweverOftenItIsRefusedAFamilyTakesNoMemoryForIt) {
  const Registry registry = open();
  const auto declare = [&] { return registry.counter("hits", "no _total", {"l"}); };
  const auto first = declare();
  for (int i = 0; i < 10'000; ++i) declare().with(std::to_string(i)).inc();
  EXPECT_EQ(refused("rule"), 10'001u);
  EXPECT_EQ(dropped("refused_family"), 10'000u);
  EXPECT_EQ(first.error(), declare().error()) << "one text for all";
}

TEST_F(RefusalTest, WhatIsAgainstARuleStaysRefusedUntilItIsDeclaredAnew) {
  in_a_worker([](const Registry& registry) { registry.histogram("h", "H", {}, {1}).observe(1); });
  const Registry registry = open();
  const auto taken = registry.gauge("h_created", "a name of the histogram", {"l"});
  EXPECT_EQ(taken.error(), Errc::invalid_argument);
  EXPECT_EQ(refused("rule"), 1u);
  EXPECT_FALSE(registry.gauge("h", "another metric of that name").error()) << "nobody lives who has the histogram";
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  taken.with("v").set(1);
  EXPECT_EQ(dropped("refused_family"), 1u) << "a rule is not tried again by with()";
  const auto anew = registry.gauge("h_created", "free by now", {"l"});
  EXPECT_FALSE(anew.error()) << anew.error().message();
  anew.with("v").set(2);
  EXPECT_EQ(scrape()["h_created{l=\"v\"}"], 2);
}

TEST_F(RefusalTest, AnotherTypeIsRefusedWhileAnotherWorkerLivesAndHealsWhenItHasEnded) {
  LiveWorker other(segment_.options,
                   [](const Registry& registry) { registry.histogram("job", "J", {}, {1}).observe(1); });
  const Registry registry = open();
  const auto job = registry.gauge("job", "J", {"l"});
  EXPECT_EQ(job.error(), Errc::incompatible);
  EXPECT_THAT(job.error().message(), AllOf(HasSubstr("'job'"), HasSubstr("as another type (histogram)"),
                                           HasSubstr("workers live"), HasSubstr("fresh file")));
  EXPECT_EQ(refused("other_type"), 1u);
  job.with("v").set(1);
  EXPECT_EQ(dropped("refused_family"), 1u);
  EXPECT_EQ(scrape()["job_count"], 1) << "theirs goes on";

  other.end();
  EXPECT_TRUE(comes_within_two_seconds([&] {
    job.with("v").set(3);
    return scrape().has("job{l=\"v\"}");
  }));
  EXPECT_EQ(scrape()["job{l=\"v\"}"], 3);
  EXPECT_FALSE(scrape().has("job_count")) << "the histogram is at its end";
  EXPECT_EQ(refused("other_type"), 1u) << "attempts of with() are no declarations";
}

TEST_F(RefusalTest, AnotherTypeIsTakenAtOnceByTheNextDeclarationWhenTheLiveWorkerHasEnded) {
  LiveWorker other(segment_.options,
                   [](const Registry& registry) { registry.histogram("job", "J", {}, {1}).observe(1); });
  const Registry registry = open();
  const auto before = registry.gauge("job", "J", {"l"});
  EXPECT_TRUE(before.error());
  const auto refused_at = std::chrono::steady_clock::now();
  other.end();
  before.with("v").set(1);
  const bool is_early = std::chrono::steady_clock::now() - refused_at < std::chrono::milliseconds(900);
  if (is_early) {
    EXPECT_EQ(dropped("refused_family"), 1u) << "with() tries once a second";
  }
  const auto job = registry.gauge("job", "J", {"l"});
  EXPECT_FALSE(job.error()) << job.error().message();
  job.with("v").set(2);
  EXPECT_EQ(scrape()["job{l=\"v\"}"], 2);
  EXPECT_TRUE(comes_within_two_seconds([&] {
    before.with("v").set(4);
    return scrape()["job{l=\"v\"}"] == 4;
  })) << "and who kept the refused family comes to the same one";
}

TEST_F(RefusalTest, AnIdleWorkerThatHasOnlyDeclaredKeepsAnotherTypeOutAndIsNotCounted) {
  LiveWorker other(segment_.options, [](const Registry& registry) { registry.counter("job_total", "J"); });
  const Registry registry = open();
  EXPECT_EQ(registry.summary("job_total", "J").error(), Errc::invalid_argument) << "a counter's name, whoever lives";
  LiveWorker gauge(segment_.options, [](const Registry& theirs) { theirs.gauge("size", "S"); });
  EXPECT_EQ(registry.summary("size", "S").error(), Errc::incompatible);
  EXPECT_EQ(refused("other_type"), 1u);
  EXPECT_EQ(scrape().status.workers_live, 0u) << "nobody has updated anything";
  gauge.end();
  EXPECT_TRUE(registry.summary("size", "S").error()) << "one lives still";
  other.end();
  EXPECT_FALSE(registry.summary("size", "S").error());
  EXPECT_EQ(scrape().status.worker_deaths, 0u);
}

TEST_F(RefusalTest, AnotherSchemaOfTheSameTypeIsWelcomeBesideLiveWorkers) {
  LiveWorker other(segment_.options, [](const Registry& registry) {
    registry.counter("job_total", "J", {"l"}).with("v").inc();
    registry.histogram("seconds", "S", {}, {1, 2}).observe(1);
    registry.gauge("size", "S", {}, GaugeMode::max).set(1);
  });
  const Registry registry = open();
  const auto jobs = registry.counter("job_total", "J", {"l", "kind"});
  const auto seconds = registry.histogram("seconds", "S", {}, {1, 3});
  const auto size = registry.gauge("size", "S", {}, GaugeMode::sum);
  for (const auto& error : {jobs.error(), seconds.error(), size.error()}) EXPECT_FALSE(error) << error.message();
  jobs.with("v", "").inc();
  jobs.with("v", "k").inc();
  seconds.observe(3);
  const tests::Scrape result = scrape();
  EXPECT_EQ(result["job_total{l=\"v\"}"], 2) << "without empty values it is the same label set";
  EXPECT_EQ(result["job_total{kind=\"k\",l=\"v\"}"], 1) << "labels sorted by name";
  EXPECT_EQ(result["seconds_count"], 2);
  EXPECT_EQ(result["seconds_bucket{le=\"2\"}"], 1);
  EXPECT_EQ(result["seconds_bucket{le=\"3\"}"], 2);
  EXPECT_EQ(refused_otherwise("none of them"), 0u);
}

TEST_F(RefusalTest, SixteenSchemasOfANameAreServedAndTheSeventeenthIsRefused) {
  std::vector<std::string> labels;
  for (int i = 0; i < 17; ++i) labels.push_back("l" + std::to_string(i));
  const auto declare = [&](const Registry& registry, int i) {
    const std::string_view names[] = {labels[static_cast<std::size_t>(i)]};
    return registry.counter("a_total", "A", RuntimeLabels(names));
  };
  for (int i = 0; i < 16; ++i) {
    in_a_worker([&](const Registry& registry) { declare(registry, i).with("v").inc(); });
  }
  in_a_worker([&](const Registry& registry) { declare(registry, 3).with("v").inc(); });
  EXPECT_EQ(refused("schemas"), 0u) << "one of the sixteen is no new one";
  const auto last = declare(open(), 16);
  EXPECT_EQ(last.error(), Errc::incompatible);
  EXPECT_THAT(last.error().message(), AllOf(HasSubstr("16 schemas"), HasSubstr("fresh file")));
  last.with("v").inc();
  EXPECT_EQ(refused("schemas"), 1u);
  EXPECT_EQ(dropped("refused_family"), 1u);
  const tests::Scrape result = scrape();
  EXPECT_EQ(result.values.size(), 16u);
  EXPECT_EQ(result["a_total{l3=\"v\"}"], 2);
  EXPECT_FALSE(declare(open(), 7).error()) << "a schema that is there is fine, also here";
}

TEST_F(RefusalTest, ASecondSchemaInOneProcessIsRefusedAndOneThatOnlyCountsOtherNumbersIsNot) {
  const Registry registry = open();
  registry.counter("a_total", "A", {"x"}).with("v").inc();
  const auto other_labels = registry.counter("a_total", "A", {"y"});
  EXPECT_EQ(other_labels.error(), Errc::incompatible);
  EXPECT_THAT(other_labels.error().message(), HasSubstr("with other labels before in this process"));
  registry.gauge("g", "G", {}, GaugeMode::max);
  EXPECT_THAT(registry.gauge("g", "G", {}, GaugeMode::min).error().message(), HasSubstr("with another mode (max)"));
  registry.histogram("h", "H", {}, {1});
  EXPECT_TRUE(registry.histogram("h", "H", {}, {2}).error());
  EXPECT_TRUE(registry.summary("h", "H").error()) << "of another type, too";
  EXPECT_TRUE(registry.float_counter("a_total", "A", {"y"}).error()) << "other numbers and other labels";
  EXPECT_EQ(refused("same_process"), 5u);
  EXPECT_EQ(refused_otherwise("same_process"), 0u);
  EXPECT_FALSE(registry.float_counter("a_total", "A", {"x"}).error());
  other_labels.with("v").inc();
  EXPECT_EQ(dropped("refused_family"), 1u);
  EXPECT_EQ(tests::wait_for(tests::forked(
                [&] { return registry.counter("a_total", "A", {"y"}).error() == Errc::incompatible ? 0 : 1; })),
            0)
      << "a child has declared what its parent has";
}

TEST_F(RefusalTest, ANameThatANewerReleaseHasWrittenIsRefusedAndSaysWhatToDo) {
  const Registry registry = open();
  tests::RawLog(segment_.options.path).family("app_news_total", {.type = 6, .thread_cells = 3});
  const auto news = registry.counter("app_news_total", "N", {"l"});
  EXPECT_EQ(news.error(), Errc::incompatible);
  EXPECT_THAT(news.error().message(), AllOf(HasSubstr("newer release"), HasSubstr("upgrade this program")));
  EXPECT_EQ(refused("newer_release"), 1u);
  news.with("v").inc();
  EXPECT_EQ(dropped("refused_family"), 1u);
  const auto other = registry.counter("other_total", "O", {"l"});
  EXPECT_FALSE(other.error());
  other.with("v").inc();
  EXPECT_EQ(scrape()["other_total{l=\"v\"}"], 1);
  EXPECT_EQ(refused_otherwise("newer_release"), 0u);
}

TEST_F(RefusalTest, AFullDirectoryRefusesAndWhatIsKnownGoesOn) {
  segment_.options.directory_bytes = 4096;
  const Registry registry = open();
  const auto first = registry.counter("a_total", "A", {"l"});
  first.with("before").inc();
  std::error_code error;
  for (int i = 0; i < 100 && !error; ++i) {
    error = registry.counter("b" + std::to_string(i) + "_total", std::string(100, 'h')).error();
  }
  EXPECT_EQ(error, Errc::full);
  EXPECT_THAT(error.message(), AllOf(HasSubstr("directory of 4096 bytes"), HasSubstr("option directory_bytes")));
  EXPECT_EQ(refused("directory"), 1u);
  const auto late = registry.counter("late_total", std::string(100, 'h'), {"l"});
  EXPECT_EQ(late.error(), Errc::full);
  late.with("v").inc();
  EXPECT_EQ(dropped("refused_family"), 1u);
  EXPECT_FALSE(registry.counter("a_total", "A", {"l"}).error()) << "what is there is found";
  first.with("before").inc();
  EXPECT_EQ(scrape()["a_total{l=\"before\"}"], 2);
  EXPECT_EQ(refused_otherwise("directory"), 0u);
}

TEST_F(RefusalTest, WithoutEntriesLeftADeclarationIsRefusedAlsoWhereBytesWouldDo) {
  segment_.options.directory_bytes = 4096;
  const Registry registry = open();
  const auto hits = registry.counter("a_total", "A", {"l"});
  for (int i = 0; i < 60; ++i) hits.with(std::to_string(i)).inc();
  EXPECT_EQ(scrape().status.series, 55u) << "56 entries, one of them the family's";
  EXPECT_EQ(registry.counter("b_total", "B").error(), Errc::full);
  EXPECT_EQ(refused("directory"), 1u);
}

TEST_F(RefusalTest, WithoutCellsLeftADeclarationIsRefusedAndNamesTheOption) {
  segment_.options.cells = 2048;
  const Registry registry = open();
  std::error_code error;
  int declared = 0;
  for (; declared < 100 && !error; ++declared) {
    error = registry.histogram("h" + std::to_string(declared), "H", {}, linear_buckets(1, 1, 64)).error();
  }
  EXPECT_EQ(error, Errc::full);
  EXPECT_EQ(declared - 1, (2048 - 64) / 67) << "as many as fit";
  EXPECT_THAT(error.message(), AllOf(HasSubstr("2048 cells"), HasSubstr("option cells")));
  EXPECT_EQ(refused("directory"), 1u);
  EXPECT_FALSE(registry.counter("a_total", "one cell").error());
  EXPECT_FALSE(registry.gauge("g", "cells of their own").error());
}

TEST_F(RefusalTest, WhileAThreadOfThisProcessRegistersForLongADeclarationIsRefusedAndHeals) {
  const Registry registry = open();
  const auto known = registry.counter("a_total", "A", {"l"});
  const auto depth = registry.gauge("depth", "D", {"l"});
  known.with("old").inc();
  BusyThread busy;
  const auto start = std::chrono::steady_clock::now();
  const auto late = registry.counter("b_total", "B", {"l"});
  const auto waited = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(late.error(), Errc::not_ready);
  EXPECT_THAT(late.error().message(), HasSubstr("declare again"));
  EXPECT_GE(waited, std::chrono::milliseconds(100));
  EXPECT_EQ(refused("busy"), 1u);
  late.with("v").inc();
  EXPECT_EQ(dropped("busy"), 1u);
  known.with("old").inc();
  known.with("new").inc();
  depth.with("new").set(1);
  EXPECT_EQ(scrape()["a_total{l=\"old\"}"], 2) << "what is known waits for nobody";
  EXPECT_EQ(scrape()["a_total{l=\"__overflow__\"}"], 1);
  EXPECT_EQ(tests::overflow_of(scrape().status, "a_total", "busy"), 1u);
  EXPECT_EQ(dropped("busy"), 2u) << "a gauge has no overflow series";

  busy.end();
  known.with("new").inc();
  EXPECT_EQ(scrape()["a_total{l=\"new\"}"], 1) << "the next with() registers";
  EXPECT_TRUE(comes_within_two_seconds([&] {
    late.with("v").inc();
    return scrape().has("b_total{l=\"v\"}");
  }));
  EXPECT_FALSE(registry.counter("c_total", "C").error());
  EXPECT_EQ(refused("busy"), 1u);
}

TEST_F(RefusalTest, AFirstGaugeWithoutAnEntryThatFindsTheLockTakenIsDroppedAsBusy) {
  segment_.options.workers = 1;
  segment_.options.quiet = true;
  LiveWorker holder(segment_.options, [](const Registry& registry) { registry.gauge("g", "G").set(1); });
  const Gauge depth = open().gauge("depth", "D");
  holder.end();
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  {
    const BusyThread busy;
    depth.set(1);
  }
  EXPECT_EQ(dropped("busy"), 1u);
  EXPECT_EQ(dropped("no_entry"), 0u);
  depth.set(2);
  EXPECT_EQ(scrape()["depth"], 2);
}

TEST_F(RefusalTest, OfManyThatWaitForOneThreadOnlyTheFirstWaitsTheWholeTime) {
  const Registry registry = open();
  const auto hits = registry.counter("a_total", "A", {"l"});
  const BusyThread busy;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 100; ++i) hits.with("new " + std::to_string(i)).inc();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2)) << "not 100 times 100 ms";
  EXPECT_EQ(scrape()["a_total{l=\"__overflow__\"}"], 100);
}

TEST_F(RefusalTest, TheNextDeclarationHealsAtOnceWhatWasRefusedAsBusy) {
  const Registry registry = open();
  {
    const BusyThread busy;
    EXPECT_EQ(registry.counter("a_total", "A").error(), Errc::not_ready);
  }
  const Counter hits = registry.counter("a_total", "A");
  hits.inc();
  EXPECT_EQ(scrape()["a_total"], 1);
}

}  // namespace
}  // namespace shmetrics
