#include "exporter/scrape/self_metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shmetrics::exporter {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string text_of(std::span<const collector::SegmentStatus> segments, const ScrapeQuery& query = {}) {
  std::string out;
  SelfText text(out, query);
  append_self_metrics(text, {.segments = segments});
  return out;
}
std::string text_of(const collector::SegmentStatus& status) {
  return text_of({&status, 1});
}
std::string text_of(const RequestCounts& counts, const ScrapeQuery& query = {}) {
  std::string out;
  SelfText text(out, query);
  append_self_metrics(text, {.segments = {}, .counts = &counts});
  return out;
}

TEST(SelfMetrics, OfASegmentThatIsNotThereOnlyUpIsWritten) {
  EXPECT_EQ(text_of(collector::SegmentStatus{}),
            "# HELP shmetrics_segment_up Whether the segment could be read in this scrape.\n"
            "# TYPE shmetrics_segment_up gauge\n"
            "shmetrics_segment_up 0\n");
}

TEST(SelfMetrics, EverythingASegmentSaysIsWrittenUnderTheNamesOfTheContract) {
  collector::SegmentStatus s;
  s.up = true;
  s.created_unix_seconds = 1700000000.5;
  s.workers_live = 1, s.workers_dead = 2, s.workers_released = 3, s.workers_unused = 4;
  s.slots_used = 5, s.slots_free = 6, s.families = 7, s.series = 8;
  s.cells_used = 9, s.cells_limit = 10, s.directory_used_bytes = 11, s.directory_limit_bytes = 12;
  s.worker_deaths = 13;
  s.updates_dropped = {{"series_limit", 14}, {"no_entry", 15}};
  s.values_refused = {{"nan", 16}, {"infinite", 17}, {"negative", 18}};
  s.series_overflow = {
      {"crm_a_total", {"series_limit", 19}}, {"crm_a_total", {"busy", 25}}, {"crm_b_total", {"cells", 0}}};
  s.declarations_refused = {{"rule", 26}, {"other_type", 27}};
  s.family_generations = {{"crm_a_total", 2}, {"crm_b_total", 1}};
  s.exemplars_dropped = {{"not_declared", 28}};
  s.torn_reads = 20;
  s.quarantined_families = 21, s.quarantined_series = 22, s.quarantined_slots = 23, s.quarantined_workers = 24;
  const std::string text = text_of(s);
  for (const char* line : {"segment_up 1",
                           "segment_created_timestamp_seconds 1700000000.5",
                           "workers{state=\"live\"} 1",
                           "workers{state=\"dead\"} 2",
                           "workers{state=\"released\"} 3",
                           "workers{state=\"unused\"} 4",
                           "slots{state=\"used\"} 5",
                           "slots{state=\"free\"} 6",
                           "families 7",
                           "series 8",
                           "cells_used 9",
                           "cells_limit 10",
                           "directory_used_bytes 11",
                           "directory_limit_bytes 12",
                           "worker_deaths_total 13",
                           "updates_dropped_total{reason=\"series_limit\"} 14",
                           "updates_dropped_total{reason=\"no_entry\"} 15",
                           "values_refused_total{reason=\"nan\"} 16",
                           "values_refused_total{reason=\"infinite\"} 17",
                           "values_refused_total{reason=\"negative\"} 18",
                           "series_overflow_total{family=\"crm_a_total\",reason=\"series_limit\"} 19",
                           "series_overflow_total{family=\"crm_a_total\",reason=\"busy\"} 25",
                           "declarations_refused_total{reason=\"rule\"} 26",
                           "declarations_refused_total{reason=\"other_type\"} 27",
                           "family_generations{family=\"crm_a_total\"} 2",
                           "exemplars_dropped_total{reason=\"not_declared\"} 28",
                           "torn_reads_total 20",
                           "quarantined{what=\"family\"} 21",
                           "quarantined{what=\"series\"} 22",
                           "quarantined{what=\"slot\"} 23",
                           "quarantined{what=\"worker\"} 24"}) {
    EXPECT_THAT(text, HasSubstr(std::string("\nshmetrics_") + line + "\n"));
  }
  EXPECT_THAT(text, Not(HasSubstr("crm_b_total")));
  for (const char* type :
       {"workers gauge", "slots gauge", "worker_deaths_total counter", "updates_dropped_total counter",
        "values_refused_total counter", "series_overflow_total counter", "torn_reads_total counter",
        "declarations_refused_total counter", "exemplars_dropped_total counter", "family_generations gauge",
        "quarantined gauge", "families gauge", "segment_created_timestamp_seconds gauge"}) {
    EXPECT_THAT(text, HasSubstr(std::string("# TYPE shmetrics_") + type + "\n"));
  }
}

