// A rendering goes out in pieces: whatever takes them, the whole is the same text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "collector/protobuf.hpp"
#include "exporter/scrape/collection.hpp"
#include "tests/collector/protobuf_checker.hpp"
#include "tests/collector/segment_builder.hpp"
#include "tests/collector/text_checker.hpp"
#include "tests/exporter/inflated.hpp"

namespace shmetrics::exporter {
namespace {

constexpr int kSeries = 6000;

/// Six megabytes of text in one family, and a small family on each side of it.
class PiecesTest : public ::testing::Test {
 protected:
  PiecesTest() {
    segment_.series(segment_.family(tests::counter("a_total", {"x"})), {"1"});
    const auto large = segment_.family(tests::counter("large_total", {"x"}));
    for (int i = 0; i < kSeries; ++i) segment_.series(large, {std::to_string(i) + std::string(1000, 'y')});
    segment_.series(segment_.family(tests::gauge("z", shm::GaugeMode::kSum, {"x"})), {"1"});
  }

  static ScrapeQuery query(Format format, Coding coding = Coding::kIdentity) {
    // Of these families alone: of the others one says how long it took.
    return {.representation = {.format = format}, .coding = coding, .names = {"a_total", "large_total", "z"}};
  }
  void read(std::size_t max_bytes = collector::kMaxTextBytes) {
    collection_.emplace(parse_segments({segment_.path()}),
                        CollectionOptions{.exporter_metrics = false, .max_bytes = max_bytes});
    collection_->read();
  }
  std::string text(const ScrapeQuery& query) { return collection_->render(query, counts_); }

