// Exemplars as workers give them: kept in the thread's own slot, or dropped and counted; the update counts.
#include <gtest/gtest.h>
#include <unistd.h>
#include <shmetrics/shmetrics.hpp>

#include <cmath>
#include <ctime>
#include <string>
#include <thread>
#include <type_traits>

#include "collector/plain_family.hpp"
#include "examples/current_exemplar.hpp"
#include "shm/layout.hpp"
#include "tests/forked.hpp"
#include "tests/quiet_update.hpp"
#include "tests/scrape.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics {
namespace {

constexpr std::string_view kTrace = "0af7651916cd43dd8448eb211c80319c", kSpan = "b7ad6b7169203331";

class ExemplarTest : public ::testing::Test {
 protected:
  static Registry open(const std::string& path, std::uint32_t slots = 8) {
    Options options;
    options.path = path;
    options.slots = slots;
    return Registry::open(options);
  }
  /// All exemplars that a scrape shows of a family without labels.
  std::vector<collector::PlainExemplar> shown(const std::string& name, const std::string& path) const {
    collector::Scraper scraper(path);
    scraper.read();
    for (const collector::PlainFamily& family : plain_families(scraper.view())) {
      if (family.name == name) return family.series.at(0).exemplars;
    }
    return {};
  }
  std::vector<collector::PlainExemplar> shown(const std::string& name) const { return shown(name, path_); }
  std::uint64_t dropped(std::string_view reason) const {
    return tests::count_of(tests::scrape(path_).status.exemplars_dropped, reason);
  }

