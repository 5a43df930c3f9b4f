// A whole scrape of several segments: the families, then the self metrics.
#include "exporter/scrape/collection.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <thread>

#include "tests/collector/segment_builder.hpp"
#include "tests/collector/text_checker.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics::exporter {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::internal::CaptureStderr;
using ::testing::internal::GetCapturedStderr;

class CollectionTest : public ::testing::Test {
 protected:
  Collection collection_of(const std::vector<std::string>& texts) {
    return Collection(parse_segments(texts), {.exporter_metrics = false});
  }
  /// One scrape, checked, with times written as T; what was logged is in log_.
  std::string scrape(Collection& collection) {
    CaptureStderr();
    collection.read();
    const std::string text = collection.render({}, counts_);
    log_ = GetCapturedStderr();
    EXPECT_EQ(tests::TextChecker::problem(text), "");
    return without_times(text);
  }
  static std::string without_times(const std::string& text) {
    std::istringstream lines(text);
    std::string out;
    for (std::string line; std::getline(lines, line);) {
      const bool has_time = line[0] != '#' && (line.starts_with("shmetrics_scrape_duration_seconds") ||
                                               line.starts_with("shmetrics_segment_created_timestamp_seconds"));
      out += (has_time ? line.substr(0, line.rfind(' ')) + " T" : line) + '\n';
    }
    return out;
  }
  static std::size_t occurrences(const std::string& text, const std::string& part) {
    std::size_t count = 0;
    for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++count;
    return count;
  }

  RequestCounts counts_;
  tests::TemporaryFolder folder_;
  tests::SegmentBuilder a_, b_;
  std::string log_;
};

