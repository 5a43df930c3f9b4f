// Native histograms as a reader shows them: as classic ones in text, whole in JSON, and several windows as one.
#include "collector/native_view.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "collector/check.hpp"
#include "collector/json.hpp"
#include "collector/plain_family.hpp"
#include "tests/collector/scraped_segment.hpp"

namespace shmetrics::collector {
namespace {

using shm::NativeWindow;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

NativeWindow window(double low, double high, double factor) {
  return NativeWindow::of(shm::native_bounds(low, high, factor)).value();
}

TEST(ClassicBounds, AreTheEndsAndThePowersOfTwoBetweenThem) {
  EXPECT_THAT(classic_bounds(window(1, 8, 1.1)), ElementsAre(1, 2, 4, 8));
  EXPECT_THAT(classic_bounds(window(0.9, 9, 1.5)), ElementsAre(std::sqrt(0.5), 1, 2, 4, 8, std::sqrt(128)));
  EXPECT_THAT(classic_bounds(window(1.1, 1.2, 1.1)), ElementsAre(1.0905077326652577, 1.2968395546510096));
  EXPECT_THAT(classic_bounds(window(1, 4, 1.1)), ElementsAre(1, 2, 4));
}

TEST(ClassicBounds, AreEverySecondPowerOrFewerOfAWideWindow) {
  const auto web = classic_bounds(window(std::exp2(-14), 256, 1.1));
  EXPECT_THAT(web, ElementsAre(std::exp2(-14), std::exp2(-12), std::exp2(-10), std::exp2(-8), std::exp2(-6),
                               std::exp2(-4), std::exp2(-2), 1, 4, 16, 64, 256));
  EXPECT_EQ(classic_bounds(window(1, std::exp2(21), 2)).size(), 22u) << "20 powers between the ends";
  EXPECT_EQ(classic_bounds(window(1, std::exp2(22), 2)).size(), 12u);
  EXPECT_LE(classic_bounds(window(1e-300, 1e300, 2)).size(), kMostClassicBounds);
}

TEST(ClassicBounds, OfCoarseBucketsAreTheirBorders) {
  EXPECT_THAT(classic_bounds(window(1, 65536, 16)), ElementsAre(1, 16, 256, 4096, 65536));
}

TEST(ClassicBuckets, HoldEachCellWhole) {
  const auto cells = window(0.9, 9, 1.1);
  const auto bounds = classic_bounds(cells);
  const auto buckets = classic_buckets(cells, bounds);
  ASSERT_EQ(buckets.size(), cells.bound_count() + 1);
  for (std::uint32_t i = 0; i < cells.bound_count(); ++i) {
    EXPECT_LE(cells.bound(i), bounds[buckets[i]]) << i;
    const double before = buckets[i] == 0 ? 0 : bounds[buckets[i] - 1];
    EXPECT_GT(cells.bound(i), before) << i;
  }
  EXPECT_EQ(buckets.back(), bounds.size());
}

TEST(CommonView, OfWindowsOfOneSchemaHasTheHigherZeroThresholdAndReachesAboveTheHigherEnd) {
  const auto a = window(1, 8, 2), b = window(2, 32, 2);
  for (const auto& windows : {std::vector{a, b}, std::vector{b, a}}) {
    const NativeView view = common_view(windows);
    EXPECT_EQ(view.schema, 0);
    EXPECT_EQ(view.zero_threshold(), 2);
    EXPECT_EQ(view.cells, 6u) << "zero, 4, 8, 16, 32, above";
    EXPECT_THAT(cells_in(view, a), ElementsAre(0, 0, 1, 2, 3)) << "above 8 stays above 8";
    EXPECT_THAT(cells_in(view, b), ElementsAre(0, 1, 2, 3, 4, 5));
  }
}

TEST(CommonView, OfSeveralSchemasHasTheCoarsest) {
  const auto fine = window(1.5, 6, 1.5), coarse = window(1, 16, 4);  // schemas 1 and -1
  const NativeView view = common_view(std::vector{fine, coarse});
  EXPECT_EQ(view.schema, -1);
  EXPECT_EQ(view.zero_threshold(), 4) << "the first border that the fine low one, 1.41, is not above";
  // 1.41 2 2.83 4 5.66 8 above: up to 4, up to 16
  EXPECT_THAT(cells_in(view, fine), ElementsAre(0, 0, 0, 0, 1, 1, 1));
  EXPECT_THAT(cells_in(view, coarse), ElementsAre(0, 0, 1, 2));
}

TEST(CommonView, OfWindowsFarApartHasTheLowOneInItsZeroBucketAndIsNoCoarser) {
  const auto low = window(1e-300, 2e-300, 1.003), high = window(1e300, 2e300, 1.003);
  const NativeView view = common_view(std::vector{low, high});
  EXPECT_EQ(view.schema, std::min(low.schema, high.schema));
  EXPECT_EQ(view.zero_threshold(), high.bound(0));
  EXPECT_EQ(view.cells, high.bound_count() + 1);
  EXPECT_THAT(cells_in(view, low), ::testing::Each(0));
  EXPECT_EQ(cells_in(view, high).back(), view.cells - 1);
}

/// {offset, length} of the spans, and the counts that the deltas add up to.
using Decoded = std::pair<std::vector<std::pair<int, int>>, std::vector<std::int64_t>>;
Decoded spans_of(std::int32_t low_key, const std::vector<std::uint64_t>& cells) {
  const NativeView view{.schema = 0, .low_key = low_key, .cells = static_cast<std::uint32_t>(cells.size())};
  const NativeSpans found = native_spans(view, cells);
  Decoded decoded;
  for (const auto& span : found.spans) decoded.first.emplace_back(span.offset, span.length);
  std::int64_t count = 0;
  for (const std::int64_t delta : found.deltas) decoded.second.push_back(count += delta);
  return decoded;
}

TEST(NativeSpans, AreTheStretchesThatHaveCounted) {
  EXPECT_EQ(spans_of(0, {9, 0, 0}), Decoded({}, {})) << "the zero bucket is none of them";
  EXPECT_EQ(spans_of(0, {0, 5, 2}), Decoded({{1, 2}}, {5, 2}));
  EXPECT_EQ(spans_of(-3, {0, 5, 2, 7}), Decoded({{-2, 3}}, {5, 2, 7}));
  EXPECT_EQ(spans_of(-3, {0, 0, 5}), Decoded({{-1, 1}}, {5}));
}

TEST(NativeSpans, FillGapsOfTwoAndPartAtThree) {
  EXPECT_EQ(spans_of(0, {0, 5, 0, 7, 0, 0, 8}), Decoded({{1, 6}}, {5, 0, 7, 0, 0, 8}));
  EXPECT_EQ(spans_of(0, {0, 5, 0, 0, 0, 7, 1}), Decoded({{1, 1}, {3, 2}}, {5, 7, 1}));
  EXPECT_EQ(spans_of(-9, {0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 1}), Decoded({{-8, 1}, {4, 1}, {3, 1}}, {1, 1, 1}));
  EXPECT_EQ(spans_of(0, {0, 1, 0, 0, 0, 0}), Decoded({{1, 1}}, {1})) << "nothing empty at the end";
}

class NativeHistograms : public tests::ScrapedSegment {
 protected:
  void count(std::uint32_t first, const std::vector<std::uint64_t>& cells, double sum) {
    segment_.thread(0, first + shm::kHistogramSum).store_double_relaxed(sum);
    for (std::uint32_t i = 0; i < cells.size(); ++i) {
      segment_.thread(0, first + shm::kHistogramBuckets + i).store_relaxed(cells[i]);
    }
  }
  NativeDistribution native() {
    const auto families = plain_families(scraper_.view());
    return std::get<Distribution>(families.at(0).series.at(0).value).native.value();
  }
  std::string samples() {
    const std::string text = scrape();
    EXPECT_EQ(check_segment(segment_.path()).verdict, CheckReport::Verdict::kSound);
    return samples_in(text);
  }
};

TEST_F(NativeHistograms, AreClassicOnesInText) {
  const auto family = segment_.family(tests::native_histogram("h", 1, 4, 1.5));
  count(family.cell, {5, 1, 2, 3, 4, 6}, 30);  // 1 1.41 2 2.83 4 above
  EXPECT_EQ(samples(),
            "h_bucket{le=\"1\"} 5\nh_bucket{le=\"2\"} 8\nh_bucket{le=\"4\"} 15\nh_bucket{le=\"+Inf\"} 21\n"
            "h_sum 30\nh_count 21\n");
}

TEST_F(NativeHistograms, AreWholeInJson) {
  const auto family = segment_.family(tests::native_histogram("h", 1, 4, 2));
  count(family.cell, {5, 0, 2, 6}, 30);
  scrape();
  std::string text;
  TextOutput output(text);
  render_json(scraper_, status_, {}, output);
  const auto series = nlohmann::json::parse(text)["families"][0]["series"][0];
  EXPECT_EQ(series["native"].dump(),
            R"({"buckets":[[2.0,4.0,2],[4.0,"+Inf",6]],"schema":0,"zero_count":5,"zero_threshold":1.0})");
  EXPECT_EQ(series["count"], 13);
  EXPECT_EQ(series["buckets"].dump(), R"([[1.0,5],[2.0,5],[4.0,7],["+Inf",13]])");
}

// The example of docs/merge-rules.md.
TEST_F(NativeHistograms, OfSeveralWindowsAddUpAndNothingThatWasShownMoves) {
  const auto a = segment_.family(tests::native_histogram("h", 1, 8, 2));
  count(a.cell, {1, 2, 3, 4, 5}, 50);  // 1 2 4 8 above
  EXPECT_EQ(samples(),
            "h_bucket{le=\"1\"} 1\nh_bucket{le=\"2\"} 3\nh_bucket{le=\"4\"} 6\nh_bucket{le=\"8\"} 10\n"
            "h_bucket{le=\"+Inf\"} 15\nh_sum 50\nh_count 15\n");
  const auto b = segment_.family(tests::native_histogram("h", 2, 32, 2));
  count(b.cell, {10, 20, 30, 40, 50, 60}, 1000);  // 2 4 8 16 32 above
  EXPECT_EQ(samples(),
            "h_bucket{le=\"1\"} 1\nh_bucket{le=\"2\"} 13\nh_bucket{le=\"4\"} 36\nh_bucket{le=\"8\"} 70\n"
            "h_bucket{le=\"16\"} 110\nh_bucket{le=\"32\"} 160\nh_bucket{le=\"+Inf\"} 225\nh_sum 1050\nh_count 225\n");
  const NativeDistribution both = native();
  EXPECT_EQ(both.schema, 0);
  EXPECT_EQ(both.zero_threshold, 2);
  EXPECT_EQ(both.zero_count, 13u);
  std::vector<std::pair<double, std::uint64_t>> buckets;
  for (const auto& bucket : both.buckets) buckets.emplace_back(bucket.up_to, bucket.count);
  EXPECT_THAT(buckets, ElementsAre(Pair(4, 23), Pair(8, 34), Pair(16, 45), Pair(32, 50), Pair(INFINITY, 60)));
}

TEST_F(NativeHistograms, BesideClassicOnesAreClassic) {
  const auto native = segment_.family(tests::native_histogram("h", 1, 4, 1.5));
  count(native.cell, {5, 1, 2, 3, 4, 6}, 30);
  const auto classic = segment_.family(tests::histogram("h", {1, 3}));
  count(classic.cell, {10, 20, 30}, 200);
  EXPECT_EQ(samples(),
            "h_bucket{le=\"1\"} 15\nh_bucket{le=\"2\"} 18\nh_bucket{le=\"3\"} 38\nh_bucket{le=\"4\"} 45\n"
            "h_bucket{le=\"+Inf\"} 81\nh_sum 230\nh_count 81\n");
  const auto families = plain_families(scraper_.view());
  EXPECT_FALSE(std::get<Distribution>(families.at(0).series.at(0).value).native);
}

TEST_F(NativeHistograms, WithTheSameLabelsAreOneSeriesAndOverflowsAddUp) {
  const auto a = segment_.family(tests::native_histogram("h", 1, 4, 2, {"x"}));
  count(segment_.series(a, {"1"}), {1, 0, 0, 0}, 1);
  const auto b = segment_.family(tests::native_histogram("h", 1, 8, 2, {"x"}));
  count(segment_.series(b, {"1"}), {0, 2, 0, 0, 0}, 3);
  count(b.cell, {0, 0, 0, 1, 0}, 7);
  const std::string text = samples();
  EXPECT_THAT(text, HasSubstr("h_count{x=\"1\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("h_count{x=\"__overflow__\"} 1\n"));
}

TEST_F(NativeHistograms, OfOneSchemaButOtherEndsAreSaidToDiffer) {
  segment_.family(tests::native_histogram("h", 1, 4, 2));
  segment_.family(tests::native_histogram("h", 1, 4, 1.5));
  const CheckReport report = check_segment(segment_.path());
  EXPECT_EQ(report.verdict, CheckReport::Verdict::kSound);
  EXPECT_THAT(report.warnings, ElementsAre(HasSubstr("'h' has 2 schemas (other bounds)")));
}

}  // namespace
}  // namespace shmetrics::collector
