#include "shm/naming.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace shmetrics::shm {
namespace {

Schema schema(MetricType type, std::string_view name) {
  Schema made;
  made.type = type;
  made.name = name;
  made.help = "help";
  if (type == MetricType::kHistogram) made.bounds = {1};
  return made;
}

Schema with_labels(Schema made, std::vector<std::string_view> labels) {
  made.labels = std::move(labels);
  return made;
}

TEST(Naming, AcceptsWhatTheGuideDeclares) {
  EXPECT_EQ(refusal(with_labels(schema(MetricType::kCounter, "mastercrm_http_requests_total"), {"method", "route"})),
            "");
  EXPECT_EQ(refusal(schema(MetricType::kGauge, "mastercrm_active_connections")), "");
  EXPECT_EQ(refusal(schema(MetricType::kHistogram, "mastercrm_http_request_duration_seconds")), "");
  EXPECT_EQ(refusal(schema(MetricType::kSummary, "crm_response_bytes")), "");
  EXPECT_EQ(refusal(schema(MetricType::kInfo, "crm_build_info")), "");
}

TEST(Naming, RefusalNamesTheRightSpelling) {
  const auto says = [](MetricType type, std::string_view name, const char* part) {
    const std::string problem = refusal(schema(type, name));
    EXPECT_NE(problem.find(part), std::string::npos) << name << ": " << problem;
  };
  says(MetricType::kCounter, "requests", "'requests_total'");
  says(MetricType::kInfo, "build", "'build_info'");
  says(MetricType::kGauge, "requests_total", "use 'requests'");
  says(MetricType::kHistogram, "requests_total", "use 'requests'");
  says(MetricType::kGauge, "queue_count", "use 'queue'");
  says(MetricType::kGauge, "queue_sum", "use 'queue'");
  says(MetricType::kGauge, "queue_bucket", "use 'queue'");
  says(MetricType::kGauge, "shmetrics_x", "reserved");
  says(MetricType::kGauge, "process_x", "reserved");
  says(MetricType::kCounter, "_total", "suffix alone");
  says(MetricType::kGauge, "1x", "use '_1x'");
  says(MetricType::kGauge, "app-seconds", "use 'app_seconds'");
  says(MetricType::kGauge, "a\x1b[31m\n", "use 'a__31m_'");
  says(MetricType::kGauge, "", "must match");
  says(MetricType::kGauge, "größe", "use 'gr____e'");
  says(MetricType::kCounter, "app requests", "use 'app_requests_total'");
  says(MetricType::kGauge, "queue_count_total", "use 'queue'");
  says(MetricType::kGauge, std::string(129, 'a'), "at most 128");
  EXPECT_EQ(refusal(schema(MetricType::kGauge, std::string(128, 'a'))), "");
}

TEST(Naming, AcceptsColons) {
  EXPECT_EQ(refusal(schema(MetricType::kGauge, "vllm:num_requests_running")), "");
  EXPECT_EQ(refusal(schema(MetricType::kCounter, ":a:_total")), "");
  EXPECT_NE(refusal(with_labels(schema(MetricType::kGauge, "g"), {"a:b"})), "");
}

Schema lenient(Schema made) {
  made.naming = Naming::kLenient;
  return made;
}

TEST(Naming, LenientAcceptsWhatOtherLibrariesAllow) {
  for (const auto& [type, name] : {std::pair{MetricType::kCounter, "requests"},
                                   {MetricType::kCounter, "process_cpu_seconds_total"},
                                   {MetricType::kGauge, "nodejs_active_handles_total"},
                                   {MetricType::kGauge, "queue_count"},
                                   {MetricType::kGauge, "build_info"},
                                   {MetricType::kHistogram, "rows_sum"},
                                   {MetricType::kGauge, "process_open_fds"}}) {
    EXPECT_EQ(refusal(lenient(schema(type, name))), "") << name;
    Schema helpless = lenient(schema(type, name));
    helpless.help = {};
    EXPECT_EQ(refusal(helpless), "") << name;
  }
}

TEST(Naming, LenientRefusesWhatNobodyCouldServe) {
  for (const auto& [type, name] : {std::pair{MetricType::kCounter, "a-b"},
                                   {MetricType::kGauge, ""},
                                   {MetricType::kGauge, "9"},
                                   {MetricType::kGauge, "shmetrics_workers"},
                                   {MetricType::kCounter, "_total"},
                                   {MetricType::kInfo, "build"}}) {
    EXPECT_NE(refusal(lenient(schema(type, name))), "") << name;
  }
  EXPECT_NE(refusal(with_labels(lenient(schema(MetricType::kHistogram, "h")), {"le"})), "");
}

// A name in quotes behind "use " is the advice.
std::string advised(const std::string& problem) {
  const std::size_t at = problem.find(": use '");
  return at == problem.npos ? "" : problem.substr(at + 7, problem.find('\'', at + 7) - at - 7);
}

TEST(Naming, EverySpellingThatIsAdvisedIsAccepted) {
  std::mt19937 random(1);
  const std::string_view parts[] = {"a",        "_",          "9",      ":",        "-",       "\xc3\xbc",
                                    " ",        "_total",     "_count", "_sum",     "_bucket", "_info",
                                    "process_", "shmetrics_", "le",     "quantile", "worker",  "_seconds"};
  int advices = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string name;
    for (std::size_t n = random() % 5; n > 0; --n) name += parts[random() % std::size(parts)];
    Schema made = schema(static_cast<MetricType>(1 + random() % 5), name);
    made.naming = static_cast<Naming>(random() % 2);
    if (random() % 3 == 0) made.unit = "seconds";
    if (const std::string better = advised(refusal(made)); !better.empty()) {
      const std::string problem = refusal(made);
      made.name = better;
      EXPECT_EQ(refusal(made), "") << problem;
      ++advices;
    }
    const Schema labelled = with_labels(schema(MetricType::kHistogram, "h"), {name});
    if (const std::string better = advised(refusal(labelled)); !better.empty()) {
      EXPECT_EQ(refusal(with_labels(labelled, {better})), "") << name;
      ++advices;
    }
  }
  EXPECT_GT(advices, 5'000);
}

TEST(Naming, ACounterWithoutTotalClaimsItsNameAlone) {
  EXPECT_THAT(claimed_names(MetricType::kCounter, "foo"), testing::ElementsAre("foo"));
  EXPECT_THAT(claimed_names(MetricType::kCounter, "foo_total"),
              testing::ElementsAre("foo_total", "foo", "foo_created"));
}

TEST(Naming, RefusesLabelsThatOthersWrite) {
  const Schema histogram = schema(MetricType::kHistogram, "h");
  const Schema summary = schema(MetricType::kSummary, "s");
  const Schema counter = schema(MetricType::kCounter, "c_total");
  Schema per_worker = schema(MetricType::kGauge, "g");
  per_worker.gauge_mode = GaugeMode::kLiveall;
  EXPECT_NE(refusal(with_labels(histogram, {"le"})), "");
  EXPECT_EQ(refusal(with_labels(counter, {"le"})), "");
  EXPECT_NE(refusal(with_labels(summary, {"quantile"})), "");
  EXPECT_EQ(refusal(with_labels(counter, {"quantile"})), "");
  EXPECT_NE(refusal(with_labels(per_worker, {"worker"})), "");
  EXPECT_EQ(refusal(with_labels(schema(MetricType::kGauge, "g"), {"worker"})), "");
  EXPECT_NE(refusal(with_labels(counter, {"__name"})), "");
  EXPECT_NE(refusal(with_labels(counter, {"a", "b", "a"})), "");
  EXPECT_NE(refusal(with_labels(counter, {"a-b"})), "");
  EXPECT_NE(refusal(with_labels(counter, {""})), "");
  EXPECT_EQ(refusal(with_labels(counter, std::vector<std::string_view>{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j",
                                                                       "k", "l", "m", "n", "o", "p"})),
            "");
  EXPECT_NE(refusal(with_labels(counter, std::vector<std::string_view>{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j",
                                                                       "k", "l", "m", "n", "o", "p", "q"})),
            "");
}

TEST(Naming, RefusesEmptyOrBinaryHelp) {
  Schema counter = schema(MetricType::kCounter, "c_total");
  counter.help = "";
  EXPECT_NE(refusal(counter), "");
  counter.help = "\xff";
  EXPECT_NE(refusal(counter), "");
  counter.help = "two\nlines \\ \"quoted\"";
  EXPECT_EQ(refusal(counter), "");
}

TEST(Naming, RefusesBoundsThatDoNotIncreaseOrEnd) {
  Schema histogram = schema(MetricType::kHistogram, "h");
  const double infinity = std::numeric_limits<double>::infinity();
  for (const std::vector<double>& bad : {std::vector<double>{},
                                         {1, 1},
                                         {2, 1},
                                         {1, infinity},
                                         {-infinity, 1},
                                         {std::nan("")},
                                         {1, std::nan("")},
                                         std::vector<double>(65, 1)}) {
    histogram.bounds = bad;
    EXPECT_NE(refusal(histogram), "") << bad.size();
  }
  histogram.bounds = {-1, 0, 0.5};
  EXPECT_EQ(refusal(histogram), "");
}

TEST(Naming, TextIsUtf8WithoutNul) {
  for (const std::string_view good :
       {"", "plain", "ü", "€", "𝄞", "\x7f", "tab\tnewline\n", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_valid_text(good)) << good;
  }
  using std::string_view_literals::operator""sv;
  for (const std::string_view bad :
       {"\0"sv, "a\0b"sv, "\x80"sv, "\xc3"sv, "\xc0\xaf"sv, "\xe0\x80\x80"sv, "\xed\xa0\x80"sv, "\xf0\x80\x80\x80"sv,
        "\xf4\x90\x80\x80"sv, "\xf5\x80\x80\x80"sv, "\xff"sv, "\xe2\x82"sv}) {
    EXPECT_FALSE(is_valid_text(bad));
  }
}

TEST(Naming, LabelValueEndsAtItsLimit) {
  EXPECT_TRUE(is_valid_label_value(std::string(1024, 'x')));
  EXPECT_FALSE(is_valid_label_value(std::string(1025, 'x')));
}

TEST(Naming, ClaimsEveryNameThatAnyFormatWrites) {
  EXPECT_EQ(claimed_names(MetricType::kCounter, "a_total"), (std::vector<std::string>{"a_total", "a", "a_created"}));
  EXPECT_EQ(claimed_names(MetricType::kHistogram, "h"),
            (std::vector<std::string>{"h", "h_bucket", "h_sum", "h_count", "h_created"}));
  EXPECT_EQ(claimed_names(MetricType::kInfo, "b_info"), (std::vector<std::string>{"b_info", "b"}));
}

TEST(Naming, DifferenceIsNamedAndHelpIsNone) {
  const Schema before = with_labels(schema(MetricType::kHistogram, "h"), {"a"});
  Schema after = before;
  after.help = "other words";
  EXPECT_EQ(schema_difference(before, after), "");
  after.bounds = {2};
  EXPECT_EQ(schema_difference(before, after), "with other bounds");
  after.labels = {"b"};
  EXPECT_EQ(schema_difference(before, after), "with other labels");
  after.type = MetricType::kGauge;
  EXPECT_EQ(schema_difference(before, after), "as another type (histogram)");
}

}  // namespace
}  // namespace shmetrics::shm
