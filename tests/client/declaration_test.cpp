#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <shmetrics/shmetrics.hpp>

#include <cmath>
#include <fstream>
#include <limits>

#include "tests/forked.hpp"
#include "tests/scrape.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Options at(const std::string& path) {
  Options options;
  options.path = path;
  return options;
}

/// Each test opens segments of its own, a process at most eight: run by ctest, which gives each test a process.
class DeclarationTest : public ::testing::Test {
 protected:
  tests::TemporaryFolder folder_;
  std::string path_ = folder_.file("a.seg");
};

TEST_F(DeclarationTest, ARegistryOpensByOptionsOrEnvironment) {
  const std::string other = folder_.file("env.seg");
  setenv("SHMETRICS_SEGMENT", other.c_str(), 1);
  EXPECT_EQ(Registry::open().path(), other);
  EXPECT_EQ(Registry::open(at(path_)).path(), path_) << "a path in code wins";
  unsetenv("SHMETRICS_SEGMENT");
}

TEST_F(DeclarationTest, TwoOpensOfOneFileShareIt) {
  Registry::open(at(path_)).counter("a_total", "A").inc();
  Registry::open(at(path_)).counter("a_total", "A").inc();
  EXPECT_EQ(tests::scrape(path_)["a_total"], 2);
}

TEST_F(DeclarationTest, AFailedOpenThrowsOrIsInertAsAsked) {
  const std::string nowhere = folder_.file("no/such/a.seg");
  EXPECT_THROW(static_cast<void>(Registry::open(at(nowhere))), std::system_error);
  std::error_code error;
  const Registry registry = Registry::open(at(nowhere), error);
  EXPECT_TRUE(error);
  EXPECT_EQ(registry.error(), error);
  EXPECT_FALSE(registry);
  EXPECT_THAT(error.message(), HasSubstr(folder_.file("no/such")));
  const auto hits = registry.counter("a_total", "A", {"l"});
  EXPECT_EQ(hits.error(), error) << "what is declared in it says why it is inert";
  hits.with("v").inc();
  registry.gauge("g", "G").set(1);
  registry.histogram("h", "H").observe(1);
  EXPECT_THAT(registry.path(), IsEmpty());
}

TEST_F(DeclarationTest, EverythingDefaultConstructedIsInert) {
  Counter().inc();
  Gauge().set(1);
  Histogram().observe(1);
  Family<Counter, 1>().with("v").inc();
  EXPECT_FALSE((Family<Counter, 1>()));
  EXPECT_FALSE(Registry());
  EXPECT_EQ(Registry().counter("a_total", "A").error(), Errc::not_ready);
}

TEST_F(DeclarationTest, FaultsCompareWithTheirRemedy) {
  std::ofstream(path_) << "not a segment at all, but long enough to be read as a header" << std::string(5000, 'x');
  std::error_code error;
  static_cast<void>(Registry::open(at(path_), error));
  EXPECT_EQ(error, Errc::incompatible);
  EXPECT_NE(error, Errc::io);
  EXPECT_EQ(error.message().find('\n'), std::string::npos);
}

TEST_F(DeclarationTest, ASecondDeclarationIsTheSameFamily) {
  const Registry registry = Registry::open(at(path_));
  registry.counter("a_total", "A", {"l"}).with("v").inc();
  const auto again = registry.counter("a_total", "other words", {"l"});
  EXPECT_FALSE(again.error());
  again.with("v").inc();
  EXPECT_EQ(tests::scrape(path_)["a_total{l=\"v\"}"], 2);
  EXPECT_THAT(tests::scrape(path_).text, HasSubstr("# HELP a_total A\n"));
}

TEST_F(DeclarationTest, AnotherSchemaInTheSameProcessIsInertAndSaysSo) {
  const Registry registry = Registry::open(at(path_));
  registry.histogram("h_seconds", "H", {}, {1, 2}).observe(1);
  const auto bounds = registry.histogram("h_seconds", "H", {}, {1, 3});
  EXPECT_EQ(bounds.error(), Errc::incompatible);
  EXPECT_THAT(bounds.error().message(), HasSubstr("was declared with other bounds before in this process"));
  bounds.observe(1);
  EXPECT_EQ(registry.gauge("h_seconds", "H").error(), Errc::incompatible);
  EXPECT_EQ(tests::scrape(path_)["h_seconds_count"], 1);
}

TEST_F(DeclarationTest, ACounterOfTheOtherKindOfNumberAddsUpWithIt) {
  const Registry registry = Registry::open(at(path_));
  registry.counter("a_total", "A").inc(2);
  const FloatCounter halves = registry.float_counter("a_total", "A");
  halves.inc(0.5);
  registry.counter("a_total", "A").inc();
  EXPECT_EQ(tests::scrape(path_)["a_total"], 3.5);
}