constexpr const char* kTwoSegments = R"(# HELP h Help.
# TYPE h histogram
h_bucket{segment="a",le="0.5"} 0
h_bucket{segment="a",le="+Inf"} 0
h_sum{segment="a"} 0
h_count{segment="a"} 0
# HELP h_created Help.
# TYPE h_created gauge
h_created{segment="b"} 0
# HELP h_sum_total Help.
# TYPE h_sum_total counter
h_sum_total{segment="b"} 0
# HELP jobs_total Help.
# TYPE jobs_total counter
jobs_total{segment="a"} 2
jobs_total{segment="b",exported_segment="emea"} 5
# HELP queue Help.
# TYPE queue gauge
queue{segment="a"} 0
# HELP shmetrics_scrape_duration_seconds How long reading and rendering the segments took in this scrape.
# TYPE shmetrics_scrape_duration_seconds gauge
shmetrics_scrape_duration_seconds T
# HELP shmetrics_cells_limit Cells that a slot has room for.
# TYPE shmetrics_cells_limit gauge
shmetrics_cells_limit{segment="a"} 4096
shmetrics_cells_limit{segment="b"} 4096
# HELP shmetrics_cells_used Cells of a slot that series have taken.
# TYPE shmetrics_cells_used gauge
shmetrics_cells_used{segment="a"} 69
shmetrics_cells_used{segment="b"} 76
# HELP shmetrics_declarations_refused_total Declarations of metrics that were refused, by reason.
# TYPE shmetrics_declarations_refused_total counter
shmetrics_declarations_refused_total{segment="a",reason="rule"} 0
shmetrics_declarations_refused_total{segment="a",reason="other_type"} 0
shmetrics_declarations_refused_total{segment="a",reason="schemas"} 0
shmetrics_declarations_refused_total{segment="a",reason="same_process"} 0
shmetrics_declarations_refused_total{segment="a",reason="newer_release"} 0
shmetrics_declarations_refused_total{segment="a",reason="directory"} 0
shmetrics_declarations_refused_total{segment="a",reason="no_memory"} 0
shmetrics_declarations_refused_total{segment="a",reason="busy"} 0
shmetrics_declarations_refused_total{segment="b",reason="rule"} 0
shmetrics_declarations_refused_total{segment="b",reason="other_type"} 0
shmetrics_declarations_refused_total{segment="b",reason="schemas"} 0
shmetrics_declarations_refused_total{segment="b",reason="same_process"} 0
shmetrics_declarations_refused_total{segment="b",reason="newer_release"} 0
shmetrics_declarations_refused_total{segment="b",reason="directory"} 0
shmetrics_declarations_refused_total{segment="b",reason="no_memory"} 0
shmetrics_declarations_refused_total{segment="b",reason="busy"} 0
# HELP shmetrics_directory_limit_bytes Bytes that the directory has room for.
# TYPE shmetrics_directory_limit_bytes gauge
shmetrics_directory_limit_bytes{segment="a"} 65536
shmetrics_directory_limit_bytes{segment="b"} 65536
# HELP shmetrics_directory_used_bytes Bytes of the directory that records have taken.
# TYPE shmetrics_directory_used_bytes gauge
shmetrics_directory_used_bytes{segment="a"} 288
shmetrics_directory_used_bytes{segment="b"} 448
# HELP shmetrics_exemplars_dropped_total Exemplars that were not kept, by reason; their updates count.
# TYPE shmetrics_exemplars_dropped_total counter
shmetrics_exemplars_dropped_total{segment="a",reason="not_declared"} 0
shmetrics_exemplars_dropped_total{segment="a",reason="invalid"} 0
shmetrics_exemplars_dropped_total{segment="a",reason="too_long"} 0
shmetrics_exemplars_dropped_total{segment="a",reason="no_slot"} 0
shmetrics_exemplars_dropped_total{segment="b",reason="not_declared"} 0
shmetrics_exemplars_dropped_total{segment="b",reason="invalid"} 0
shmetrics_exemplars_dropped_total{segment="b",reason="too_long"} 0
shmetrics_exemplars_dropped_total{segment="b",reason="no_slot"} 0
# HELP shmetrics_families Metric families declared in the segment.
# TYPE shmetrics_families gauge
shmetrics_families{segment="a"} 3
shmetrics_families{segment="b"} 4
# HELP shmetrics_foreign_locks Read locks on the segment's lock bytes, which no worker takes.
# TYPE shmetrics_foreign_locks gauge
shmetrics_foreign_locks{segment="a"} 0
shmetrics_foreign_locks{segment="b"} 0
# HELP shmetrics_quarantined Records left out of this scrape, damaged or clashing, by kind.
# TYPE shmetrics_quarantined gauge
shmetrics_quarantined{segment="a",what="family"} 0
shmetrics_quarantined{segment="a",what="series"} 0
shmetrics_quarantined{segment="a",what="slot"} 0
shmetrics_quarantined{segment="a",what="worker"} 0
shmetrics_quarantined{segment="b",what="family"} 1
shmetrics_quarantined{segment="b",what="series"} 0
shmetrics_quarantined{segment="b",what="slot"} 0
shmetrics_quarantined{segment="b",what="worker"} 0
# HELP shmetrics_segment_created_timestamp_seconds When the segment was created, Unix time.
# TYPE shmetrics_segment_created_timestamp_seconds gauge
shmetrics_segment_created_timestamp_seconds{segment="a"} T
shmetrics_segment_created_timestamp_seconds{segment="b"} T
# HELP shmetrics_segment_up Whether the segment could be read in this scrape.
# TYPE shmetrics_segment_up gauge
shmetrics_segment_up{segment="a"} 1
shmetrics_segment_up{segment="gone"} 0
shmetrics_segment_up{segment="b"} 1
# HELP shmetrics_series Series in the segment.
# TYPE shmetrics_series gauge
shmetrics_series{segment="a"} 3
shmetrics_series{segment="b"} 4
# HELP shmetrics_slots Thread slots by state.
# TYPE shmetrics_slots gauge
shmetrics_slots{segment="a",state="free"} 4
shmetrics_slots{segment="a",state="used"} 0
shmetrics_slots{segment="b",state="free"} 4
shmetrics_slots{segment="b",state="used"} 0
# HELP shmetrics_torn_reads_total Values copied without consistency because their writer never paused.
# TYPE shmetrics_torn_reads_total counter
shmetrics_torn_reads_total{segment="a"} 0
shmetrics_torn_reads_total{segment="b"} 0
# HELP shmetrics_updates_dropped_total Updates that changed no series, by reason.
# TYPE shmetrics_updates_dropped_total counter
shmetrics_updates_dropped_total{segment="a",reason="series_limit"} 0
shmetrics_updates_dropped_total{segment="a",reason="no_entry"} 0
shmetrics_updates_dropped_total{segment="a",reason="refused_family"} 0
shmetrics_updates_dropped_total{segment="a",reason="no_memory"} 0
shmetrics_updates_dropped_total{segment="a",reason="busy"} 0
shmetrics_updates_dropped_total{segment="b",reason="series_limit"} 0
shmetrics_updates_dropped_total{segment="b",reason="no_entry"} 0
shmetrics_updates_dropped_total{segment="b",reason="refused_family"} 0
shmetrics_updates_dropped_total{segment="b",reason="no_memory"} 0
shmetrics_updates_dropped_total{segment="b",reason="busy"} 0
# HELP shmetrics_values_refused_total Values that a metric does not take, by reason.
# TYPE shmetrics_values_refused_total counter
shmetrics_values_refused_total{segment="a",reason="nan"} 0
shmetrics_values_refused_total{segment="a",reason="infinite"} 0
shmetrics_values_refused_total{segment="a",reason="negative"} 0
shmetrics_values_refused_total{segment="b",reason="nan"} 0
shmetrics_values_refused_total{segment="b",reason="infinite"} 0
shmetrics_values_refused_total{segment="b",reason="negative"} 0
# HELP shmetrics_worker_deaths_total Workers found dead without having released their entry.
# TYPE shmetrics_worker_deaths_total counter
shmetrics_worker_deaths_total{segment="a"} 0
shmetrics_worker_deaths_total{segment="b"} 0
# HELP shmetrics_workers Worker entries by state.
# TYPE shmetrics_workers gauge
shmetrics_workers{segment="a",state="dead"} 0
shmetrics_workers{segment="a",state="live"} 1
shmetrics_workers{segment="a",state="released"} 0
shmetrics_workers{segment="a",state="unused"} 3
shmetrics_workers{segment="b",state="dead"} 0
shmetrics_workers{segment="b",state="live"} 0
shmetrics_workers{segment="b",state="released"} 0
shmetrics_workers{segment="b",state="unused"} 4
)";

