// Whole scrapes by protobuf, with the exporter's own metrics: they say what the text of the same moment says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "exporter/scrape/collection.hpp"
#include "tests/collector/segment_builder.hpp"
#include "tests/protobuf_judge.hpp"

namespace shmetrics::exporter {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class ProtobufScrape : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!tests::has_protobuf_judge()) GTEST_SKIP() << tests::kNoProtobufJudge;
  }
  /// How long the scrape took is another number each time.
  static std::string without_duration(const std::string& text) {
    const std::size_t at = text.find("\nshmetrics_scrape_duration_seconds ") + 1;
    return at == 0 ? text : text.substr(0, at) + text.substr(text.find('\n', at) + 1);
  }
  /// The text, after it was compared with what an independent decoder reads of the protobuf.
  std::string scraped(Collection& collection, std::vector<std::string> names = {}) {
    collection.read();
    const std::string text = collection.render({.representation = {}, .names = names}, counts_);
    const tests::Outcome judge =
        tests::judge_protobuf(collection.render({.representation = {Format::kProtobuf}, .names = names}, counts_));
    EXPECT_EQ(judge.code, 0) << judge.error;
    EXPECT_EQ(without_duration(tests::with_plain_numbers(judge.out)),
              without_duration(tests::with_plain_numbers(text)));
    return text;
  }

  tests::SegmentBuilder a_, b_;
  RequestCounts counts_;
};

TEST_F(ProtobufScrape, SaysWhatTheTextSaysOfSegmentsWorkersAndTheExporter) {
  const auto alive = a_.live(0);
  a_.view().worker(0).pid.store_relaxed(static_cast<std::uint64_t>(getpid()));
  const auto jobs = a_.family(tests::counter("jobs_total", {"segment", "queue"}));
  a_.thread(0, a_.series(jobs, {"emea", "a \"b\"\n"})).store_relaxed(2);
  a_.family(tests::histogram("wait_seconds", {0.5, 1}));
  b_.series(b_.family(tests::counter("jobs_total", {"queue"})), {"mail"});
  b_.family(tests::gauge("wait_seconds", shm::GaugeMode::kSum));  // another type: left out
  counts_.answered[{200, Route::kMetrics}] = 3;
  counts_.certificate_expiry = 4e9;
  Collection collection(parse_segments({"a=" + a_.path(), "b=" + b_.path(), "c=/nowhere"}), {.worker_processes = true});
  const std::string text = scraped(collection);
  for (const char* line : {"jobs_total{segment=\"a\",exported_segment=\"emea\",queue=\"a \\\"b\\\"\\n\"} 2\n",
                           "shmetrics_segment_up{segment=\"c\"} 0\n", "shmetrics_exporter_build_info{version=",
                           "shmetrics_quarantined{segment=\"b\",what=\"family\"} 1\n", "process_cpu_seconds_total ",
                           "shmetrics_exporter_requests_total{code=\"200\",handler=\"metrics\"} 3\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST_F(ProtobufScrape, TakesTheFilterOfTheText) {
  a_.family(tests::histogram("wait_seconds", {0.5, 1}));
  a_.family(tests::counter("other_total"));
  Collection collection(parse_segments({a_.path()}));
  EXPECT_THAT(
      scraped(collection, {"shmetrics_segment_up", "wait_seconds_count"}),
      StartsWith("# HELP wait_seconds Help.\n# TYPE wait_seconds histogram\nwait_seconds_bucket{le=\"0.5\"} 0\n"));
  EXPECT_EQ(scraped(collection, {"nothing_of_that_name"}), "");
}

TEST_F(ProtobufScrape, CountsSeriesThatDoNotFit) {
  const auto family = a_.family(tests::counter("a_total", {"x"}));
  for (const char* value : {"1", "2", "3", "4"}) a_.series(family, {value});
  Collection collection(parse_segments({a_.path()}), {.exporter_metrics = false, .max_bytes = 60});
  collection.read();
  const auto judge = tests::judge_protobuf(collection.render({.representation = {Format::kProtobuf}}, counts_));
  EXPECT_THAT(judge.out,
              StartsWith("# HELP a_total Help.\n# TYPE a_total counter\na_total{x=\"1\"} 0\na_total{x=\"2\"} 0\n#"));
  EXPECT_THAT(judge.out, HasSubstr("\nshmetrics_quarantined{what=\"series\"} 2\n"));
}

}  // namespace
}  // namespace shmetrics::exporter