// Bounds of both: a bucket counts from the first bound that is not below its own.
TEST_F(DeclarationTest, AnApplicationThatComesBackWithOtherBoundsGoesOnWithItsCounts) {
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              Registry::open(at(path_)).histogram("h_seconds", "H", {}, {1, 2}).observe(1);
              return 0;
            })),
            0);
  const auto changed = Registry::open(at(path_)).histogram("h_seconds", "H", {}, {5});
  EXPECT_FALSE(changed.error()) << changed.error().message();
  changed.observe(3);
  const tests::Scrape scrape = tests::scrape(path_);
  EXPECT_EQ(scrape["h_seconds_count"], 2);
  EXPECT_EQ(scrape["h_seconds_sum"], 4);
  EXPECT_EQ(scrape["h_seconds_bucket{le=\"1\"}"], 1);
  EXPECT_EQ(scrape["h_seconds_bucket{le=\"2\"}"], 1);
  EXPECT_EQ(scrape["h_seconds_bucket{le=\"5\"}"], 2);
}

TEST_F(DeclarationTest, AnApplicationThatComesBackWithAnotherTypeStartsAnew) {
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              Registry::open(at(path_)).histogram("h_seconds", "H", {}, {1, 2}).observe(1);
              return 0;
            })),
            0);
  const auto changed = Registry::open(at(path_)).summary("h_seconds", "H");
  EXPECT_FALSE(changed.error()) << changed.error().message();
  changed.observe(3);
  const tests::Scrape scrape = tests::scrape(path_);
  EXPECT_EQ(scrape["h_seconds_count"], 1) << "another type is another metric";
  EXPECT_FALSE(scrape.has("h_seconds_bucket{le=\"2\"}"));
}

TEST_F(DeclarationTest, AFamilyMayNotProduceAnothersNames) {
  const Registry registry = Registry::open(at(path_));
  registry.histogram("h", "H");
  EXPECT_FALSE(registry.gauge("h_max", "x").error()) << "h_max is nobody's";
  const auto taken = registry.gauge("h_created", "x");
  EXPECT_EQ(taken.error(), Errc::invalid_argument);
  EXPECT_THAT(taken.error().message(), HasSubstr("'h'"));
}

TEST_F(DeclarationTest, NamesThatBreakARuleAreRefusedWithTheFix) {
  const Registry registry = Registry::open(at(path_));
  EXPECT_THAT(registry.counter("requests", "R").error().message(), HasSubstr("requests_total"));
  EXPECT_EQ(registry.counter("requests", "R").error(), Errc::invalid_argument);
  EXPECT_THAT(registry.counter("a_total", "").error().message(), HasSubstr("help"));
  registry.counter("requests", "R").inc();
  EXPECT_THAT(tests::scrape(path_).values, IsEmpty());
}

TEST_F(DeclarationTest, WithoutLabelsAFamilyIsAtZeroFromTheStart) {
  const Registry registry = Registry::open(at(path_));
  registry.counter("a_total", "A");
  registry.counter("b_total", "B", {"l"});
  registry.histogram("h", "H", {}, {1});
  const tests::Scrape scrape = tests::scrape(path_);
  EXPECT_EQ(scrape["a_total"], 0);
  EXPECT_EQ(scrape["h_bucket{le=\"+Inf\"}"], 0);
  EXPECT_EQ(scrape.text.find("b_total"), std::string::npos) << "a labelled one has no series yet";
}

TEST_F(DeclarationTest, LabelValuesOfAnyKindOfStringMeanTheSame) {
  const auto hits = Registry::open(at(path_)).counter("a_total", "A", {"x", "y"});
  const std::string x = "1";
  const std::string_view y = "2";
  hits.with(x, y).inc();
  hits.with("1", "2").inc();
  const std::string_view values[] = {"1", "2"};
  hits.with(std::span(values)).inc();
  hits.with(std::span(values).first(1)).inc();  // of the wrong number
  const tests::Scrape scrape = tests::scrape(path_);
  EXPECT_EQ(scrape["a_total{x=\"1\",y=\"2\"}"], 3);
  EXPECT_EQ(scrape.values.size(), 1u) << "inert";
}

TEST_F(DeclarationTest, UpdatesWithAWrongNumberOfLabelValuesAreDroppedAndCounted) {
  const Registry registry = Registry::open({.path = path_, .quiet = true});
  const std::vector<std::string_view> none, two{"1", "2"};
  registry.counter("a_total", "A", {"x"}).with(std::span(two)).inc(5);
  registry.counter("b_total", "B", RuntimeLabels(none)).with("1").inc();
  registry.histogram("h", "H", {"x"}).with(std::span(two)).observe(1);
  registry.gauge("g", "G", RuntimeLabels(none), GaugeMode::shared).with("1").set(1);
  const tests::Scrape scrape = tests::scrape(path_);
  EXPECT_EQ(tests::count_of(scrape.status.updates_dropped, "series_limit"), 4u);
  EXPECT_EQ(tests::overflow_of(scrape.status, "a_total", "invalid_value"), 1u);
  EXPECT_EQ(scrape["b_total"], 0) << "and not in the series without labels";
}

