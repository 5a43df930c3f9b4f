// Exemplars as the reader takes them: the newest of all slots in the bucket of its value, and nothing that no worker
// writes.
#include <gtest/gtest.h>

#include <ctime>
#include <initializer_list>
#include <limits>
#include <string>
#include <utility>

#include "collector/check.hpp"
#include "collector/json.hpp"
#include "collector/openmetrics.hpp"
#include "collector/protobuf.hpp"
#include "shm/exemplar.hpp"
#include "shm/native_window.hpp"
#include "tests/collector/scraped_segment.hpp"
#include "tests/openmetrics_judge.hpp"

namespace shmetrics::collector {
namespace {

using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;
constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

shm::Schema with_exemplars(shm::Schema schema) {
  schema.has_exemplars = true;
  return schema;
}

class ShownExemplarTest : public tests::ScrapedSegment {
 protected:
  using Family = tests::SegmentBuilder::Family;

  /// As a worker writes it: exemplar `which` of the series whose values end at `behind`.
  void store(std::uint32_t slot, std::uint32_t behind, std::uint32_t which, std::uint64_t seconds, double value,
             Labels given) {
    shm::ExemplarLabels labels;
    for (const auto& [name, text] : given) labels.add(name, text);
    ASSERT_EQ(labels.refusal(), shm::ExemplarLabels::Refusal::kNone);
    shm::store_exemplar(&cells(slot, behind, which), seconds * kSecond, value, labels.words(), labels.text().size());
  }
  shm::SharedWord& cells(std::uint32_t slot, std::uint32_t behind, std::uint32_t which) {
    const std::uint32_t first = behind + which * shm::kExemplarCells;
    segment_.thread(slot, first + shm::kExemplarCells - 1);  // grows
    return segment_.thread(slot, first);
  }
  std::string openmetrics() {
    scrape();
    std::string text;
    TextOutput output(text);
    FamilyGroups(scraper_.view()).for_each({}, [&](auto parts) { render_openmetrics(parts, Created::kNo, output); });
    return text;
  }
  /// The lines of samples that have an exemplar.
  std::string shown() {
    const std::string text = openmetrics();
    std::string lines;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = text.find('\n', at);
      const std::string line = text.substr(at, end + 1 - at);
      if (line[0] != '#' && line.find(" # ") != line.npos) lines += line;
      at = end + 1;
    }
    return lines;
  }
};

TEST_F(ShownExemplarTest, TheNewestOfAllSlotsIsShownBehindTheCount) {
  const Family hits = segment_.family(with_exemplars(tests::counter("hits_total")));
  segment_.thread(0, hits.cell).store_relaxed(7);
  store(0, hits.cell + 1, 0, 100, 1, {{"trace_id", "first"}});
  EXPECT_EQ(shown(), "hits_total 7 # {trace_id=\"first\"} 1 100\n");
  store(2, hits.cell + 1, 0, 200, 2, {{"trace_id", "last"}, {"span_id", "s"}});
  store(3, hits.cell + 1, 0, 150, 3, {{"trace_id", "older"}});
  EXPECT_EQ(shown(), "hits_total 7 # {trace_id=\"last\",span_id=\"s\"} 2 200\n");
}

TEST_F(ShownExemplarTest, OfTwoOfOneMomentTheGreaterValueIsShownAndOfEqualsTheFirstSlots) {
  const Family hits = segment_.family(with_exemplars(tests::counter("hits_total")));
  store(0, hits.cell + 1, 0, 100, 2, {{"trace_id", "b"}});
  store(1, hits.cell + 1, 0, 100, 2, {{"trace_id", "c"}});
  store(2, hits.cell + 1, 0, 100, 1, {{"trace_id", "a"}});
  EXPECT_EQ(shown(), "hits_total 0 # {trace_id=\"b\"} 2 100\n");
}

TEST_F(ShownExemplarTest, OneOfAClockThatIsAheadDoesNotHideThoseOfNow) {
  const Family hits = segment_.family(with_exemplars(tests::counter("hits_total")));
  const auto now = static_cast<std::uint64_t>(std::time(nullptr));
  store(0, hits.cell + 1, 0, now + 3600, 1, {{"trace_id", "of_the_clock_before_its_step"}});
  store(1, hits.cell + 1, 0, UINT64_MAX / kSecond, 1, {{"trace_id", "wild"}});
  EXPECT_EQ(shown(), "");
  store(2, hits.cell + 1, 0, now + 20, 1, {{"trace_id", "almost_now"}});
  EXPECT_NE(shown().find("almost_now"), std::string::npos);
}

TEST_F(ShownExemplarTest, EachBucketHasItsOwnAndTheOverflowSeriesToo) {
  const Family times = segment_.family(with_exemplars(tests::histogram("seconds", {1, 2}, {"route"})));
  const std::uint32_t series = segment_.series(times, {"/"});
  EXPECT_EQ(times.series_cells, 5 + 3 * shm::kExemplarCells);
  segment_.thread(0, times.cell + 2).store_relaxed(1);
  store(0, times.cell + 5, 0, 100, 0.5, {{"trace_id", "other"}});
  store(0, series + 5, 0, 100, 1, {{"trace_id", "low"}});
  store(1, series + 5, 1, 101, 1.5, {{"trace_id", "high"}});
  store(1, series + 5, 2, 102.0, kInfinity, {{"trace_id", "above"}});
  EXPECT_EQ(shown(),
            "seconds_bucket{route=\"/\",le=\"1.0\"} 0 # {trace_id=\"low\"} 1 100\n"
            "seconds_bucket{route=\"/\",le=\"2.0\"} 0 # {trace_id=\"high\"} 1.5 101\n"
            "seconds_bucket{route=\"/\",le=\"+Inf\"} 0 # {trace_id=\"above\"} +Inf 102\n"
            "seconds_bucket{route=\"__overflow__\",le=\"1.0\"} 1 # {trace_id=\"other\"} 0.5 100\n");
}

TEST_F(ShownExemplarTest, NeighboursAreCountedAsIfThereWereNone) {
  const Family hits = segment_.family(with_exemplars(tests::counter("hits_total", {"n"})));
  const std::uint32_t a = segment_.series(hits, {"a"}), b = segment_.series(hits, {"b"});
  const Family plain = segment_.family(tests::counter("plain_total"));
  EXPECT_EQ(b, a + 1 + shm::kExemplarCells);
  EXPECT_EQ(plain.cell, b + 1 + shm::kExemplarCells);
  segment_.thread(0, a).store_relaxed(1);
  segment_.thread(1, b).store_relaxed(2);
  segment_.spill(plain.cell).store_relaxed(3);
  store(0, a + 1, 0, 100, 1, {{"trace_id", "t"}});
  EXPECT_EQ(samples_in(scrape()), "hits_total{n=\"a\"} 1\nhits_total{n=\"b\"} 2\nplain_total 3\n");
}

TEST_F(ShownExemplarTest, NothingTornIsShown) {
  const Family hits = segment_.family(with_exemplars(tests::counter("hits_total")));
  store(1, hits.cell + 1, 0, 100, 1, {{"trace_id", "older"}});
  store(0, hits.cell + 1, 0, 200, 1, {{"trace_id", "newer"}});
  cells(0, hits.cell + 1, 0).store_relaxed(3);  // as a kill in the middle of a write leaves it
  EXPECT_EQ(shown(), "hits_total 0 # {trace_id=\"older\"} 1 100\n");
  store(0, hits.cell + 1, 0, 300, 1, {{"trace_id", "next"}});
  EXPECT_EQ(shown(), "hits_total 0 # {trace_id=\"next\"} 1 300\n") << "the next write repairs it";
}

TEST_F(ShownExemplarTest, AnExemplarThatNoWorkerWritesIsLeftOut) {
  const Family hits = segment_.family(with_exemplars(tests::counter("hits_total")));
  const Family times = segment_.family(with_exemplars(tests::histogram("seconds", {1})));
  const auto holds = [&](std::uint32_t behind, double value, std::string text, std::uint64_t bytes) {
    shm::SharedWord* const at = &cells(0, behind, 0);
    text.resize(shm::kMaxExemplarText);
    std::uint64_t words[shm::kMaxExemplarText / 8];
    std::memcpy(words, text.data(), sizeof words);
    shm::store_exemplar(at, 100 * kSecond, value, words, bytes);
    return shown();
  };
  using std::string;
  EXPECT_NE(holds(hits.cell + 1, 1, string("a\0b\0", 4), 4), "");
  EXPECT_EQ(holds(hits.cell + 1, -1, string("a\0b\0", 4), 4), "") << "nobody adds less than 0";
  EXPECT_EQ(holds(hits.cell + 1, kInfinity, string("a\0b\0", 4), 4), "");
  EXPECT_EQ(holds(hits.cell + 1, std::nan(""), string("a\0b\0", 4), 4), "");
  EXPECT_EQ(holds(hits.cell + 1, 1, string("a\0b\0", 4), 0), "") << "no label";
  EXPECT_EQ(holds(hits.cell + 1, 1, string("a\0b\0", 4), 3), "") << "cut off";
  EXPECT_EQ(holds(hits.cell + 1, 1, string("a\0b\0", 4), UINT64_MAX), "");
  EXPECT_EQ(holds(hits.cell + 1, 1, string("a\0\0", 3), 3), "") << "no value";
  EXPECT_EQ(holds(hits.cell + 1, 1, string("\0b\0", 3), 3), "") << "no name";
  EXPECT_EQ(holds(hits.cell + 1, 1, string("1\0b\0", 4), 4), "") << "no name of a label";
  EXPECT_EQ(holds(hits.cell + 1, 1, string("__a\0b\0", 6), 6), "");
  EXPECT_EQ(holds(hits.cell + 1, 1, string("a\"} 1\0b\0", 8), 8), "");
  EXPECT_EQ(holds(hits.cell + 1, 1, string("a\0\xff\0", 4), 4), "") << "not UTF-8";
  EXPECT_EQ(holds(hits.cell + 1, 1, string("a\0b\0a\0c\0", 8), 8), "") << "twice";
  EXPECT_EQ(holds(times.cell + 4, std::nan(""), string("a\0b\0", 4), 4), "");
  EXPECT_EQ(holds(times.cell + 4, 5, string("a\0b\0", 4), 4), "seconds_bucket{le=\"+Inf\"} 0 # {a=\"b\"} 5 100\n")
      << "the value says which bucket it is an example of, not its place";
}

TEST_F(ShownExemplarTest, LabelsAreEscaped) {
  const Family hits = segment_.family(with_exemplars(tests::counter("hits_total")));
  store(0, hits.cell + 1, 0, 100, 1, {{"a", "\"\\\n"}});
  EXPECT_EQ(shown(), "hits_total 0 # {a=\"\\\"\\\\\\n\"} 1 100\n");
}

TEST_F(ShownExemplarTest, TheNewestOfAllGenerationsIsShownInTheBucketOfItsValue) {
  const Family old = segment_.family(with_exemplars(tests::histogram("seconds", {1, 4})));
  const Family none = segment_.family(tests::histogram("seconds", {1, 2, 4}));
  const Family fresh = segment_.family(with_exemplars(tests::histogram("seconds", {1, 2, 4})));
  segment_.thread(0, none.cell + 2).store_relaxed(5);
  store(0, old.cell + 5, 0, 100, 0.5, {{"trace_id", "a"}});
  store(0, old.cell + 5, 1, 103, 1.5, {{"trace_id", "b"}});
  store(0, fresh.cell + 6, 1, 102, 1.7, {{"trace_id", "c"}});
  store(1, fresh.cell + 6, 2, 102, 3, {{"trace_id", "d"}});
  EXPECT_EQ(shown(),
            "seconds_bucket{le=\"1.0\"} 5 # {trace_id=\"a\"} 0.5 100\n"
            "seconds_bucket{le=\"2.0\"} 5 # {trace_id=\"b\"} 1.5 103\n"
            "seconds_bucket{le=\"4.0\"} 5 # {trace_id=\"d\"} 3 102\n");
}

TEST_F(ShownExemplarTest, AnIndependentParserReadsThem) {
  if (!tests::has_openmetrics_judge()) GTEST_SKIP() << tests::kNoJudge;
  const Family hits = segment_.family(with_exemplars(tests::counter("hits_total")));
  const Family times = segment_.family(with_exemplars(tests::histogram("seconds", {1})));
  store(0, hits.cell + 1, 0, 100, 2, {{"trace_id", "\"\\\n\xc3\xa4"}, {"span_id", "s"}});
  store(0, times.cell + 4, 0, 101, 0.5, {{"trace_id", "t"}});
  store(0, times.cell + 4, 1, 102, kInfinity, {{"a", std::string(shm::kMaxExemplarText - 3, 'x')}});
  std::string text = openmetrics();
  end_openmetrics(text);
  const tests::Outcome read = tests::judge_openmetrics(text);
  EXPECT_EQ(read.code, 0) << read.error << text;
  for (const char* sample : {R"(["hits_total", {}, 0, [{"trace_id": "\"\\\n\u00e4", "span_id": "s"}, 2, 100.0]])",
                             R"(["seconds_bucket", {"le": "1.0"}, 0, [{"trace_id": "t"}, 0.5, 101.0]])",
                             R"(["seconds_bucket", {"le": "+Inf"}, 0, [{"a": "xxx)"}) {
    EXPECT_NE(read.out.find(sample), std::string::npos) << sample << "\n" << read.out;
  }
}

