#include "collector/openmetrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "collector/scraper.hpp"
#include "tests/collector/segment_builder.hpp"
#include "tests/openmetrics_judge.hpp"

namespace shmetrics::collector {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using tests::judge_openmetrics;
using tests::Outcome;
using tests::SegmentBuilder;

std::string rendered(Scraper& scraper, Created created = Created::kNo) {
  EXPECT_TRUE(scraper.read().up);
  std::string text;
  TextOutput output(text);
  FamilyGroups(scraper.view()).for_each({}, [&](std::span<const FamilyPart> parts) {
    render_openmetrics(parts, created, output);
  });
  end_openmetrics(text);
  return text;
}

std::string rendered(const SegmentBuilder& segment) {
  Scraper scraper(segment.path());
  return rendered(scraper);
}

std::string head(std::string_view name, std::string_view type, std::string_view unit = {},
                 std::string_view help = "x") {
  std::string text;
  append_openmetrics_head(text, name, type, unit, help);
  return text;
}

void add_histogram(SegmentBuilder& segment, std::string_view name, std::vector<double> bounds, double sum) {
  const auto family = segment.family(tests::histogram(name, std::move(bounds)));
  segment.thread(0, family.cell + shm::kHistogramSum).store_double_relaxed(sum);
  segment.thread(0, family.cell + shm::kHistogramBuckets).store_relaxed(3);
}

void add_summary(SegmentBuilder& segment, std::string_view name, double sum) {
  const auto family = segment.family(tests::plain(shm::MetricType::kSummary, name));
  segment.thread(0, family.cell + shm::kHistogramSum).store_double_relaxed(sum);
  segment.thread(0, family.cell + shm::kHistogramBuckets).store_relaxed(2);
}

// A family of each kind, and a live worker that has set what there is to set.
class EveryKind {
 public:
  EveryKind() : alive_(segment.live(0)) {
    const auto requests = segment.family(tests::counter("app_requests_total", {"method"}));
    segment.thread(0, segment.series(requests, {"GET"})).store_relaxed(UINT64_MAX);
    shm::Schema cost = tests::counter("app_cost_dollars_total", {}, shm::CellKind::kDouble);
    cost.unit = "dollars";
    segment.thread(0, segment.family(cost).cell).store_double_relaxed(0.1);
    segment.set_gauge(0, segment.family(tests::gauge("app_load", shm::GaugeMode::kLivesum)).cell, -0.5);
    segment.set_gauge(0, segment.family(tests::gauge("app_odd", shm::GaugeMode::kLivemax)).cell, NAN);
    segment.set_gauge(0, segment.family(tests::gauge("app_per_worker", shm::GaugeMode::kLiveall)).cell, INFINITY);
    add_histogram(segment, "app_seconds", {0.005, 1, 2.5, 1e6}, 0.003);
    add_summary(segment, "app_bytes", 12);
    const auto build = segment.family(tests::plain(shm::MetricType::kInfo, "app_build_info", {"version"}));
    segment.set_gauge(0, segment.series(build, {"1.2.3"}), 1);
  }
  SegmentBuilder segment;