TEST_F(CollectionTest, TwoSegmentsAndAMissingOneAreOneText) {
  a_.thread(0, a_.family(tests::counter("jobs_total")).cell).store_relaxed(2);
  a_.family(tests::gauge("queue", shm::GaugeMode::kSum));
  a_.family(tests::histogram("h", {0.5}));
  const shm::Descriptor alive = a_.live(1);
  const auto jobs = b_.family(tests::counter("jobs_total", {"segment"}));
  b_.thread(0, b_.series(jobs, {"emea"})).store_relaxed(5);
  b_.family(tests::counter("h_sum_total"));                     // h_sum to OpenMetrics: clashes with the histogram of a
  b_.family(tests::gauge("h_created", shm::GaugeMode::kSum));   // so does this
  b_.family(tests::plain(shm::MetricType::kSummary, "queue"));  // another type
  Collection collection = collection_of({"a=" + a_.path(), "gone=" + folder_.file("x.seg"), "b=" + b_.path()});
  EXPECT_EQ(scrape(collection), kTwoSegments);
}

TEST_F(CollectionTest, OnePlainPathAddsNothing) {
  a_.family(tests::counter("jobs_total", {"segment"}));
  Collection collection = collection_of({a_.path()});
  EXPECT_THAT(scrape(collection), Not(HasSubstr("segment=")));
  EXPECT_THAT(log_, HasSubstr("msg=\"the segment is up\" segment=" + a_.path() + "\n"));
}