TEST_F(ShownExemplarTest, ANativeHistogramKeepsOneAnOctaveAndShowsItInTheBucketOfItsValue) {
  shm::Schema schema = tests::histogram("native", {3, 0.5, 8});
  schema.is_native = true;
  const Family native = segment_.family(with_exemplars(schema));
  const std::uint32_t values = shm::value_cells(schema.type, shm::bound_count(schema));
  // Up to 0.5, to 1, to 2, to 4, to 8, and above.
  EXPECT_EQ(native.series_cells, values + 6 * shm::kExemplarCells);
  const auto window = *shm::NativeWindow::of(schema.bounds);
  for (const double value : {0.4, 0.51, 1.0, 1.01, 2.5, 8.0, 100.0}) {
    const std::uint32_t which = window.exemplar_of(window.cell_of(value));
    store(0, native.cell + values, which, 100, value, {{"v", std::to_string(which)}});
  }
  EXPECT_EQ(shown(),
            "native_bucket{le=\"0.5\"} 0 # {v=\"0\"} 0.4 100\n"
            "native_bucket{le=\"1.0\"} 0 # {v=\"1\"} 1 100\n"
            "native_bucket{le=\"2.0\"} 0 # {v=\"2\"} 1.01 100\n"
            "native_bucket{le=\"4.0\"} 0 # {v=\"3\"} 2.5 100\n"
            "native_bucket{le=\"8.0\"} 0 # {v=\"4\"} 8 100\n"
            "native_bucket{le=\"+Inf\"} 0 # {v=\"5\"} 100 100\n");
}

