#include "collector/protobuf.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "collector/family.hpp"
#include "collector/merge.hpp"
#include "collector/scraper.hpp"
#include "tests/collector/protobuf_checker.hpp"
#include "tests/collector/segment_builder.hpp"
#include "tests/protobuf_judge.hpp"

namespace shmetrics::collector {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using tests::SegmentBuilder;
using Time = std::chrono::system_clock::time_point;

constexpr std::uint64_t kCreated = 1'500'000'000'007'000'001;
constexpr Time kNow{2'000'000'000s};

std::string rendered(const Scraper& scraper, Time now = kNow) {
  std::string out;
  TextOutput output(out);
  FamilyGroups(scraper.view()).for_each({}, [&](std::span<const FamilyPart> parts) {
    render_protobuf(parts, now, output);
  });
  return out;
}
std::string rendered(const SegmentBuilder& segment, Time now = kNow) {
  Scraper scraper(segment.path());
  EXPECT_TRUE(scraper.read().up);
  return rendered(scraper, now);
}

std::string hex(const std::string& bytes) {
  std::string out;
  for (const unsigned char byte : bytes) {
    out += "0123456789abcdef"[byte / 16];
    out += "0123456789abcdef"[byte % 16];
  }
  return out;
}
void observe(SegmentBuilder& segment, std::uint32_t cell, std::vector<std::uint64_t> buckets, double sum) {
  segment.thread(0, cell + shm::kHistogramSum).store_double_relaxed(sum);
  for (std::uint32_t i = 0; i < buckets.size(); ++i) {
    segment.thread(0, cell + shm::kHistogramBuckets + i).store_relaxed(buckets[i]);
  }
}

std::string without_blanks(std::string text) {
  std::erase(text, ' ');
  return text;
}

// The numbers of the fields are those of client_model's metrics.proto, whoever reads them.
TEST(Protobuf, ACounterIsTheseBytes) {
  SegmentBuilder segment;
  shm::Schema schema = tests::counter("a_seconds_total", {"x"});
  schema.unit = "seconds";
  segment.thread(0, segment.series(segment.family(schema), {"1"}, kCreated)).store_relaxed(7);
  EXPECT_EQ(hex(rendered(segment)),
            without_blanks("45"                                          // length of the family
                           "0a 0f 615f7365636f6e64735f746f74616c"        // name
                           "12 05 48656c702e"                            // help
                           "18 00"                                       // type: counter
                           "2a 07 7365636f6e6473"                        // unit
                           "22 20"                                       // metric
                           "  0a 06  0a 01 78  12 01 31"                 //   label
                           "  1a 16  09 0000000000001c40"                //   counter: 7
                           "         1a 0b  08 80dea0cb05  10 c09fab03"  //     since then
                           ));
}

TEST(Protobuf, AHistogramIsTheseBytes) {
  SegmentBuilder segment;
  observe(segment, segment.family(tests::histogram("h", {0.5}), kCreated).cell, {300, 1}, 2.5);
  EXPECT_EQ(hex(rendered(segment)),
            without_blanks("45"
                           "0a 01 68  12 05 48656c702e  18 04"
                           "22 37  3a 35"
                           "  08 ad02  11 0000000000000440"         // count: 301; sum: 2.5
                           "  1a 0c  08 ac02  11 000000000000e03f"  // up to 0.5: 300
                           "  1a 0c  08 ad02  11 000000000000f07f"  // up to infinity: all
                           "  7a 0b  08 80dea0cb05  10 c09fab03"));
}

TEST(Protobuf, ANativeHistogramIsTheseBytesBesideItsClassicBuckets) {
  SegmentBuilder segment;
  observe(segment, segment.family(tests::native_histogram("h", 1, 4, 1.5), kCreated).cell, {2, 5, 0, 0, 0, 7}, 2.5);
  EXPECT_EQ(hex(rendered(segment)),
            without_blanks("79"
                           "0a 01 68  12 05 48656c702e  18 04"
                           "22 6b  3a 69"
                           "  08 0e  11 0000000000000440"         // count: 14; sum: 2.5
                           "  1a 0b  08 02  11 000000000000f03f"  // up to 1: 2
                           "  1a 0b  08 07  11 0000000000000040"  // up to 2: 7
                           "  1a 0b  08 07  11 0000000000001040"  // up to 4: 7
                           "  1a 0b  08 0e  11 000000000000f07f"  // up to infinity: all
                           "  28 02  31 000000000000f03f  38 02"  // schema 1; up to 1: 2
                           "  62 04  08 02  10 01"                // one bucket from key 1 on
                           "  62 04  08 06  10 01"                // three are empty, then one
                           "  6a 02  0a 04"                       // 5, and 2 more
                           "  7a 0b  08 80dea0cb05  10 c09fab03"));
}

TEST(Protobuf, AnIndependentDecoderReadsNativeBuckets) {
  if (!tests::has_protobuf_judge()) GTEST_SKIP() << tests::kNoProtobufJudge;
  SegmentBuilder segment;
  const auto family = segment.family(tests::native_histogram("h", 0.25, 4, 1.5, {"x"}));
  observe(segment, segment.series(family, {"1"}), {2, 5, 0, 0, 0, 7, 0, 0, 1, 3}, 2.5);
  segment.series(family, {"2"});
  segment.family(tests::native_histogram("wide", 1e-300, 1e300, 4, {"x"}));
  const std::string scrape = rendered(segment);
  // Key -3 ends at 0.35; 0.25 to 0.35 has 5, 1 to 1.41 has 7, 2.83 to 4 has 1, and what is above 4 is in the next.
  EXPECT_EQ(tests::run_command({SHMETRICS_PROTOBUF_JUDGE, "native"}, scrape).out,
            "h 1 0.25 2 -3:[5] 3:[2 -7 0 1 2] left 0\nh 1 0.25 0 left 0\n");
  Scraper scraper(segment.path());
  std::string text;
  ASSERT_TRUE(scraper.scrape(text).up);
  EXPECT_EQ(tests::with_plain_numbers(tests::judge_protobuf(scrape).out), tests::with_plain_numbers(text));
}

// Prometheus reads these counts as signed, and one below 0 costs the whole scrape.
TEST(Protobuf, ANativeHistogramThatHasCountedMoreThanASignedNumberHoldsIsClassicAlone) {
  constexpr std::uint64_t kHalf = std::uint64_t{1} << 62;
  for (const auto& [cells, has_native] : {std::pair{std::vector{kHalf, kHalf - 1, std::uint64_t{0}}, true},
                                          {std::vector{kHalf, kHalf, std::uint64_t{0}}, false},
                                          {std::vector{std::uint64_t{0}, 2 * kHalf, std::uint64_t{0}}, false},
                                          {std::vector{UINT64_MAX, UINT64_MAX, UINT64_MAX}, false}}) {
    SegmentBuilder segment;
    observe(segment, segment.family(tests::native_histogram("h", 1, 2, 2)).cell, cells, 1);
    const std::string scrape = rendered(segment);
    EXPECT_EQ(hex(scrape).find("280031") != std::string::npos, has_native) << "its schema and zero threshold";
    Scraper scraper(segment.path());
    std::string text;
    ASSERT_TRUE(scraper.scrape(text).up);
    EXPECT_EQ(tests::ProtobufChecker::text_of(scrape, 2'000'000'000), text);
  }
}

// A server takes a count that goes back for a restart, and the rate of all that was counted for the rate of now.
TEST(Protobuf, ASecondWindowTakesNothingFromTheNativeBuckets) {
  if (!tests::has_protobuf_judge()) GTEST_SKIP() << tests::kNoProtobufJudge;
  SegmentBuilder segment;
  Scraper scraper(segment.path());
  const auto judged = [&] {
    EXPECT_TRUE(scraper.read().up);
    return tests::run_command({SHMETRICS_PROTOBUF_JUDGE, "native"}, rendered(scraper)).out;
  };
  observe(segment, segment.family(tests::native_histogram("h", 1, 8, 2)).cell, {1, 2, 3, 4, 5}, 2.5);
  EXPECT_EQ(judged(), "h 0 1 1 1:[2 1 1 1] left 0\n");
  const auto second = segment.family(tests::native_histogram("h", 2, 32, 2));
  EXPECT_EQ(judged(), "h 0 2 3 2:[3 1 1] left 0\n");
  observe(segment, second.cell, {10, 20, 30, 40, 50, 60}, 1);
  EXPECT_EQ(judged(), "h 0 2 13 2:[23 11 11 5 10] left 0\n");
  segment.family(tests::histogram("h", {1}));
  EXPECT_EQ(judged(), "") << "with classic ones there is no native form";
}

TEST(Protobuf, ASummaryAndGaugesAreTheseBytesAndZerosAreWritten) {
  SegmentBuilder segment;
  const auto alive = segment.live(0);
  segment.family(tests::plain(shm::MetricType::kSummary, "s"), 0);
  segment.set_gauge(0, segment.family(tests::gauge("g", shm::GaugeMode::kAll)).cell, 1);
  const auto info = segment.family(tests::plain(shm::MetricType::kInfo, "i_info"));
  segment.set_gauge(0, info.cell, 1);
  segment.family(tests::gauge("z", shm::GaugeMode::kSum));
  EXPECT_EQ(hex(rendered(segment)),
            without_blanks("26  0a 01 67  12 05 48656c702e  18 01  22 18  0a 0b  0a 06 776f726b6572  12 01 30  12 09"
                           "    09 000000000000f03f"
                           "1e  0a 06 695f696e666f  12 05 48656c702e  18 01  22 0b  12 09  09 000000000000f03f"
                           "1b  0a 01 73  12 05 48656c702e  18 02  22 0d  22 0b  08 00  11 0000000000000000"
                           "19  0a 01 7a  12 05 48656c702e  18 01  22 0b  12 09  09 0000000000000000"));
}

// A family of each kind, and a live worker that has set what there is to set.
class EveryKind {
 public:
  explicit EveryKind(std::string_view label_value) : alive_(segment.live(0)) {
    const auto requests = segment.family(tests::counter("app_requests_total", {"method"}));
    segment.thread(0, segment.series(requests, {"GET"})).store_relaxed(UINT64_MAX);
    segment.thread(0, segment.series(requests, {label_value})).store_relaxed(1);
    segment.thread(0, segment.family(tests::counter("app_cost_total", {}, shm::CellKind::kDouble)).cell)
        .store_double_relaxed(0.1);
    segment.set_gauge(0, segment.family(tests::gauge("app_load", shm::GaugeMode::kLivesum)).cell, -0.5);
    segment.set_gauge(0, segment.family(tests::gauge("app_odd", shm::GaugeMode::kLivemax)).cell, NAN);
    segment.set_gauge(0, segment.family(tests::gauge("app_per_worker", shm::GaugeMode::kLiveall)).cell, INFINITY);
    observe(segment, segment.family(tests::histogram("app_seconds", {-1, 0.005, 1, 2.5, 1e6})).cell, {1, 2, 3, 0, 0, 1},
            -0.003);
    observe(segment, segment.family(tests::plain(shm::MetricType::kSummary, "app_bytes")).cell, {2}, 12);
    const auto build = segment.family(tests::plain(shm::MetricType::kInfo, "app_build_info", {"version"}));
    segment.set_gauge(0, segment.series(build, {"1.2.3"}), 1);
  }
  SegmentBuilder segment;

 private:
  shm::Descriptor alive_;
};

TEST(Protobuf, AnIndependentDecoderReadsWhatTheTextSays) {
  if (!tests::has_protobuf_judge()) GTEST_SKIP() << tests::kNoProtobufJudge;
  const EveryKind all("a \"quoted\"\\ value\nof two lines \xc3\xbc");
  Scraper scraper(all.segment.path(), "one");
  std::string text;
  ASSERT_TRUE(scraper.scrape(text).up);
  const tests::Outcome judge = tests::judge_protobuf(rendered(scraper));
  ASSERT_EQ(judge.code, 0) << judge.error;
  EXPECT_EQ(tests::with_plain_numbers(judge.out), tests::with_plain_numbers(text));
  EXPECT_THAT(text, HasSubstr("app_per_worker{segment=\"one\",worker=\"0\"} +Inf\n"));
}

TEST(Protobuf, TheIndependentDecoderRefusesWhatIsCutShort) {
  if (!tests::has_protobuf_judge()) GTEST_SKIP() << tests::kNoProtobufJudge;
  const std::string whole = rendered(EveryKind("x").segment);
  EXPECT_EQ(tests::judge_protobuf(whole.substr(0, whole.size() - 1)).code, 1);
  EXPECT_EQ(tests::judge_protobuf("# TYPE a counter\na_total 1\n").code, 1);
}

TEST(Protobuf, AStartThatIsToComeIsNow) {
  SegmentBuilder segment;
  segment.family(tests::counter("a_total"), kCreated);
  const Time then(std::chrono::duration_cast<Time::duration>(std::chrono::nanoseconds(kCreated)));
  const std::string start = without_blanks("1a 0b  08 80dea0cb05  10 c09fab03");
  EXPECT_THAT(hex(rendered(segment, then)), HasSubstr(start));
  EXPECT_THAT(hex(rendered(segment, then + 1s)), HasSubstr(start));
  EXPECT_THAT(hex(rendered(segment, then - 1ms)), HasSubstr(without_blanks("1a 0b  08 80dea0cb05  10 809bee02")));
  EXPECT_THAT(hex(rendered(segment, then - 1s)), HasSubstr(without_blanks("1a 0b  08 ffdda0cb05  10 c09fab03")));
}

TEST(Protobuf, AStartThatNobodyWroteIsLeftOut) {
  SegmentBuilder segment;
  segment.family(tests::counter("a_total"), 0);
  EXPECT_THAT(hex(rendered(segment)), ::testing::EndsWith(without_blanks("22 0b  1a 09  09 0000000000000000")));
}

TEST(Protobuf, AUnitIsWrittenOnlyWhereTheNameEndsInIt) {
  for (const auto& [name, unit, is_written] : {std::tuple{"a_seconds_total", "seconds", true},
                                               {"a_total", "seconds", false},
                                               {"seconds_total", "seconds", false},
                                               {"a_seconds_b_total", "seconds", false},
                                               {"aseconds_total", "seconds", false},
                                               {"a_total", "total", false}}) {
    SegmentBuilder segment;
    shm::Schema schema = tests::counter(name);
    schema.unit = unit;
    segment.family(schema);
    // Behind the type.
    const std::string field = "18002a" + hex({static_cast<char>(std::string_view(unit).size())}) + hex(unit);
    EXPECT_EQ(hex(rendered(segment)).find(field) != std::string::npos, is_written) << name;
  }
}

TEST(Protobuf, AFamilyOfSeveralSegmentsIsOneMessageWithTheHeadOfTheFirst) {
  if (!tests::has_protobuf_judge()) GTEST_SKIP() << tests::kNoProtobufJudge;
  SegmentBuilder a, b;
  a.family(tests::counter("only_a_total"));
  a.series(a.family(tests::counter("jobs_total", {"x"})), {"1"});
  shm::Schema other = tests::counter("jobs_total", {"x"});
  other.help = "Another.";
  b.series(b.family(other), {"1"});
  Scraper of_a(a.path(), "a"), of_b(b.path(), "b");
  ASSERT_TRUE(of_a.read().up && of_b.read().up);
  const std::vector views{of_a.view(), of_b.view()};
  std::string out;
  TextOutput output(out);
  FamilyGroups(views).for_each({}, [&](std::span<const FamilyPart> parts) { render_protobuf(parts, kNow, output); });
  EXPECT_EQ(tests::judge_protobuf(out).out,
            "# HELP jobs_total Help.\n# TYPE jobs_total counter\n"
            "jobs_total{segment=\"a\",x=\"1\"} 0\njobs_total{segment=\"b\",x=\"1\"} 0\n"
            "# HELP only_a_total Help.\n# TYPE only_a_total counter\nonly_a_total{segment=\"a\"} 0\n");
}

TEST(Protobuf, WhatIsKeptForTheNextScrapeCountsAsHeldFromTheReadOn) {
  SegmentBuilder segment;
  std::vector<std::string> labels;
  for (int i = 10; i < 26; ++i) labels.push_back("l" + std::to_string(i) + std::string(120, 'x'));
  const auto family = segment.family(tests::counter("a_total", {labels.begin(), labels.end()}));
  for (int i = 0; i < 100; ++i) {
    const std::string value = std::to_string(i);
    segment.series(family, std::vector<std::string_view>(labels.size(), value));
  }
  Scraper scraper(segment.path());
  ASSERT_TRUE(scraper.read().up);
  const std::uint64_t held = scraper.held_bytes();
  rendered(scraper);
  const CatalogFamily& kept = *scraper.view().families.front();
  ASSERT_GT(kept.kept_fields.bytes.size(), 100'000u);
  EXPECT_GE(held, kept.prefixes().bytes.size() + kept.kept_fields.bytes.size());
}

TEST(Protobuf, AMessageOfAnyLengthHasItWhereTheLimitIsHigherThanUsual) {
  CatalogFamily family;
  family.type = shm::MetricType::kGauge;
  family.gauge_mode = shm::GaugeMode::kAll;
  family.name = "a";
  family.labels = {"x"};
  const std::string value(1 << 20, 'y');
  family.add({}, std::vector<std::string_view>{value});
  family.settle();
  Totals totals;
  for (std::uint32_t worker = 0; worker < (kMaxTextBytes >> 20) + 10; ++worker)
    totals.per_worker.push_back({0, worker});
  std::string begin;
  std::size_t bytes = 0;
  TextOutput output(
      [&](std::string_view piece) {
        bytes += piece.size();
        begin.append(piece, 0, 10 - std::min<std::size_t>(begin.size(), 10));
      },
      TextOutput::kUnlimited);
  const FamilyPart part{.family = &family, .totals = &totals};
  render_protobuf({&part, 1}, kNow, output);
  const char* at = begin.data();
  const std::uint64_t length = protozero::decode_varint(&at, at + begin.size());
  EXPECT_GT(length, kMaxTextBytes);
  EXPECT_EQ(length + static_cast<std::size_t>(at - begin.data()), bytes);
}

TEST(Protobuf, AFamilyWithoutSeriesIsNoMessage) {
  SegmentBuilder segment;
  segment.family(tests::counter("labelled_total", {"x"}));
  segment.family(tests::gauge("unset", shm::GaugeMode::kMax));
  EXPECT_EQ(rendered(segment), "");
}

TEST(Protobuf, WholeSeriesAreLeftOutPastTheLimitAndCounted) {
  if (!tests::has_protobuf_judge()) GTEST_SKIP() << tests::kNoProtobufJudge;
  SegmentBuilder segment;
  const auto family = segment.family(tests::counter("a_total", {"x"}));
  for (const char* value : {"1", "2", "3", "4"}) segment.series(family, {value});
  segment.family(tests::counter("b_total"));
  Scraper scraper(segment.path());
  ASSERT_TRUE(scraper.read().up);
  std::string out;
  TextOutput output(out, 60);
  FamilyGroups(scraper.view()).for_each({}, [&](std::span<const FamilyPart> parts) {
    render_protobuf(parts, kNow, output);
  });
  EXPECT_EQ(tests::judge_protobuf(out).out,
            "# HELP a_total Help.\n# TYPE a_total counter\na_total{x=\"1\"} 0\na_total{x=\"2\"} 0\n");
  EXPECT_EQ(output.left_out(), std::vector<std::uint64_t>{3});
}

}  // namespace
}  // namespace shmetrics::collector