TEST(SelfMetrics, SeveralSegmentsShareAHeadAndTheirNameIsTheFirstLabel) {
  std::vector<collector::SegmentStatus> segments(3);
  segments[0].segment = "a";
  segments[1].segment = "b";
  segments[2].segment = "c";
  segments[1].up = segments[2].up = true;
  segments[1].updates_dropped = {{"no_entry", 1}, {"busy", 0}};
  segments[2].updates_dropped = {{"no_entry", 0}, {"busy", 2}};
  segments[1].series_overflow = {{"crm_a_total", {"cells", 3}}};
  segments[2].family_generations = {{"crm_a_total", 4}};
  const std::string text = text_of(segments);
  for (const char* family :
       {"# HELP shmetrics_segment_up Whether the segment could be read in this scrape.\n"
        "# TYPE shmetrics_segment_up gauge\n"
        "shmetrics_segment_up{segment=\"a\"} 0\n"
        "shmetrics_segment_up{segment=\"b\"} 1\n"
        "shmetrics_segment_up{segment=\"c\"} 1\n",
        "# HELP shmetrics_updates_dropped_total Updates that changed no series, by reason.\n"
        "# TYPE shmetrics_updates_dropped_total counter\n"
        "shmetrics_updates_dropped_total{segment=\"b\",reason=\"no_entry\"} 1\n"
        "shmetrics_updates_dropped_total{segment=\"b\",reason=\"busy\"} 0\n"
        "shmetrics_updates_dropped_total{segment=\"c\",reason=\"no_entry\"} 0\n"
        "shmetrics_updates_dropped_total{segment=\"c\",reason=\"busy\"} 2\n",
        "# HELP shmetrics_series_overflow_total Label sets that have no series of their own, by "
        "family and reason.\n"
        "# TYPE shmetrics_series_overflow_total counter\n"
        "shmetrics_series_overflow_total{segment=\"b\",family=\"crm_a_total\",reason=\"cells\"} 3\n",
        "# HELP shmetrics_family_generations Schemas that a family has had in this segment, of "
        "families with more than one.\n"
        "# TYPE shmetrics_family_generations gauge\n"
        "shmetrics_family_generations{segment=\"c\",family=\"crm_a_total\"} 4\n"}) {
    EXPECT_THAT(text, HasSubstr(family));
  }
  EXPECT_THAT(text, Not(HasSubstr("{segment=\"a\",")));
}

// What appears with its first fault cannot be alerted on.
TEST(SelfMetrics, OfASegmentThatIsUpZerosAreWrittenTooButForThoseOfAFamily) {
  collector::SegmentStatus s;
  s.up = true;
  s.declarations_refused = {{"rule", 0}};
  s.updates_dropped = {{"no_entry", 0}};
  s.values_refused = {{"nan", 0}};
  s.series_overflow = {{"crm_a_total", {"cells", 0}}};
  s.family_generations = {{"crm_a_total", 1}};
  const std::string text = text_of(s);
  for (const char* line : {"cells_limit",
                           "cells_used",
                           "declarations_refused_total{reason=\"rule\"}",
                           "directory_limit_bytes",
                           "directory_used_bytes",
                           "families",
                           "quarantined{what=\"family\"}",
                           "quarantined{what=\"series\"}",
                           "quarantined{what=\"slot\"}",
                           "quarantined{what=\"worker\"}",
                           "segment_created_timestamp_seconds",
                           "series",
                           "slots{state=\"free\"}",
                           "slots{state=\"used\"}",
                           "torn_reads_total",
                           "updates_dropped_total{reason=\"no_entry\"}",
                           "values_refused_total{reason=\"nan\"}",
                           "worker_deaths_total",
                           "workers{state=\"dead\"}",
                           "workers{state=\"live\"}",
                           "workers{state=\"released\"}",
                           "workers{state=\"unused\"}"}) {
    EXPECT_THAT(text, HasSubstr(std::string("\nshmetrics_") + line + " 0\n"));
  }
  EXPECT_THAT(text, Not(HasSubstr("crm_a_total")));
  EXPECT_THAT(text, Not(HasSubstr("series_overflow")));
  EXPECT_THAT(text, Not(HasSubstr("family_generations")));
}