TEST_F(CollectionTest, OneWithANameHasTheLabelEverywhere) {
  a_.family(tests::counter("jobs_total"));
  Collection collection = collection_of({"crm=" + a_.path()});
  const std::string text = scrape(collection);
  EXPECT_THAT(text, HasSubstr("\njobs_total{segment=\"crm\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("\nshmetrics_segment_up{segment=\"crm\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("\nshmetrics_workers{segment=\"crm\",state=\"unused\"} 4\n"));
  EXPECT_THAT(log_, HasSubstr("msg=\"the segment is up\" segment=crm path=" + a_.path() + "\n"));
}

// An application that moves over brings names of its own process along.
TEST_F(CollectionTest, AProcessFamilyOfASegmentStandsInPlaceOfTheExportersOwn) {
  const auto lenient = [](shm::Schema schema) {
    schema.naming = shm::Naming::kLenient;
    return schema;
  };
  a_.thread(0, a_.family(lenient(tests::counter("process_cpu_seconds_total"))).cell).store_relaxed(4711);
  a_.family(lenient(tests::counter("process_open_fds")));
  Collection collection(parse_segments({a_.path()}), {.exporter_metrics = true});
  const std::string text = scrape(collection);
  EXPECT_THAT(text, HasSubstr("process_cpu_seconds_total 4711"));
  for (const char* name : {"process_cpu_seconds_total", "process_open_fds", "process_resident_memory_bytes"}) {
    EXPECT_EQ(occurrences(text, std::string("# TYPE ") + name + " "), 1u) << name;
  }
}

TEST_F(CollectionTest, AClashIsLoggedOnceWithTheSegmentsName) {
  a_.family(tests::gauge("x", shm::GaugeMode::kSum));
  b_.family(tests::histogram("x", {1}));
  Collection collection = collection_of({"a=" + a_.path(), "b=" + b_.path()});
  scrape(collection);
  EXPECT_THAT(log_,
              HasSubstr("level=warn msg=\"the segment is up, but\" segment=b path=" + b_.path() +
                        " problem=\"family x of segment b is left out: segment a has it as a gauge, not a histogram;"));
  scrape(collection);
  EXPECT_EQ(log_, "");
}

TEST_F(CollectionTest, ANoticeIsLoggedOnceForEachSegment) {
  a_.family(tests::counter("a_total"));
  b_.family(tests::counter("a_total"));
  const shm::Descriptor in_a = a_.live(0), in_b = b_.live(0);
  Collection collection = collection_of({"a=" + a_.path(), "b=" + b_.path()});
  scrape(collection);
  unlink(a_.path().c_str());
  unlink(b_.path().c_str());
  EXPECT_THAT(scrape(collection), HasSubstr("shmetrics_segment_up{segment=\"b\"} 1\n"));
  EXPECT_EQ(occurrences(log_, "removed while in use"), 2U) << log_;
  EXPECT_THAT(log_, HasSubstr("segment=a path="));
  EXPECT_THAT(log_, HasSubstr("segment=b path="));
  scrape(collection);
  EXPECT_EQ(log_, "");
}

TEST_F(CollectionTest, ADamagedSegmentDoesNotKeepTheOthersOut) {
  a_.family(tests::counter("jobs_total"));
  std::ofstream(folder_.file("bad.seg")) << std::string(8192, 'x');
  Collection collection = collection_of({folder_.file("bad.seg"), "a=" + a_.path()});
  const std::string text = scrape(collection);
  EXPECT_THAT(text, HasSubstr("jobs_total{segment=\"a\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("shmetrics_segment_up{segment=\"bad\"} 0\n"));
  EXPECT_THAT(log_, HasSubstr("level=warn msg=\"the segment is not up\" segment=bad path=" + folder_.file("bad.seg")));
}

TEST_F(CollectionTest, ASnapshotIsOfTheFirstSegmentOrTheNamedOneAndSaysWhenItIsDown) {
  a_.family(tests::counter("jobs_total"));
  b_.family(tests::counter("mails_total"));
  Collection collection = collection_of({"a=" + a_.path(), "gone=" + folder_.file("x.seg"), "b=" + b_.path()});
  collection.read();
  const auto of = [&](const char* segment) {
    return collection.render({.representation = {}, .snapshot_of = segment}, counts_);
  };
  EXPECT_EQ(of(""), of("a"));
  EXPECT_THAT(of("a"), HasSubstr(R"("series":[{"labels":{"segment":"a"},"value":0}])"));
  EXPECT_THAT(of("b"), HasSubstr("mails_total"));
  EXPECT_THAT(of("gone"), HasSubstr(R"("state":"down","problem":")"));
  EXPECT_THAT(of("gone"), ::testing::EndsWith("\"workers\":[],\n\"families\":[]}\n"));
  EXPECT_EQ(of("x"), "");
}

TEST_F(CollectionTest, ASnapshotHasWhatCannotStandBesideTheFirstSegmentAndIsNotDamaged) {
  a_.family(tests::gauge("queue", shm::GaugeMode::kSum));
  b_.family(tests::plain(shm::MetricType::kSummary, "queue"));
  Collection collection = collection_of({"a=" + a_.path(), "b=" + b_.path()});
  EXPECT_THAT(scrape(collection), HasSubstr("shmetrics_quarantined{segment=\"b\",what=\"family\"} 1\n"));
  const std::string json = collection.render({.representation = {}, .snapshot_of = "b"}, counts_);
  EXPECT_THAT(json, HasSubstr(R"("state":"up")"));
  EXPECT_THAT(json, HasSubstr(R"("name":"queue","type":"summary")"));
}

TEST_F(CollectionTest, ASnapshotEndsWithTheSeriesThatFillsItAndLeavesOutTheRestOfTheFamily) {
  const auto jobs = a_.family(tests::counter("jobs_total", {"x"}));
  for (const char* value : {"1", "2", "3"}) a_.series(jobs, {std::string(1000, 'y') + value});
  Collection collection(parse_segments({a_.path()}), {.exporter_metrics = false, .max_bytes = 1500});
  collection.read();
  CaptureStderr();
  const std::string json = collection.render({.representation = {}, .snapshot_of = ""}, counts_);
  EXPECT_THAT(json, AllOf(HasSubstr("y2\"},\"value\":0}]}]}\n"), Not(HasSubstr("y3"))));
  EXPECT_THAT(GetCapturedStderr(), HasSubstr("series=1 max_response_bytes=1500"));
}

TEST_F(CollectionTest, FamiliesThatASnapshotHasNoRoomForAreLeftOutWholeAndSaid) {
  a_.family(tests::counter("a_total"));
  a_.family(tests::counter("b_total"));
  Collection collection(parse_segments({a_.path()}), {.exporter_metrics = false, .max_bytes = 1});
  collection.read();
  CaptureStderr();
  EXPECT_THAT(collection.render({.representation = {}, .snapshot_of = ""}, counts_), Not(HasSubstr("_total")));
  EXPECT_THAT(GetCapturedStderr(), HasSubstr("series are left out"));
}

TEST_F(CollectionTest, OfSegmentsThatComeTogetherTheOlderFileHasTheName) {
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // what the clock of files can tell apart
  tests::SegmentBuilder younger;
  younger.family(tests::gauge("x", shm::GaugeMode::kSum));
  a_.family(tests::histogram("x", {1}));
  Collection collection = collection_of({"first=" + younger.path(), "second=" + a_.path()});
  const std::string text = scrape(collection);
  EXPECT_THAT(text, HasSubstr("# TYPE x histogram\n"));
  EXPECT_THAT(log_, HasSubstr("family x of segment first is left out: segment second has it as a histogram"));
}

TEST_F(CollectionTest, ASegmentOfAStrangerIsDownUnlessHeIsNamed) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  ASSERT_EQ(chown(a_.path().c_str(), 12001, 12002), 0);
  Collection refusing = collection_of({a_.path()});
  EXPECT_THAT(scrape(refusing), HasSubstr("\nshmetrics_segment_up 0\n"));
  EXPECT_THAT(log_, HasSubstr("belongs to user 12001 and group 12002"));
  Collection trusting(parse_segments({a_.path()}),
                      {.exporter_metrics = false, .owners = {.users = {12001}, .groups = {}}});
  EXPECT_THAT(scrape(trusting), HasSubstr("\nshmetrics_segment_up 1\n"));
}

TEST_F(CollectionTest, AGlobWithoutAMatchIsAScrapeWithoutSegments) {
  Collection collection = collection_of({folder_.file("*.seg")});
  EXPECT_THAT(scrape(collection), Not(HasSubstr("segment_up")));
  EXPECT_THAT(log_, HasSubstr("level=warn msg=\"no file matches yet, or this user may not read the folder\" segment=" +
                              folder_.file("*.seg")));
}

}  // namespace
}  // namespace shmetrics::exporter