TEST_F(ShownExemplarTest, TheSpillHasNoneWhateverStandsThere) {
  const Family hits = segment_.family(with_exemplars(tests::counter("hits_total")));
  shm::ExemplarLabels labels;
  labels.add("trace_id", "t");
  segment_.spill(hits.cell + shm::kExemplarCells);
  shm::store_exemplar(&segment_.spill(hits.cell + 1), kSecond, 1, labels.words(), labels.text().size());
  EXPECT_EQ(shown(), "");
  const CheckReport report = check_segment(segment_.path());
  EXPECT_EQ(report.verdict, CheckReport::Verdict::kDamaged);
  EXPECT_NE(report.findings.at(0).find("exemplar"), std::string::npos) << report.findings.at(0);
}

// Fields 2 of a counter and 3 of a bucket; in them labels 1, value 2, time 3, as client_model's metrics.proto has them.
TEST_F(ShownExemplarTest, ProtobufHasThemInACounterAndInABucket) {
  using namespace std::string_literals;
  const Family hits = segment_.family(with_exemplars(tests::counter("hits_total")));
  const Family times = segment_.family(with_exemplars(tests::histogram("seconds", {1})));
  store(0, hits.cell + 1, 0, 100, 1, {{"trace_id", "t"}});
  store(0, times.cell + 4, 0, 100, 1, {{"trace_id", "t"}});
  scrape();
  std::string out;
  TextOutput output(out);
  FamilyGroups(scraper_.view()).for_each({}, [&](auto parts) { render_protobuf(parts, {}, output); });
  const std::string exemplar =
      "\x1e\x0a\x0d\x0a\x08trace_id\x12\x01t"s + "\x11\0\0\0\0\0\0\xf0\x3f"s + "\x1a\x04\x08\x64\x10\0"s;
  const std::string value = "\x09\0\0\0\0\0\0\0\0"s, bound = "\x11\0\0\0\0\0\0\xf0\x3f"s;
  EXPECT_NE(out.find(value + "\x12" + exemplar), std::string::npos);
  EXPECT_NE(out.find(bound + "\x1a" + exemplar), std::string::npos);
}

