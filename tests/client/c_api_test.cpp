// Programs in C99 and C11 do what a program in C++ can; their claims are their own, the numbers are looked at here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <sstream>
#include <string>

#include "collector/plain_family.hpp"
#include "tests/child_process.hpp"
#include "tests/scrape.hpp"
#include "tests/temporary_folder.hpp"

namespace {

using shmetrics::tests::run_command;
using testing::HasSubstr;

std::string exemplars_of(const std::string& family, const std::string& path) {
  shmetrics::collector::Scraper scraper(path);
  scraper.read();
  std::ostringstream all;
  const auto is_it = [&](const auto& names) { return names.front() == family; };
  for (const auto& found : shmetrics::collector::plain_families(scraper.view(), is_it)) {
    for (const auto& exemplar : found.series.at(0).exemplars) {
      all << exemplar.value;
      for (const auto& [name, value] : exemplar.labels) all << " " << name << "=" << value;
      all << ";";
    }
  }
  return all.str();
}

class CApiTest : public testing::TestWithParam<const char*> {};

TEST_P(CApiTest, DoesAllThatTheCppApiDoes) {
  const shmetrics::tests::TemporaryFolder folder;
  const std::string path = folder.file("c.seg");
  const auto outcome = run_command({GetParam(), path});
  EXPECT_EQ(outcome.error, "");
  ASSERT_EQ(outcome.code, 0);

  const auto found = shmetrics::tests::scrape(path);
  EXPECT_EQ(found["app_requests_total{method=\"GET\",status=\"200\"}"], 6);
  EXPECT_EQ(found["app_routes_total{route=\"/users\"}"], 1);
  EXPECT_EQ(found["app_cost_dollars_total"], 0.75);
  EXPECT_EQ(found["app_load"], 4);
  EXPECT_EQ(found["app_job_seconds_bucket{queue=\"mail\",le=\"0.1\"}"], 0);
  EXPECT_EQ(found["app_job_seconds_bucket{queue=\"mail\",le=\"0.5\"}"], 1);
  EXPECT_EQ(found["app_job_seconds_sum{queue=\"mail\"}"], 0.3);
  EXPECT_EQ(found["app_job_seconds_count{queue=\"__overflow__\"}"], 1);
  EXPECT_EQ(found["app_native_seconds_bucket{queue=\"mail\",le=\"0.5\"}"], 1);
  EXPECT_EQ(found["app_native_seconds_bucket{queue=\"mail\",le=\"4\"}"], 1);
  EXPECT_EQ(found["app_native_seconds_count{queue=\"mail\"}"], 2);
  EXPECT_EQ(found["app_size_bytes_sum"], 100);
  EXPECT_EQ(found["app_lenient"], 1);
  EXPECT_EQ(found["app_forks_total{who=\"child\"}"], 6);
  EXPECT_EQ(found["app_active"], 0);
  EXPECT_NEAR(found["app_last_timestamp_seconds"], static_cast<double>(std::time(nullptr)), 60);
  EXPECT_EQ(found["app_request_duration_seconds_bucket{route=\"/\",le=\"10\"}"], 1);
  EXPECT_THAT(found.text, HasSubstr("# HELP app_requests_total Requests\n# TYPE app_requests_total counter\n"));
  EXPECT_THAT(found.text, testing::Not(HasSubstr("app_build_info{")));  // its worker is no more
  EXPECT_EQ(shmetrics::tests::count_of(found.status.values_refused, "negative"), 2);
  EXPECT_EQ(shmetrics::tests::count_of(found.status.updates_dropped, "refused_family"), 4);
  EXPECT_EQ(shmetrics::tests::count_of(found.status.updates_dropped, "series_limit"), 1)
      << "of a wrong number of labels";
  EXPECT_EQ(shmetrics::tests::count_of(found.status.declarations_refused, "rule"), 7);
  EXPECT_EQ(shmetrics::tests::count_of(found.status.declarations_refused, "same_process"), 1);
  EXPECT_EQ(shmetrics::tests::count_of(found.status.values_refused, "nan"), 1);
  EXPECT_EQ(found["app_traced_total"], 3);
  EXPECT_EQ(found["app_traced_seconds_count"], 1);
  EXPECT_EQ(exemplars_of("app_traced_total", path), "2 trace_id=trace tenant=a;");
  EXPECT_EQ(exemplars_of("app_paid_total", path), "0.5 trace_id=trace tenant=a;");
  EXPECT_EQ(exemplars_of("app_traced_seconds", path), "0.3 trace_id=trace tenant=a;");
  EXPECT_EQ(exemplars_of("app_many_total", path), "1 f9=x;");
  EXPECT_EQ(exemplars_of("app_missing_total", path), "1 trace_id=missing;");
  EXPECT_EQ(shmetrics::tests::count_of(found.status.exemplars_dropped, "too_long"), 1);
}

INSTANTIATE_TEST_SUITE_P(Standards, CApiTest, testing::Values(SHMETRICS_C99_PROGRAM, SHMETRICS_C11_PROGRAM),
                         [](const auto& program) { return program.index == 0 ? "C99" : "C11"; });

}  // namespace