 private:
  shm::Descriptor alive_;
};

TEST(Openmetrics, EveryKindIsWrittenAsTheSpecificationHasIt) {
  EXPECT_EQ(rendered(EveryKind().segment), R"(# TYPE app_build info
# HELP app_build Help.
app_build_info{version="1.2.3"} 1
# TYPE app_bytes summary
# HELP app_bytes Help.
app_bytes_sum 12
app_bytes_count 2
# TYPE app_cost_dollars counter
# UNIT app_cost_dollars dollars
# HELP app_cost_dollars Help.
app_cost_dollars_total 0.1
# TYPE app_load gauge
# HELP app_load Help.
app_load -0.5
# TYPE app_odd gauge
# HELP app_odd Help.
app_odd NaN
# TYPE app_per_worker gauge
# HELP app_per_worker Help.
app_per_worker{worker="0"} +Inf
# TYPE app_requests counter
# HELP app_requests Help.
app_requests_total{method="GET"} 18446744073709551615
# TYPE app_seconds histogram
# HELP app_seconds Help.
app_seconds_bucket{le="0.005"} 3
app_seconds_bucket{le="1.0"} 3
app_seconds_bucket{le="2.5"} 3
app_seconds_bucket{le="1e+06"} 3
app_seconds_bucket{le="+Inf"} 3
app_seconds_sum 0.003
app_seconds_count 3
# EOF
)");
}

TEST(Openmetrics, AnIndependentParserReadsEveryKind) {
  if (!tests::has_openmetrics_judge()) GTEST_SKIP() << tests::kNoJudge;
  const Outcome verdict = judge_openmetrics(rendered(EveryKind().segment));
  EXPECT_EQ(verdict.code, 0) << verdict.error;
  EXPECT_THAT(verdict.out, AllOf(HasSubstr(R"(["app_build", "info", "", "Help."])"),
                                 HasSubstr(R"(["app_cost_dollars", "counter", "dollars", "Help."])"),
                                 HasSubstr(R"(["app_requests_total", {"method": "GET"}, 18446744073709551615])"),
                                 HasSubstr(R"(["app_seconds_bucket", {"le": "1.0"}, 3])")));
}

TEST(Openmetrics, TheJudgeRefusesWhatIsWrong) {
  if (!tests::has_openmetrics_judge()) GTEST_SKIP() << tests::kNoJudge;
  for (const char* text : {"", "# TYPE a gauge\na 1\n", "# EOF\n# EOF\n", "# TYPE a counter\na -1\n# EOF\n",
                           "# TYPE a gauge\na{b=\"c} 1\n# EOF\n",
                           "# TYPE a histogram\na_bucket{le=\"1.0\"} 1\na_bucket{le=\"+Inf\"} 1\na_sum 1\n# EOF\n"}) {
    EXPECT_EQ(judge_openmetrics(text).code, 1) << text;
  }
  EXPECT_EQ(judge_openmetrics("# EOF\n").code, 0);
}

TEST(Openmetrics, AnyLabelValueAndAnyHelpComeBackAsTheyWere) {
  if (!tests::has_openmetrics_judge()) GTEST_SKIP() << tests::kNoJudge;
  std::string all_bytes;
  for (char c = 1; c < 0x7f; ++c) all_bytes += c;
  all_bytes += '\x7f';
  const std::vector<std::string> odd{all_bytes,
                                     "",
                                     "\\",
                                     "\\n",
                                     "\n",
                                     "\"",
                                     "\\\"",
                                     " # {a=\"b\"} 1",
                                     "}",
                                     "a=\"b\"",
                                     ",",
                                     "{",
                                     "\u00e9\u0085\u2028\U0001f600"};
  SegmentBuilder segment;
  shm::Schema schema = tests::counter("app_total", {"a", "b"});
  const std::string help = "A \"help\" of \\ and\na second line, #1";
  schema.help = help;
  const auto family = segment.family(schema);
  for (const std::string& value : odd) segment.series(family, {value, "b"});
  const Outcome verdict = judge_openmetrics(rendered(segment));
  ASSERT_EQ(verdict.code, 0) << verdict.error;
  std::vector<nlohmann::json> lines;
  std::istringstream text(verdict.out);
  for (std::string line; std::getline(text, line);) lines.push_back(nlohmann::json::parse(line));
  EXPECT_THAT(lines, ::testing::Contains(nlohmann::json{"app", "counter", "", help}));
  for (const std::string& value : odd) {
    const nlohmann::json expected{"app_total", {{"a", value}, {"b", "b"}}, 0};
    EXPECT_THAT(lines, ::testing::Contains(expected));
  }
}

TEST(Openmetrics, HelpEscapesTheQuoteToo) {
  EXPECT_EQ(head("a", "gauge", "", "one\\two\nthree \"four\""),
            "# TYPE a gauge\n# HELP a one\\\\two\\nthree \\\"four\\\"\n");
}

TEST(Openmetrics, AUnitIsNamedOnlyWhereTheNameEndsInIt) {
  EXPECT_EQ(head("a_seconds", "gauge", "seconds"),
            "# TYPE a_seconds gauge\n# UNIT a_seconds seconds\n# HELP a_seconds x\n");
  EXPECT_EQ(head("a_seconds_total", "counter", "seconds"),
            "# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds x\n");
  for (const char* name : {"a_milliseconds", "seconds", "a_seconds_max", "a"}) {
    EXPECT_THAT(head(name, "gauge", "seconds"), Not(HasSubstr("UNIT"))) << name;
  }
  EXPECT_THAT(head("a_seconds_info", "info", "seconds"), Not(HasSubstr("UNIT")));
}

TEST(Openmetrics, ANameWithoutItsSuffixIsOfUnknownType) {
  EXPECT_EQ(head("hits", "counter"), "# TYPE hits unknown\n# HELP hits x\n");
  EXPECT_EQ(head("_total", "counter"), "# TYPE _total unknown\n# HELP _total x\n");
  EXPECT_EQ(head("_info", "info"), "# TYPE _info unknown\n# HELP _info x\n");
  EXPECT_EQ(head("a", "untyped"), "# TYPE a unknown\n# HELP a x\n");
}

TEST(Openmetrics, ASumThatIsNoCounterIsLeftOutAndTheRestStays) {
  SegmentBuilder segment;
  add_histogram(segment, "a_below", {-1, 1}, 2);
  add_histogram(segment, "b_negative", {1}, -2);
  add_histogram(segment, "c_nan", {1}, NAN);
  add_summary(segment, "d_negative", -2);
  add_summary(segment, "e_nan", NAN);
  add_histogram(segment, "f_infinite", {1}, INFINITY);
  const std::string text = rendered(segment);
  for (const char* name : {"a_below", "b_negative", "c_nan"}) {
    EXPECT_THAT(text, AllOf(HasSubstr(std::string(name) + "_bucket{le=\"+Inf\"} 3\n"),
                            Not(HasSubstr(std::string(name) + "_sum")), Not(HasSubstr(std::string(name) + "_count"))));
  }
  for (const char* name : {"d_negative", "e_nan"}) {
    EXPECT_THAT(text, AllOf(HasSubstr(std::string(name) + "_count 2\n"), Not(HasSubstr(std::string(name) + "_sum"))));
  }
  EXPECT_THAT(text, AllOf(HasSubstr("f_infinite_sum +Inf\n"), HasSubstr("f_infinite_count 3\n")));
  if (!tests::has_openmetrics_judge()) GTEST_SKIP() << tests::kNoJudge;
  const Outcome verdict = judge_openmetrics(text);
  EXPECT_EQ(verdict.code, 0) << verdict.error;
}

TEST(Openmetrics, AFamilyWithoutAnythingToShowHasNoHead) {
  SegmentBuilder segment;
  segment.family(tests::gauge("app_max", shm::GaugeMode::kMax));
  segment.family(tests::counter("app_total", {"a"}));
  EXPECT_EQ(rendered(segment), "# EOF\n");
}

TEST(Openmetrics, AFamilyOfSeveralSegmentsHasOneHead) {
  SegmentBuilder a, b;
  for (SegmentBuilder* segment : {&a, &b}) add_histogram(*segment, "app_seconds", {1}, 2);
  Scraper first(a.path(), "a"), second(b.path(), "b");
  first.read();
  second.read();
  const FamilyPart parts[] = {{first.view().families.front(), first.view().totals},
                              {second.view().families.front(), second.view().totals}};
  std::string text;
  TextOutput output(text);
  render_openmetrics(parts, Created::kNo, output);
  end_openmetrics(text);
  EXPECT_EQ(text.rfind("# TYPE"), 0u);
  EXPECT_THAT(text, AllOf(HasSubstr("app_seconds_bucket{segment=\"a\",le=\"1.0\"} 3\n"),
                          HasSubstr("app_seconds_bucket{segment=\"b\",le=\"1.0\"} 3\n")));
  if (!tests::has_openmetrics_judge()) GTEST_SKIP() << tests::kNoJudge;
  EXPECT_EQ(judge_openmetrics(text).code, 0);
}

}  // namespace
}  // namespace shmetrics::collector
