// The families of several segments in one text.
#include "collector/family_groups.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "collector/openmetrics.hpp"
#include "collector/plain_family.hpp"
#include "collector/render.hpp"
#include "collector/scraper.hpp"
#include "tests/collector/segment_builder.hpp"
#include "tests/collector/text_checker.hpp"

namespace shmetrics::collector {
namespace {

using shm::GaugeMode;
using shm::MetricType;
using ::testing::HasSubstr;

class FamilyGroupsTest : public ::testing::Test {
 protected:
  /// All segments as one text; what was left out of them is in left_out_.
  std::string text() {
    std::vector<ScrapedSegment> views;
    for (Scraper& scraper : scrapers_) {
      scraper.read();
      views.push_back(scraper.view());
    }
    const FamilyGroups groups(views);
    left_out_ = groups.left_out();
    std::string out;
    TextOutput output(out);
    groups.for_each({}, [&](std::span<const FamilyPart> parts) { render_text(parts, output); });
    EXPECT_EQ(tests::TextChecker::problem(out), "");
    return out;
  }
  void count(tests::SegmentBuilder& segment, std::string_view name, std::uint64_t value) {
    segment.thread(0, segment.family(tests::counter(name)).cell).store_relaxed(value);
  }

  tests::SegmentBuilder a_, b_;
  std::vector<Scraper> scrapers_ = [this] {
    std::vector<Scraper> scrapers;
    scrapers.emplace_back(a_.path(), "a");
    scrapers.emplace_back("/dev/shm/shmetrics-test-nothing.seg", "missing");
    scrapers.emplace_back(b_.path(), "b\"\\\n");
    return scrapers;
  }();
  std::vector<LeftOut> left_out_;
};

TEST_F(FamilyGroupsTest, AFamilyIsWrittenOnceWithTheSeriesOfAllSegments) {
  count(a_, "b_total", 1);
  count(a_, "z_total", 2);
  count(b_, "a_total", 3);
  const auto labelled = tests::counter("b_total", {"x"});
  b_.thread(1, b_.series(b_.family(labelled), {"1"})).store_relaxed(4);
  EXPECT_EQ(text(),
            "# HELP a_total Help.\n# TYPE a_total counter\n"
            "a_total{segment=\"b\\\"\\\\\\n\"} 3\n"
            "# HELP b_total Help.\n# TYPE b_total counter\n"
            "b_total{segment=\"a\"} 1\n"
            "b_total{segment=\"b\\\"\\\\\\n\",x=\"1\"} 4\n"
            "# HELP z_total Help.\n# TYPE z_total counter\n"
            "z_total{segment=\"a\"} 2\n");
  for (const LeftOut& left_out : left_out_) EXPECT_EQ(left_out.families, 0U);
}

TEST_F(FamilyGroupsTest, TheSegmentIsTheFirstLabelOfEveryKindOfSeries) {
  const auto info = a_.family(tests::plain(MetricType::kInfo, "a_info", {"v"}));
  const auto gauge = a_.family(tests::gauge("g", GaugeMode::kAll, {"x"}));
  const auto histogram = a_.family(tests::histogram("h", {1}, {"x"}));
  const auto summary = a_.family(tests::plain(MetricType::kSummary, "s"));
  const std::uint32_t version = a_.series(info, {"1.2"}), depth = a_.series(gauge, {"1"});
  a_.thread(0, histogram.cell + shm::kHistogramBuckets).store_relaxed(2);  // of the overflow series
  a_.thread(0, summary.cell + shm::kHistogramBuckets).store_relaxed(3);
  const shm::Descriptor alive = a_.live(2);
  a_.set_gauge(2, version, 1);
  a_.set_gauge(2, depth, 7);
  EXPECT_EQ(text(),
            "# HELP a_info Help.\n# TYPE a_info gauge\n"
            "a_info{segment=\"a\",v=\"1.2\"} 1\n"
            "# HELP g Help.\n# TYPE g gauge\n"
            "g{segment=\"a\",x=\"1\",worker=\"2\"} 7\n"
            "# HELP h Help.\n# TYPE h histogram\n"
            "h_bucket{segment=\"a\",x=\"__overflow__\",le=\"1\"} 2\n"
            "h_bucket{segment=\"a\",x=\"__overflow__\",le=\"+Inf\"} 2\n"
            "h_sum{segment=\"a\",x=\"__overflow__\"} 0\n"
            "h_count{segment=\"a\",x=\"__overflow__\"} 2\n"
            "# HELP s Help.\n# TYPE s summary\n"
            "s_sum{segment=\"a\"} 0\n"
            "s_count{segment=\"a\"} 3\n");
}

TEST_F(FamilyGroupsTest, ALabelSegmentOfTheFamilysOwnIsExported) {
  const auto one = a_.family(tests::counter("a_total", {"segment"}));
  a_.series(one, {"own"});
  const auto two = a_.family(tests::counter("b_total", {"exported_segment", "segment"}));
  a_.series(two, {"1", "2"});
  EXPECT_EQ(text(),
            "# HELP a_total Help.\n# TYPE a_total counter\n"
            "a_total{segment=\"a\",exported_segment=\"own\"} 0\n"
            "# HELP b_total Help.\n# TYPE b_total counter\n"
            "b_total{segment=\"a\",exported_segment=\"1\",exported_exported_segment=\"2\"} 0\n");
  // A segment without a name has nothing to make room for.
  Scraper plain(a_.path());
  std::string out;
  plain.scrape(out);
  EXPECT_THAT(out, HasSubstr("\na_total{segment=\"own\"} 0\n"));
}

TEST_F(FamilyGroupsTest, TheFirstSegmentsHelpWinsAndComesWithTheFirstSeriesThatIsShown) {
  auto empty = tests::counter("a_total", {"x"}), full = tests::counter("a_total", {"y"});
  empty.help = "First.";
  full.help = "Second.";
  a_.family(empty);
  b_.series(b_.family(full), {"1"});
  EXPECT_EQ(text(), "# HELP a_total First.\n# TYPE a_total counter\na_total{segment=\"b\\\"\\\\\\n\",y=\"1\"} 0\n");
}

TEST_F(FamilyGroupsTest, AFamilyOfAnotherTypeIsLeftOutAndCounted) {
  a_.family(tests::gauge("x", GaugeMode::kSum));
  b_.family(tests::histogram("x", {1}));
  count(b_, "y_total", 1);
  EXPECT_EQ(text(),
            "# HELP x Help.\n# TYPE x gauge\nx{segment=\"a\"} 0\n"
            "# HELP y_total Help.\n# TYPE y_total counter\ny_total{segment=\"b\\\"\\\\\\n\"} 1\n");
  EXPECT_EQ(left_out_[0].families, 0U);
  EXPECT_EQ(left_out_[2].families, 1U);
  EXPECT_THAT(left_out_[2].example, HasSubstr("family x of segment b"));
  EXPECT_THAT(left_out_[2].example, HasSubstr("is left out: segment a has it as a gauge, not a histogram; rename one"));
}

TEST_F(FamilyGroupsTest, AFamilyThatNeedsANameOfAnEarlierSegmentInOpenmetricsIsLeftOutThere) {
  a_.family(tests::histogram("h", {1}));
  a_.family(tests::gauge("c_created", GaugeMode::kSum));
  b_.family(tests::gauge("h_created", GaugeMode::kSum));  // no sample is called so in 0.0.4, but in OpenMetrics
  b_.family(tests::counter("c_total"));
  b_.family(tests::gauge("free", GaugeMode::kSum));
  const std::string shown = text();
  EXPECT_THAT(shown, HasSubstr("\nfree{segment=\"b"));
  EXPECT_THAT(shown, HasSubstr("\nh_created{segment=\"b"));
  EXPECT_THAT(shown, HasSubstr("\nc_total{segment=\"b"));
  EXPECT_EQ(left_out_[2].families, 0U);
  EXPECT_EQ(left_out_[2].of_openmetrics, 2U);
  EXPECT_THAT(left_out_[2].example, HasSubstr("in OpenMetrics, family c_total of segment b"));
  EXPECT_THAT(left_out_[2].example, HasSubstr("segment a has c_created, and both would write c_created; rename one"));
}

TEST_F(FamilyGroupsTest, WhatIsLeftOutTakesNoName) {
  a_.family(tests::gauge("h", GaugeMode::kSum));
  b_.family(tests::histogram("h", {1}));  // left out, and so is that of the next segment
  b_.family(tests::gauge("x", GaugeMode::kSum));
  scrapers_.emplace_back(b_.path(), "c");
  EXPECT_THAT(text(), HasSubstr("x{segment=\"c\"} 0\n"));
  EXPECT_EQ(left_out_[3].families, 1U);
}

TEST_F(FamilyGroupsTest, ModesBoundsAndLabelsMayDiffer) {
  a_.family(tests::histogram("h", {1}));
  b_.family(tests::histogram("h", {2, 3}));
  a_.family(tests::gauge("g", GaugeMode::kSum));
  b_.family(tests::gauge("g", GaugeMode::kLivesum));
  text();
  EXPECT_EQ(left_out_[2].families, 0U);
}

TEST_F(FamilyGroupsTest, WhoWasShownBeforeKeepsANameWhoeverStandsFirst) {
  Seniority a, b;
  const auto samples = [&] {
    std::vector<ScrapedSegment> views;
    for (Scraper& scraper : scrapers_) {
      scraper.read();
      views.push_back(scraper.view());
    }
    views[0].seniority = &a;
    views[2].seniority = &b;
    std::string out;
    TextOutput output(out);
    FamilyGroups(views).for_each({}, [&](auto parts) { render_text(parts, output); });
    return out;
  };
  a.rank = 1, b.rank = 2;  // a is older as a whole
  b_.family(tests::counter("x_total"));
  EXPECT_THAT(samples(), HasSubstr("# TYPE x_total counter\n"));
  a_.family(tests::gauge("y", GaugeMode::kSum));
  b_.family(tests::histogram("y", {1}));
  EXPECT_THAT(samples(), HasSubstr("# TYPE y gauge\n")) << "both are new: the older segment's counts";
  b_.family(tests::histogram("z", {1}));
  EXPECT_THAT(samples(), HasSubstr("# TYPE z histogram\n"));
  a_.family(tests::gauge("z", GaugeMode::kSum));
  for (int scrape = 0; scrape < 3; ++scrape) {
    EXPECT_THAT(samples(), HasSubstr("# TYPE z histogram\n")) << "it was shown before";
    EXPECT_THAT(samples(), HasSubstr("# TYPE y gauge\n"));
  }
}

TEST_F(FamilyGroupsTest, ANameThatOnlyOpenmetricsWouldWriteTwiceIsLeftOutThereAlone) {
  a_.family(tests::gauge("x", GaugeMode::kSum));
  count(b_, "x_total", 3);
  EXPECT_THAT(text(), HasSubstr("\nx_total{segment="));
  EXPECT_EQ(left_out_[2].families, 0u);
  EXPECT_EQ(left_out_[2].of_openmetrics, 1u);
  EXPECT_THAT(left_out_[2].example, HasSubstr("in OpenMetrics, family x_total of segment b"));
  EXPECT_THAT(left_out_[2].example, HasSubstr("segment a has x, and both would write x"));
  std::vector<ScrapedSegment> views;
  for (Scraper& scraper : scrapers_) views.push_back(scraper.view());
  std::string openmetrics;
  TextOutput output(openmetrics);
  FamilyGroups(views).for_each({}, [&](auto parts) { render_openmetrics(parts, Created::kNo, output); });
  EXPECT_THAT(openmetrics, HasSubstr("# TYPE x gauge\n"));
  EXPECT_THAT(openmetrics, ::testing::Not(HasSubstr("x_total")));
}

TEST_F(FamilyGroupsTest, ReadingsHaveTheLabelToo) {
  count(a_, "a_total", 1);
  scrapers_[0].read();
  const PlainFamily family = plain_families(scrapers_[0].view()).at(0);
  EXPECT_THAT(family.labels, ::testing::ElementsAre("segment"));
  EXPECT_THAT(family.series.at(0).labels, ::testing::ElementsAre(std::pair("segment", "a")));
}

TEST_F(FamilyGroupsTest, NoSegmentIsNoText) {
  FamilyGroups(std::span<const ScrapedSegment>()).for_each({}, [](auto) { FAIL(); });
  scrapers_.clear();
  EXPECT_EQ(text(), "");
}

}  // namespace
}  // namespace shmetrics::collector