TEST_F(DeclarationTest, LabelValuesMayBeIntegersAndBools) {
  const auto hits = Registry::open(at(path_)).counter("a_total", "A", {"status", "cached"});
  hits.with(200, true).inc();
  hits.with("200", "true").inc();
  hits.with(std::uint64_t{UINT64_MAX}, false).inc();
  hits.with(INT64_MIN, std::string("x")).inc();
  const tests::Scrape scrape = tests::scrape(path_);
  EXPECT_EQ(scrape["a_total{status=\"200\",cached=\"true\"}"], 2);
  EXPECT_EQ(scrape["a_total{status=\"18446744073709551615\",cached=\"false\"}"], 1);
  EXPECT_EQ(scrape["a_total{status=\"-9223372036854775808\",cached=\"x\"}"], 1);
  static_assert(!LabelValue<double> && !LabelValue<char> && !LabelValue<void*>);
}

TEST_F(DeclarationTest, WhatIsMeantIsUnderstoodWithoutEmptyBraces) {
  std::error_code error;
  const Registry registry = Registry::open(path_, error);
  EXPECT_FALSE(error);
  EXPECT_EQ(Registry::open(path_.c_str()).path(), path_);
  registry.gauge("g", "G", GaugeMode::max).set(3);
  registry.histogram("h", "H", {0.5, 1.0}).observe(0.7);
  registry.histogram("i", "I", linear_buckets(1, 1, 2)).observe(1);
  const tests::Scrape scrape = tests::scrape(path_);
  EXPECT_EQ(scrape["g"], 3);
  EXPECT_EQ(scrape["h_bucket{le=\"1\"}"], 1);
  EXPECT_EQ(scrape["h_bucket{le=\"0.5\"}"], 0);
  EXPECT_EQ(scrape["i_bucket{le=\"2\"}"], 1);
}

TEST_F(DeclarationTest, LabelSetsThatLookAlikeJoinedStayApart) {
  const auto hits = Registry::open(at(path_)).counter("a_total", "A", {"x", "y"});
  hits.with("ab", "c").inc();
  hits.with("a", "bc").inc(2);
  hits.with("", "abc").inc(3);
  const tests::Scrape scrape = tests::scrape(path_);
  EXPECT_EQ(scrape["a_total{x=\"ab\",y=\"c\"}"], 1);
  EXPECT_EQ(scrape["a_total{x=\"a\",y=\"bc\"}"], 2);
  EXPECT_EQ(scrape["a_total{x=\"\",y=\"abc\"}"], 3);
}

TEST_F(DeclarationTest, BucketHelpersCountFiniteBounds) {
  EXPECT_THAT(linear_buckets(1, 2, 3), ElementsAre(1, 3, 5));
  EXPECT_THAT(exponential_buckets(0.001, 2, 3), ElementsAre(0.001, 0.002, 0.004));
  EXPECT_EQ(default_buckets().size(), 11u);
  EXPECT_THAT(linear_buckets(1, 0, 3), IsEmpty());
  EXPECT_THAT(exponential_buckets(0, 2, 3), IsEmpty());
  EXPECT_THAT(exponential_buckets(1, 1e300, 3), IsEmpty());
  EXPECT_THAT(linear_buckets(1, 1, 65), IsEmpty());
  const auto inert = Registry::open(at(path_)).histogram("h", "H", {}, exponential_buckets(0, 2, 3));
  EXPECT_THAT(inert.error().message(), HasSubstr("at least one finite bound, and has at most 64"));
}

TEST_F(DeclarationTest, NineSegmentsAreOneTooMany) {
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              std::error_code error;
              int opened = 0;
              for (int i = 0; i < 9; ++i) opened += Registry::open(at(folder_.file(std::to_string(i))), error) ? 1 : 0;
              return opened == 8 && error == Errc::full ? 0 : 1;
            })),
            0);
}

TEST_F(DeclarationTest, FreshStartsAtZero) {
  Registry::open(at(path_)).counter("a_total", "A").inc(5);
  Options fresh = at(path_);
  fresh.start = Start::fresh;
  Registry::open(fresh).counter("a_total", "A").inc();
  EXPECT_EQ(tests::scrape(path_)["a_total"], 1);
}

}  // namespace
}  // namespace shmetrics
