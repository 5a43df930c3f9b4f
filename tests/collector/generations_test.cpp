// Several schemas of one name: shown once, added up, over a deploy, a canary and a roll-back.
#include "collector/generations.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "collector/check.hpp"
#include "collector/json.hpp"
#include "collector/openmetrics.hpp"
#include "collector/plain_family.hpp"
#include "collector/protobuf.hpp"
#include "collector/scraper.hpp"
#include "tests/collector/scraped_segment.hpp"

namespace shmetrics::collector {
namespace {

using shm::GaugeMode;
using shm::MetricType;
using ::testing::HasSubstr;

class Generations : public tests::ScrapedSegment {
 protected:
  /// The lines that are no comment. A reader that has seen everything come shows what a fresh one does.
  std::string samples() {
    const std::string text = scrape();
    Scraper fresh(segment_.path());
    EXPECT_EQ(scrape(fresh), text);
    EXPECT_EQ(check_segment(segment_.path()).verdict, CheckReport::Verdict::kSound);
    return samples_in(text);
  }
  void count(std::uint32_t cell, std::uint64_t value) { segment_.thread(0, cell).store_relaxed(value); }
  void observe(const tests::SegmentBuilder::Family& family, std::vector<std::uint64_t> buckets, double sum) {
    segment_.thread(0, family.cell + shm::kHistogramSum).store_double_relaxed(sum);
    for (std::uint32_t i = 0; i < buckets.size(); ++i) count(family.cell + shm::kHistogramBuckets + i, buckets[i]);
  }
};

TEST_F(Generations, CountersOfOneLabelSetAddUpWhateverTheOrderOfTheirLabels) {
  const auto old = segment_.family(tests::counter("a_total", {"x", "y"}));
  count(segment_.series(old, {"1", "2"}), 10);
  count(segment_.series(old, {"2", "1"}), 100);
  EXPECT_EQ(samples(), "a_total{x=\"1\",y=\"2\"} 10\na_total{x=\"2\",y=\"1\"} 100\n");
  const auto fresh = segment_.family(tests::counter("a_total", {"y", "x"}));
  count(segment_.series(fresh, {"2", "1"}), 3);
  EXPECT_EQ(samples(), "a_total{x=\"1\",y=\"2\"} 13\na_total{x=\"2\",y=\"1\"} 100\n");
  EXPECT_EQ(status_.families, 1u);
  EXPECT_EQ(status_.series, 2u);
  EXPECT_THAT(status_.family_generations, ::testing::ElementsAre(::testing::Pair("a_total", 2)));
}

TEST_F(Generations, AnEmptyLabelValueIsNoLabel) {
  const auto old = segment_.family(tests::counter("a_total", {"method"}));
  count(segment_.series(old, {"GET"}), 1);
  count(segment_.series(old, {""}), 5);
  const auto fresh = segment_.family(tests::counter("a_total", {"method", "status"}));
  count(segment_.series(fresh, {"GET", ""}), 2);
  count(segment_.series(fresh, {"GET", "200"}), 4);
  EXPECT_EQ(samples(), "a_total 5\na_total{method=\"GET\"} 3\na_total{method=\"GET\",status=\"200\"} 4\n");
  EXPECT_THAT(plain_families(scraper_.view()).at(0).labels, ::testing::ElementsAre("method", "status"));
  EXPECT_THAT(plain_families(scraper_.view()).at(0).series.at(1).labels,
              ::testing::ElementsAre(::testing::Pair("method", "GET")));
}

TEST_F(Generations, OfOneGenerationAnEmptyLabelValueIsShown) {
  const auto family = segment_.family(tests::counter("a_total", {"x"}));
  count(segment_.series(family, {""}), 1);
  EXPECT_EQ(samples(), "a_total{x=\"\"} 1\n");
}

TEST_F(Generations, ADeployAndARollBackTakeNothingAway) {
  const auto old = segment_.family(tests::counter("a_total"));
  count(old.cell, 7);
  EXPECT_EQ(samples(), "a_total 7\n");
  const auto fresh = segment_.family(tests::counter("a_total", {"x"}));
  EXPECT_EQ(samples(), "a_total 7\n");
  const std::uint32_t series = segment_.series(fresh, {"1"});
  count(series, 1);
  EXPECT_EQ(samples(), "a_total 7\na_total{x=\"1\"} 1\n");
  count(old.cell, 8);  // who is rolled back finds its record
  EXPECT_EQ(samples(), "a_total 8\na_total{x=\"1\"} 1\n");
  segment_.family(tests::gauge("other", GaugeMode::kSum));  // cells of sums move on
  segment_.family(tests::counter("z_total"));
  EXPECT_EQ(samples(), "a_total 8\na_total{x=\"1\"} 1\nother 0\nz_total 0\n");
}

TEST_F(Generations, IntegersAndDoublesAddUpAsDoubles) {
  count(segment_.family(tests::counter("a_total")).cell, 2);
  const auto fresh = segment_.family(tests::counter("a_total", {}, shm::CellKind::kDouble));
  segment_.thread(1, fresh.cell).store_double_relaxed(0.5);
  EXPECT_EQ(samples(), "a_total 2.5\n");
}

TEST_F(Generations, CountersStopAtTheTop) {
  count(segment_.family(tests::counter("a_total")).cell, UINT64_MAX - 1);
  const auto fresh = segment_.family(tests::counter("a_total", {"x"}));
  count(segment_.series(fresh, {""}), 5);
  EXPECT_EQ(samples(), "a_total 18446744073709551615\n");
}

TEST_F(Generations, AHistogramHasTheBoundsOfAllAndNoBoundThatWasShownMoves) {
  const auto old = segment_.family(tests::histogram("h", {1, 5}));
  observe(old, {1, 2, 4}, 30);
  EXPECT_EQ(samples(), "h_bucket{le=\"1\"} 1\nh_bucket{le=\"5\"} 3\nh_bucket{le=\"+Inf\"} 7\nh_sum 30\nh_count 7\n");
  const auto fresh = segment_.family(tests::histogram("h", {2, 5, 9}));
  observe(fresh, {10, 20, 40, 80}, 1000);
  EXPECT_EQ(samples(),
            "h_bucket{le=\"1\"} 1\nh_bucket{le=\"2\"} 11\nh_bucket{le=\"5\"} 33\nh_bucket{le=\"9\"} 73\n"
            "h_bucket{le=\"+Inf\"} 157\nh_sum 1030\nh_count 157\n");
}

TEST_F(Generations, SummariesAddUp) {
  observe(segment_.family(tests::plain(MetricType::kSummary, "s")), {3}, 1.5);
  const auto fresh = segment_.family(tests::plain(MetricType::kSummary, "s", {"x"}));
  const std::uint32_t cell = segment_.series(fresh, {""});
  count(cell + shm::kHistogramBuckets, 4);
  EXPECT_EQ(samples(), "s_sum 1.5\ns_count 7\n");
}

TEST_F(Generations, OverflowSeriesAreShownOnceTheyHaveCountedAndTalliesAddUp) {
  const auto old = segment_.family(tests::counter("a_total", {"x"}));
  const auto fresh = segment_.family(tests::counter("a_total", {"x", "y"}));
  const auto same = segment_.family(tests::counter("a_total", {"y", "x"}));
  EXPECT_EQ(samples(), "");
  EXPECT_EQ(status_.series, 0u);
  segment_.spill(old.cell).store_relaxed(2);
  EXPECT_EQ(samples(), "a_total{x=\"__overflow__\"} 2\n");
  segment_.spill(fresh.cell).store_relaxed(3);
  segment_.spill(same.cell).store_relaxed(4);
  for (const auto& family : {old, fresh, same}) segment_.spill(family.tally + 1).store_relaxed(1);
  EXPECT_EQ(samples(), "a_total{x=\"__overflow__\"} 2\na_total{x=\"__overflow__\",y=\"__overflow__\"} 7\n");
  ASSERT_EQ(status_.series_overflow.size(), 1u);
  EXPECT_EQ(status_.series_overflow[0].refused.reason, "cells");
  EXPECT_EQ(status_.series_overflow[0].refused.count, 3u);
}

TEST_F(Generations, HelpAndUnitAreTheNewestsAndCreatedIsTheEarliest) {
  auto schema = tests::counter("a_seconds_total");
  segment_.family(schema, 5'000'000'000);
  schema.help = "New words.";
  schema.unit = "seconds";
  schema.labels = {"x"};
  segment_.series(segment_.family(schema), {""}, 9'000'000'000);
  EXPECT_THAT(scrape(scraper_), HasSubstr("# HELP a_seconds_total New words.\n"));
  std::string text;
  TextOutput output(text);
  FamilyGroups(scraper_.view()).for_each({}, [&](auto parts) { render_openmetrics(parts, Created::kYes, output); });
  EXPECT_THAT(text, HasSubstr("# UNIT a_seconds seconds\n"));
  EXPECT_THAT(text, HasSubstr("a_seconds_created 5\n"));
  std::string protobuf;
  TextOutput to_protobuf(protobuf);
  FamilyGroups(scraper_.view()).for_each({}, [&](auto parts) {
    render_protobuf(parts, std::chrono::system_clock::now(), to_protobuf);
  });
  EXPECT_THAT(protobuf, HasSubstr("\x1a\x04\x08\x05\x10")) << "field 3: a time whose seconds are 5";
}

TEST_F(Generations, AGaugeHasTheNewestsModeAndOfOlderOnesTheLivingAloneCount) {
  const shm::Descriptor alive = segment_.live(0);
  segment_.dead(1);
  for (const auto mode : {GaugeMode::kSum, GaugeMode::kMax, GaugeMode::kMostrecent}) {
    const std::string name(shm::mode_name(mode));
    const auto old = segment_.family(tests::gauge(name, mode));
    segment_.set_gauge(0, old.cell, 1, 10);
    segment_.set_gauge(1, old.cell, 100, 30);
    segment_.gauge_spill(old.cell + shm::kGaugeValue).store_double_relaxed(mode == GaugeMode::kMax ? 1000 : 0.0);
    const auto fresh = segment_.family(tests::gauge(name, mode, {"x"}));
    const std::uint32_t cell = segment_.series(fresh, {""});
    segment_.set_gauge(1, cell, 4, 20);
  }
  EXPECT_EQ(samples(), "max 4\nmostrecent 4\nsum 5\n");
}

TEST_F(Generations, AnotherModeOfAGaugeIsAnotherGeneration) {
  const shm::Descriptor first = segment_.live(0), second = segment_.live(1);
  const auto old = segment_.family(tests::gauge("g", GaugeMode::kLivemax));
  const auto fresh = segment_.family(tests::gauge("g", GaugeMode::kLivesum));
  segment_.set_gauge(0, old.cell, 5);
  segment_.set_gauge(1, fresh.cell, 7);
  EXPECT_EQ(samples(), "g 12\n");
  EXPECT_EQ(plain_families(scraper_.view()).at(0).mode, "livesum");
}

TEST_F(Generations, OfASharedGaugeTheNewestsWordAloneCounts) {
  const shm::Descriptor alive = segment_.live(0);
  const auto mine = segment_.family(tests::gauge("g", GaugeMode::kSum));
  const auto old = segment_.family(tests::gauge("g", GaugeMode::kShared, {"x"}));
  const std::uint32_t old_cell = segment_.series(old, {""});
  const auto fresh = segment_.family(tests::gauge("g", GaugeMode::kShared));
  segment_.set_gauge(0, mine.cell, 5);
  segment_.gauge_spill(old_cell + shm::kGaugeValue).store_double_relaxed(100);
  EXPECT_EQ(samples(), "");
  segment_.gauge_spill(fresh.cell + shm::kGaugeValue).store_double_relaxed(-0.0);
  EXPECT_EQ(samples(), "g 0\n");
  segment_.family(tests::gauge("g", GaugeMode::kLivesum));
  EXPECT_EQ(samples(), "g 5\n") << "and none beside a newest of another mode";
}

TEST_F(Generations, OneSeriesOfOneWorkerIsShownOnceWithTheNewestsValue) {
  const shm::Descriptor first = segment_.live(0), second = segment_.live(1);
  segment_.dead(2);
  for (const auto mode : {GaugeMode::kAll, GaugeMode::kLiveall}) {
    const std::string name(shm::mode_name(mode));
    const auto old = segment_.family(tests::gauge(name, mode, {"x"}));
    const auto fresh = segment_.family(tests::gauge(name, mode));
    const std::uint32_t late = segment_.series(old, {""});  // registered behind the newest's
    for (std::uint32_t worker = 0; worker < 3; ++worker) segment_.set_gauge(worker, late, 10 + worker);
    segment_.set_gauge(1, fresh.cell, 1);
  }
  EXPECT_EQ(samples(),
            "all{worker=\"0\"} 10\nall{worker=\"1\"} 1\n"
            "liveall{worker=\"0\"} 10\nliveall{worker=\"1\"} 1\n");
}

TEST_F(Generations, ALabelWorkerOfAnOlderGenerationMakesRoomForTheExporters) {
  const shm::Descriptor alive = segment_.live(0);
  const auto old = segment_.family(tests::gauge("g", GaugeMode::kLivesum, {"worker"}));
  segment_.set_gauge(0, segment_.series(old, {"own"}), 3);
  segment_.family(tests::gauge("g", GaugeMode::kLiveall));
  EXPECT_EQ(samples(), "g{exported_worker=\"own\",worker=\"0\"} 3\n");
}

TEST_F(Generations, AnInfoOfTwoGenerationsIsOne) {
  const shm::Descriptor first = segment_.live(0), second = segment_.live(1);
  const auto old = segment_.family(tests::plain(MetricType::kInfo, "a_info", {"v", "w"}));
  const auto fresh = segment_.family(tests::plain(MetricType::kInfo, "a_info", {"w", "v"}));
  segment_.set_gauge(0, segment_.series(old, {"1", "2"}), 1);
  segment_.set_gauge(1, segment_.series(fresh, {"2", "1"}), 1);
  EXPECT_EQ(samples(), "a_info{v=\"1\",w=\"2\"} 1\n");
}

TEST_F(Generations, AnotherTypeEndsThem) {
  segment_.family(tests::histogram("a", {1}));
  segment_.family(tests::histogram("a", {2}));
  EXPECT_THAT(samples(), HasSubstr("a_bucket"));
  segment_.family(tests::gauge("a", GaugeMode::kSum));
  EXPECT_EQ(samples(), "a 0\n");
  segment_.family(tests::gauge("a_count", GaugeMode::kSum, {"x"}));  // no name of the histogram is taken any more
  segment_.family(tests::histogram("a", {3}));
  EXPECT_EQ(scrape(scraper_).find("le=\"1\""), std::string::npos);
  EXPECT_TRUE(status_.family_generations.empty());
}

TEST_F(Generations, TheSeventeenthIsQuarantined) {
  std::uint32_t last = 0;
  for (std::uint32_t i = 0; i <= shm::kMaxGenerations; ++i) {
    const std::string label = "l" + std::to_string(i);
    last = segment_.series(segment_.family(tests::counter("a_total", {label})), {""});
    count(last, 1);
  }
  EXPECT_EQ(scrape(scraper_), "# HELP a_total Help.\n# TYPE a_total counter\na_total 16\n");
  EXPECT_EQ(status_.quarantined_families, 1u);
  EXPECT_EQ(status_.quarantined_series, 1u);
  EXPECT_EQ(check_segment(segment_.path()).verdict, CheckReport::Verdict::kDamaged);
}

TEST_F(Generations, JsonShowsTheNameOnceAndTheGenerationsOfIt) {
  segment_.series(segment_.family(tests::histogram("h", {1}, {"x"})), {"1"});
  segment_.family(tests::histogram("h", {1, 2}));
  segment_.family(tests::counter("z_total"));
  std::string json;
  TextOutput output(json);
  render_json(scraper_, scraper_.read(), {}, output);
  const auto families = nlohmann::json::parse(json)["families"];
  ASSERT_EQ(families.size(), 2u);
  EXPECT_EQ(families[0]["series"].size(), 2u);
  EXPECT_EQ(families[0]["generations"], nlohmann::json::parse(R"([
    {"entry": 0, "labels": ["x"], "bounds": [1.0], "mode": null, "cell_kind": "double", "series": 1},
    {"entry": 2, "labels": [], "bounds": [1.0, 2.0], "mode": null, "cell_kind": "double", "series": 1}])"));
  EXPECT_FALSE(families[1].contains("generations"));
}

TEST_F(Generations, ASegmentsNameIsTheFirstLabelOfThemAll) {
  segment_.series(segment_.family(tests::counter("a_total", {"segment"})), {"own"});
  segment_.family(tests::counter("a_total"));
  Scraper named(segment_.path(), "s");
  EXPECT_THAT(scrape(named),
              HasSubstr("\na_total{segment=\"s\"} 0\na_total{segment=\"s\",exported_segment=\"own\"} 0\n"));
}

// The text of a sum counts like any other: 16 times 64 bounds for every series, and few bytes in the directory.
TEST(GenerationsBounds, TextBeyondTheBoundIsLeftOutAndCounted) {
  constexpr std::uint64_t kSeries = 250;  // x 1,027 lines x 1.1 KiB = 290 MB
  tests::SegmentBuilder segment(
      {.workers = 1, .thread_slots = 1, .cells = 256 * shm::kGrowthCells, .directory_bytes = 1 << 20});
  for (int generation = 0; generation < 16; ++generation) {
    std::vector<double> bounds;
    for (int i = 0; i < 64; ++i) bounds.push_back(generation + i / 64.0);
    const auto family = segment.family(tests::histogram("h", bounds, {"x"}));
    for (std::uint64_t i = 0; generation == 0 && i < kSeries; ++i) {
      segment.series(family, {std::string(1000, 'a') + std::to_string(i)});
    }
  }
  Scraper scraper(segment.path());
  const SegmentStatus status = scraper.read();
  EXPECT_TRUE(status.up) << status.problem;
  EXPECT_GT(status.quarantined_series, 0u);
  EXPECT_GT(status.series, 100u);
  EXPECT_LE(scraper.view().families[0]->prefixes().bytes.size(), kMaxPrefixBytes);
}

}  // namespace
}  // namespace shmetrics::collector