  tests::TemporaryFolder folder_;
  std::string path_ = folder_.file("a.seg");
  Registry registry_ = open(path_);
};

TEST_F(ExemplarTest, ACounterShowsTheTraceOfItsLastIncrementThatHadOne) {
  const double before = static_cast<double>(std::time(nullptr));
  const Counter hits = registry_.counter("hits_total", "Hits", {}, {.exemplars = true});
  EXPECT_TRUE(shown("hits_total").empty());
  hits.inc(2, {kTrace, kSpan});
  hits.inc(3);
  const auto exemplars = shown("hits_total");
  ASSERT_EQ(exemplars.size(), 1u);
  EXPECT_EQ(exemplars[0].value, 2);
  const std::vector<std::pair<std::string, std::string>> labels = {{"trace_id", std::string(kTrace)},
                                                                   {"span_id", std::string(kSpan)}};
  EXPECT_EQ(exemplars[0].labels, labels);
  EXPECT_GE(exemplars[0].unix_seconds, before - 1);
  EXPECT_LE(exemplars[0].unix_seconds, static_cast<double>(std::time(nullptr)) + 1);
  EXPECT_EQ(tests::scrape(path_)["hits_total"], 5);
}

TEST_F(ExemplarTest, EachBucketKeepsItsNewest) {
  const Histogram times = registry_.histogram("seconds", "Times", {}, {1, 2}, {.exemplars = true});
  times.observe(0.5, {"a"});
  times.observe(1, {"b"});
  times.observe(INFINITY, {"c"});
  const auto exemplars = shown("seconds");
  ASSERT_EQ(exemplars.size(), 2u);
  EXPECT_EQ(exemplars[0].value, 1) << "a bound belongs to its bucket";
  EXPECT_EQ(exemplars[0].labels.at(0).second, "b");
  EXPECT_EQ(exemplars[1].labels.at(0).second, "c");
  EXPECT_EQ(tests::scrape(path_)["seconds_count"], 3);
}

TEST_F(ExemplarTest, FloatCountersAndLabelledSeriesHaveThemToo) {
  const auto cost = registry_.float_counter("cost_total", "Cost", {"to"}, {.series_limit = 1, .exemplars = true});
  cost.with("A").inc(0.5, {kTrace});
  cost.with("B").inc(0.25, {kSpan});  // the overflow series
  collector::Scraper scraper(path_);
  scraper.read();
  const auto families = plain_families(scraper.view());
  EXPECT_EQ(families.at(0).series.at(0).exemplars.at(0).value, 0.5);
  EXPECT_EQ(families.at(0).series.at(1).labels.at(0).second, "__overflow__");
  EXPECT_EQ(families.at(0).series.at(1).exemplars.at(0).value, 0.25);
}

TEST_F(ExemplarTest, NoTraceIsNoExemplarAndNoLoss) {
  const Counter hits = registry_.counter("hits_total", "Hits", {}, {.exemplars = true});
  const Counter plain = registry_.counter("plain_total", "Hits");
  hits.inc(1, Exemplar{});
  hits.inc(1, {"", ""});
  const std::pair<std::string_view, std::string_view> empty[] = {{"tenant", ""}};
  hits.inc(1, {.labels = empty});
  plain.inc(1, Exemplar{});
  Counter().inc(1, {kTrace});
  EXPECT_TRUE(shown("hits_total").empty());
  for (const auto& counted : tests::scrape(path_).status.exemplars_dropped) EXPECT_EQ(counted.count, 0u);
  EXPECT_EQ(tests::scrape(path_)["hits_total"], 3);
}

TEST_F(ExemplarTest, AnExemplarThatCannotBeKeptIsCountedAndItsUpdateCounts) {
  const Counter hits = registry_.counter("hits_total", "Hits", {}, {.exemplars = true});
  const Counter plain = registry_.counter("plain_total", "Hits");
  const Histogram plain_times = registry_.histogram("seconds", "Times");
  using Label = std::pair<std::string_view, std::string_view>;
  plain.inc(1, {kTrace});
  plain_times.observe(1, {kTrace});
  EXPECT_EQ(dropped("not_declared"), 2u);
  const std::string long_value(shm::kMaxExemplarText - std::string_view("trace_id").size() - 2, 'x');
  hits.inc(1, {long_value});
  EXPECT_EQ(shown("hits_total").at(0).labels.at(0).second, long_value) << "as long as it may be";
  hits.inc(2, {long_value + "x"});
  hits.inc(2, {long_value, "x"});
  EXPECT_EQ(dropped("too_long"), 2u);
  for (const Label& label : {Label{"__name__", "x"}, {"1", "x"}, {"", "x"}, {"trace_id", "x"}, {"a", "\xff"}}) {
    const Label labels[] = {label};
    hits.inc(2, {.trace_id = "t", .labels = labels});
  }
  EXPECT_EQ(dropped("invalid"), 5u);
  EXPECT_EQ(shown("hits_total").at(0).value, 1) << "what was kept before stays";
  const tests::Scrape scrape = tests::scrape(path_);
  EXPECT_EQ(scrape["hits_total"], 15);
  EXPECT_EQ(scrape["plain_total"], 1);
  EXPECT_EQ(scrape["seconds_count"], 1);
}

TEST_F(ExemplarTest, ARefusedValueHasNone) {
  const Counter hits = registry_.counter("hits_total", "Hits", {}, {.exemplars = true});
  const FloatCounter cost = registry_.float_counter("cost_total", "Cost", {}, {.exemplars = true});
  const Histogram times = registry_.histogram("seconds", "Times", {}, {1}, {.exemplars = true});
  hits.inc(-1, {kTrace});
  cost.inc(NAN, {kTrace});
  cost.inc(-1, {kTrace});
  cost.inc(INFINITY, {kTrace});
  times.observe(NAN, {kTrace});
  EXPECT_TRUE(shown("hits_total").empty() && shown("cost_total").empty() && shown("seconds").empty());
}

TEST_F(ExemplarTest, AThreadWithoutASlotDropsThemAndCounts) {
  const std::string path = folder_.file("b.seg");
  const Registry registry = open(path, 1);
  const Histogram times = registry.histogram("seconds", "Times", {}, {1}, {.exemplars = true});
  times.observe(0.5, {"a"});
  std::thread([&] { times.observe(0.5, {"b"}); }).join();
  const auto exemplars = shown("seconds", path);
  ASSERT_EQ(exemplars.size(), 1u);
  EXPECT_EQ(exemplars[0].labels.at(0).second, "a");
  const tests::Scrape scrape = tests::scrape(path);
  EXPECT_EQ(scrape["seconds_count"], 2);
  EXPECT_EQ(tests::count_of(scrape.status.exemplars_dropped, "no_slot"), 1u);
}

TEST_F(ExemplarTest, TheyOutliveTheirWorkerAndTheNextOneWritesOn) {
  const Counter hits = registry_.counter("hits_total", "Hits", {}, {.exemplars = true});
  for (const char* trace : {"first", "second"}) {
    ASSERT_EQ(tests::wait_for(tests::forked([&] {
                hits.inc(1, {trace});
                return 0;
              })),
              0);
    EXPECT_EQ(shown("hits_total").at(0).labels.at(0).second, trace);
    usleep(20'000);  // a tick of the clock that tells the newer
  }
}

TEST_F(ExemplarTest, AskingForThemMakesAGenerationAndNotAskingTakesTheOneWithout) {
  const std::string path = folder_.file("b.seg");  // which only children open, each as a program of its own
  const auto declare = [&](bool exemplars) {
    return tests::wait_for(tests::forked([&] {
      const auto family = open(path).counter("hits_total", "Hits", {}, {.exemplars = exemplars});
      family.inc(1, {exemplars ? "t" : ""});
      return family ? 0 : 1;
    }));
  };
  const auto generations = [&] {
    collector::Scraper scraper(path);
    scraper.read();
    return plain_families(scraper.view()).at(0).generations.size();
  };
  EXPECT_EQ(declare(true), 0);
  EXPECT_EQ(declare(true), 0);
  EXPECT_EQ(generations(), 0u) << "both have the same";
  EXPECT_EQ(declare(false), 0);
  EXPECT_EQ(generations(), 2u);
  EXPECT_EQ(declare(false), 0);
  EXPECT_EQ(declare(true), 0);
  EXPECT_EQ(generations(), 2u) << "each finds its own";
  EXPECT_EQ(tests::scrape(path)["hits_total"], 5);
  EXPECT_EQ(shown("hits_total", path).size(), 1u);
}

TEST_F(ExemplarTest, ASecondDeclarationOfAProcessMustAskForTheSame) {
  registry_.counter("hits_total", "Hits", {}, {.exemplars = true});
  const auto again = registry_.counter("hits_total", "Hits");
  EXPECT_EQ(again.error(), Errc::incompatible);
  EXPECT_EQ(again.error().message(),
            "'hits_total' was declared with exemplars before in this process: declare it once, or choose another name");
}

TEST_F(ExemplarTest, TheExampleTakesTheCurrentSpanOfOpenTelemetry) {
  static_assert(!std::is_copy_constructible_v<CurrentExemplar> && !std::is_copy_assignable_v<CurrentExemplar>);
  using opentelemetry::trace::Tracer;
  const Counter hits = registry_.counter("hits_total", "Hits", {}, {.exemplars = true});
  Tracer::current = {{false, false, "", ""}};
  hits.inc(1, CurrentExemplar());
  Tracer::current = {{true, false, kTrace, kSpan}};
  hits.inc(1, CurrentExemplar());
  EXPECT_TRUE(shown("hits_total").empty()) << "no span, or one that is not sampled";
  Tracer::current = {{true, true, kTrace, kSpan}};
  hits.inc(2, CurrentExemplar());
  const auto exemplars = shown("hits_total");
  ASSERT_EQ(exemplars.size(), 1u);
  EXPECT_EQ(exemplars[0].value, 2);
  EXPECT_EQ(exemplars[0].labels.at(0).second, kTrace);
  EXPECT_EQ(exemplars[0].labels.at(1).second, kSpan);
}

TEST_F(ExemplarTest, OnlyCountersAndHistogramsHaveThem) {
  const auto gauge = registry_.gauge("active", "Active", {}, GaugeMode::sum, {.exemplars = true});
  EXPECT_EQ(gauge.error(), Errc::invalid_argument);
  EXPECT_EQ(gauge.error().message(), "'active': only counters and histograms have exemplars");
  EXPECT_EQ(registry_.summary("bytes", "Bytes", {}, {.exemplars = true}).error(), Errc::invalid_argument);
}

TEST_F(ExemplarTest, AFamilyWithoutThemTakesNoCellMore) {
  const auto used = [&] { return tests::scrape(path_).status.cells_used; };
  const std::uint64_t at_first = used();
  registry_.counter("a_total", "A");
  EXPECT_EQ(used(), at_first + 1);
  registry_.counter("b_total", "B", {}, {.exemplars = true});
  EXPECT_EQ(used(), at_first + 2 + shm::kExemplarCells);
  registry_.histogram("h", "H", {}, {1, 2}, {.exemplars = true});
  EXPECT_EQ(used(), at_first + 2 + shm::kExemplarCells + 5 + 3 * shm::kExemplarCells);
}

TEST_F(ExemplarTest, KeepingOneMakesNoSystemCallAndAllocatesNothing) {
  const Counter hits = registry_.counter("hits_total", "Hits", {}, {.exemplars = true});
  const Histogram times = registry_.histogram("seconds", "Times", {}, {1, 2}, {.exemplars = true});
  const Counter plain = registry_.counter("plain_total", "Hits");
  const std::string long_value(200, 'x');
  const auto update = [&] {
    hits.inc(1, {kTrace, kSpan});
    hits.inc(1, {long_value});
    times.observe(1.5, {kTrace, kSpan});
    plain.inc(1, {kTrace});
  };
  const int outcome = tests::outcome_of_quiet(update);
  if (outcome == tests::kNoSeccomp) GTEST_SKIP() << "no seccomp here";
  EXPECT_EQ(outcome, 0);
}

}  // namespace
}  // namespace shmetrics