TEST(SelfMetrics, RequestsAreCountedAndTheImportantCodesExistFromTheStart) {
  RequestCounts counts;
  counts.count(404, Route::kOther);
  counts.count(200, Route::kMetrics);
  counts.count(200, Route::kMetrics);
  counts.query_token_requests = 2;
  counts.in_flight = 1;
  counts.connections.count(CloseReason::kIdleTimeout);
  counts.connections.accept_failures = 5;
  const std::string text = text_of(counts);
  for (const char* line :
       {"requests_total{code=\"200\",handler=\"metrics\"} 2", "requests_total{code=\"401\",handler=\"metrics\"} 0",
        "requests_total{code=\"429\",handler=\"metrics\"} 0", "requests_total{code=\"503\",handler=\"metrics\"} 0",
        "requests_total{code=\"404\",handler=\"other\"} 1", "requests_in_flight 1", "query_token_requests_total 2",
        "connections_closed_total{reason=\"idle_timeout\"} 1", "connections_closed_total{reason=\"write_timeout\"} 0",
        "accept_failures_total 5"}) {
    EXPECT_THAT(text, HasSubstr(std::string("\nshmetrics_exporter_") + line + "\n"));
  }
  EXPECT_THAT(text, HasSubstr("shmetrics_exporter_build_info{version=\""));
}

TEST(SelfMetrics, InOpenmetricsTheHeadsHaveUnitsAndNoTotal) {
  const ScrapeQuery query{.representation = {.format = Format::kOpenmetrics100}, .names = {}};
  collector::SegmentStatus s;
  s.up = true;
  s.worker_deaths = 2;
  s.directory_used_bytes = 3;
  s.declarations_refused = {{"rule", 4}, {"busy", 0}};
  s.family_generations = {{"crm_a_total", 2}};
  const std::string text = text_of({&s, 1}, query);
  for (const char* family :
       {"# TYPE shmetrics_declarations_refused counter\n"
        "# HELP shmetrics_declarations_refused Declarations of metrics that were refused, by reason.\n"
        "shmetrics_declarations_refused_total{reason=\"rule\"} 4\n"
        "shmetrics_declarations_refused_total{reason=\"busy\"} 0\n",
        "# TYPE shmetrics_directory_used_bytes gauge\n"
        "# UNIT shmetrics_directory_used_bytes bytes\n"
        "# HELP shmetrics_directory_used_bytes Bytes of the directory that records have taken.\n"
        "shmetrics_directory_used_bytes 3\n",
        "# TYPE shmetrics_family_generations gauge\n"
        "# HELP shmetrics_family_generations Schemas that a family has had in this segment, of families with more "
        "than one.\n"
        "shmetrics_family_generations{family=\"crm_a_total\"} 2\n",
        "# TYPE shmetrics_segment_up gauge\n"
        "# HELP shmetrics_segment_up Whether the segment could be read in this scrape.\n"
        "shmetrics_segment_up 1\n",
        "# TYPE shmetrics_worker_deaths counter\n"
        "# HELP shmetrics_worker_deaths Workers found dead without having released their entry.\n"
        "shmetrics_worker_deaths_total 2\n"}) {
    EXPECT_THAT(text, HasSubstr(family));
  }
}

TEST(SelfMetrics, AFilterTakesFamiliesWithTheirHeads) {
  const ScrapeQuery query{.representation = {}, .names = {"shmetrics_exporter_requests_in_flight"}};
  RequestCounts counts;
  counts.in_flight = 1;
  EXPECT_EQ(text_of(counts, query),
            "# HELP shmetrics_exporter_requests_in_flight Requests being answered, this one included.\n"
            "# TYPE shmetrics_exporter_requests_in_flight gauge\n"
            "shmetrics_exporter_requests_in_flight 1\n");
  EXPECT_EQ(text_of(counts, {.representation = {}, .names = {"up"}}), "");
}

}  // namespace
}  // namespace shmetrics::exporter