// Field 16 of a histogram.
TEST_F(ShownExemplarTest, ProtobufHasThoseOfANativeHistogramInTheOrderOfBuckets) {
  using namespace std::string_literals;
  shm::Schema schema = tests::histogram("native", {3, 0.5, 8});
  schema.is_native = true;
  const Family native = segment_.family(with_exemplars(schema));
  const std::uint32_t values = shm::value_cells(schema.type, shm::bound_count(schema));
  store(0, native.cell + values, 1, 100, 1, {{"trace_id", "b"}});
  store(1, native.cell + values, 0, 100, 0.5, {{"trace_id", "a"}});
  scrape();
  std::string out;
  TextOutput output(out);
  FamilyGroups(scraper_.view()).for_each({}, [&](auto parts) { render_protobuf(parts, {}, output); });
  const std::string field = "\x82\x01\x1e\x0a\x0d\x0a\x08trace_id\x12\x01"s, time = "\x1a\x04\x08\x64\x10\0"s;
  EXPECT_NE(out.find(field + "a\x11\0\0\0\0\0\0\xe0\x3f"s + time + field + "b\x11\0\0\0\0\0\0\xf0\x3f"s + time),
            std::string::npos);
}

TEST_F(ShownExemplarTest, ProtobufHasRoomForAsManyLabelsAsFit) {
  const Family hits = segment_.family(with_exemplars(tests::counter("hits_total")));
  shm::ExemplarLabels labels;
  std::size_t count = 0;
  for (char name = 'a'; count < shm::kMaxExemplarText / 4; ++name, ++count) labels.add({&name, 1}, "v");
  ASSERT_EQ(labels.refusal(), shm::ExemplarLabels::Refusal::kNone);
  ASSERT_EQ(labels.text().size(), shm::kMaxExemplarText);
  shm::store_exemplar(&cells(0, hits.cell + 1, 0), 1'700'000'000 * kSecond, 1, labels.words(), labels.text().size());
  scrape();
  std::string out;
  TextOutput output(out);
  FamilyGroups(scraper_.view()).for_each({}, [&](auto parts) { render_protobuf(parts, {}, output); });
  std::size_t shown = 0;
  for (std::size_t at = 0; (at = out.find("\x12\x01v", at)) != out.npos; ++at) ++shown;
  EXPECT_EQ(shown, count);
}

TEST_F(ShownExemplarTest, JsonHasThemByTheirSeries) {
  const Family times = segment_.family(with_exemplars(tests::histogram("seconds", {1})));
  store(0, times.cell + 4, 1, 1'234'567, kInfinity, {{"trace_id", "t"}});
  scrape();
  std::string json;
  TextOutput output(json);
  render_json(scraper_, status_, {}, output);
  EXPECT_NE(json.find(R"("exemplars":[{"labels":{"trace_id":"t"},"value":"+Inf","timestamp":1234567.0}])"),
            std::string::npos)
      << json;
}

TEST_F(ShownExemplarTest, AnExemplarIsNotInTheFormatThatKnowsNone) {
  const Family hits = segment_.family(with_exemplars(tests::counter("hits_total")));
  store(0, hits.cell + 1, 0, 100, 1, {{"trace_id", "t"}});
  EXPECT_EQ(scrape().find("trace_id"), std::string::npos);
}

}  // namespace
}  // namespace shmetrics::collector