  static constexpr Format kFormats[] = {Format::kText, Format::kOpenmetrics100, Format::kProtobuf};
  static constexpr shm::Geometry kGeometry{
      .workers = 4, .thread_slots = 4, .cells = 8 * shm::kGrowthCells, .directory_bytes = 16 << 20};
  tests::SegmentBuilder segment_{kGeometry};
  RequestCounts counts_;
  std::optional<Collection> collection_;
};

std::size_t lines_of(const std::string& text, std::string_view name) {
  std::size_t lines = 0;
  const std::string begin = "\n" + std::string(name) + "{";
  for (std::size_t at = text.find(begin); at != text.npos; at = text.find(begin, at + 1)) ++lines;
  return lines;
}

TEST_F(PiecesTest, InGzipEveryFormatIsTheTextThatIsSentPlain) {
  read();
  for (const Format format : kFormats) {
    const std::string plain = text(query(format));
    EXPECT_GT(plain.size(), collector::kMostKeptBytes);
    EXPECT_TRUE(tests::inflated(text(query(format, Coding::kGzip))) == plain) << static_cast<int>(format);
  }
}

TEST_F(PiecesTest, AMessageThatIsTooLongToKeepIsTheOneThatIsKept) {
  read();
  const std::string by_protobuf = tests::ProtobufChecker::text_of(text(query(Format::kProtobuf)), 1);
  EXPECT_TRUE(by_protobuf == text(query(Format::kText)));
}

// A message that is made twice, first only for its length, ends at the same series both times.
TEST_F(PiecesTest, ALongMessageHasTheLengthThatItSaysWhereverTheLimitCutsIt) {
  tests::SegmentBuilder large{kGeometry}, small;
  const auto family = large.family(tests::counter("large_total", {"x"}));
  for (int i = 0; i < 1300; ++i) large.series(family, {std::to_string(i) + std::string(1000, 'y')});
  small.series(small.family(tests::counter("large_total", {"x"})), {"1"});
  for (const auto& segments : {std::vector{large.path()}, {"large=" + large.path(), "small=" + small.path()}}) {
    const auto scrape = [&](std::size_t most) {
      collection_.emplace(parse_segments(segments), CollectionOptions{.exporter_metrics = false, .max_bytes = most});
      collection_->read();
      return text(query(Format::kProtobuf));
    };
    const std::size_t end = scrape(1'200'000).size();  // of a series, whatever of these limits is given
    for (std::size_t most = end - 8; most < end + 32; ++most) {
      const std::string message = scrape(most);
      EXPECT_GT(message.size(), collector::kMostKeptBytes);
      EXPECT_NO_THROW(tests::ProtobufChecker::text_of(message, 1)) << segments.size() << " segments, limit " << most;
    }
  }
}

TEST_F(PiecesTest, TheLimitCountsTextThatIsNotCompressedAndLeavesOutTheSameSeriesInBothCodings) {
  for (const std::size_t most : {std::size_t{3'000'000}, std::size_t{5'500'000}}) {
    read(most);
    for (const Format format : kFormats) {
      const std::string plain = text(query(format));
      EXPECT_GT(plain.size(), most);
      EXPECT_LT(plain.size(), most + 2000);
      EXPECT_TRUE(tests::inflated(text(query(format, Coding::kGzip))) == plain) << static_cast<int>(format);
    }
    const std::string plain = text(query(Format::kText));
    EXPECT_EQ(tests::TextChecker::problem(plain), "");
    EXPECT_EQ(lines_of(plain, "a_total"), 1U);
    EXPECT_EQ(lines_of(plain, "z"), 0U) << "it comes behind the one that fills the text";
    ScrapeQuery damage{.representation = {}, .names = {"large_total", "shmetrics_quarantined"}};
    const std::size_t left_out = kSeries - lines_of(plain, "large_total");
    // The gauge and a_total are not asked for, so a few more of the large family fit.
    const std::string both = text(damage);
    const std::size_t now_left_out = kSeries - lines_of(both, "large_total");
    EXPECT_LE(now_left_out, left_out);
    EXPECT_THAT(both, ::testing::HasSubstr("shmetrics_quarantined{what=\"series\"} " + std::to_string(now_left_out)));
  }
}

TEST_F(PiecesTest, ASegmentThatFillsTheTextTakesNothingFromTheOthers) {
  tests::SegmentBuilder small;
  const auto family = small.family(tests::counter("zz_total", {"x"}));
  for (int i = 0; i < 100; ++i) small.series(family, {std::to_string(i)});
  collection_.emplace(parse_segments({"large=" + segment_.path(), "small=" + small.path()}),
                      CollectionOptions{.exporter_metrics = false, .max_bytes = 3'000'000});
  collection_->read();
  for (const Coding coding : {Coding::kIdentity, Coding::kGzip}) {
    for (const Format format : kFormats) {
      ScrapeQuery all{.representation = {.format = format}, .coding = coding};
      std::string whole = text(all);
      if (coding == Coding::kGzip) whole = tests::inflated(whole).value();
      if (format == Format::kProtobuf) whole = tests::ProtobufChecker::text_of(whole, 1);
      EXPECT_EQ(lines_of(whole, "zz_total"), 100U) << static_cast<int>(format);
      EXPECT_EQ(lines_of(whole, "a_total"), 1U) << static_cast<int>(format);
      EXPECT_GT(lines_of(whole, "large_total"), 2500U) << static_cast<int>(format);
      EXPECT_EQ(lines_of(whole, "z"), 0U) << "it comes behind the one that fills its segment's share";
      EXPECT_THAT(whole, ::testing::HasSubstr("shmetrics_quarantined{segment=\"large\",what=\"series\"} " +
                                              std::to_string(kSeries + 1 - lines_of(whole, "large_total"))));
      EXPECT_THAT(whole, ::testing::HasSubstr("shmetrics_quarantined{segment=\"small\",what=\"series\"} 0"));
    }
  }
}

TEST_F(PiecesTest, SegmentsThatFitAgainAreWholeAgain) {
  tests::SegmentBuilder other{kGeometry};
  const auto family = other.family(tests::counter("large_total", {"x"}));
  for (int i = 0; i < kSeries; ++i) other.series(family, {std::to_string(i) + std::string(1000, 'y')});
  collection_.emplace(parse_segments({"a=" + segment_.path(), "b=" + other.path()}),
                      CollectionOptions{.exporter_metrics = false, .max_bytes = 8'000'000});
  collection_->read();
  ScrapeQuery all;
  const std::string first = text(all);
  EXPECT_THAT(lines_of(first, "large_total"), ::testing::AllOf(::testing::Gt(7500U), ::testing::Lt(8500U)));
  EXPECT_EQ(lines_of(first, "z"), 0U);
  ASSERT_EQ(unlink(other.path().c_str()), 0);
  collection_->read();
  for (int i = 0; i < 2; ++i) EXPECT_EQ(lines_of(text(all), "large_total"), std::size_t{kSeries});
  EXPECT_EQ(lines_of(text(all), "z"), 1U);
}

TEST_F(PiecesTest, AfterSegmentsThatWereTooMuchAGlobMayHaveNone) {
  const tests::SegmentBuilder small;
  const std::string glob = segment_.path().substr(0, segment_.path().rfind('-')) + "-*.seg";
  collection_.emplace(parse_segments({glob}), CollectionOptions{.exporter_metrics = false, .max_bytes = 3'000'000});
  collection_->read();
  EXPECT_GT(lines_of(text({}), "large_total"), 2500U);
  for (const auto& path : {segment_.path(), small.path()}) ASSERT_EQ(unlink(path.c_str()), 0);
  collection_->read();
  EXPECT_EQ(lines_of(text({}), "large_total"), 0U);
}

TEST_F(PiecesTest, ASnapshotForThePageDoesNotSayHowMuchTextIsExpected) {
  read();
  const std::string plain = text({.representation = {}, .names = {}});
  text({.representation = {}, .snapshot_of = ""});
  EXPECT_LT(text({.representation = {}, .names = {}}).capacity(), plain.size() + plain.size() / 3);
}

TEST_F(PiecesTest, ASnapshotForThePageIsTheSameInBothCodings) {
  read();
  ScrapeQuery snapshot{.representation = {}, .snapshot_of = ""};
  const std::string plain = text(snapshot);
  EXPECT_GT(plain.size(), std::size_t{kSeries} * 1000);
  snapshot.coding = Coding::kGzip;
  EXPECT_TRUE(tests::inflated(text(snapshot)) == plain);
  snapshot.snapshot_of = "no such segment";
  EXPECT_EQ(text(snapshot), "");
}

}  // namespace
}  // namespace shmetrics::exporter
