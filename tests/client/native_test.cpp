// Native histograms from their declaration to what a reader shows: every border, what is refused, overflow and spill.
#include <gtest/gtest.h>
#include <shmetrics/shmetrics.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "collector/check.hpp"
#include "collector/plain_family.hpp"
#include "collector/protobuf.hpp"
#include "shm/native_window.hpp"
#include "tests/forked.hpp"
#include "tests/live_worker.hpp"
#include "tests/protobuf_judge.hpp"
#include "tests/scrape.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Upper end of each native bucket that has counted something -> its count. The zero bucket ends at its threshold.
std::map<double, std::uint64_t> native_of(const std::string& path, const std::string& name, std::size_t series = 0) {
  collector::Scraper scraper(path);
  EXPECT_TRUE(scraper.read().up);
  std::map<double, std::uint64_t> counts;
  for (const auto& family : collector::plain_families(scraper.view())) {
    if (family.name != name) continue;
    const auto& native = std::get<collector::Distribution>(family.series.at(series).value).native;
    if (!native) break;
    if (native->zero_count > 0) counts[native->zero_threshold] = native->zero_count;
    for (const auto& [above, up_to, count] : native->buckets) counts[up_to] = count;
  }
  return counts;
}

std::string protobuf_of(const std::string& path) {
  collector::Scraper scraper(path);
  EXPECT_TRUE(scraper.read().up);
  std::string out;
  collector::TextOutput output(out);
  collector::FamilyGroups(scraper.view()).for_each({}, [&](auto parts) {
    collector::render_protobuf(parts, std::chrono::system_clock::now(), output);
  });
  return out;
}

class NativeTest : public ::testing::Test {
 protected:
  NativeTest() {
    options_.path = folder_.file("a.seg");
    registry_ = Registry::open(options_);
  }
  tests::Scrape scrape() const { return tests::scrape(options_.path); }
  std::map<double, std::uint64_t> native(const std::string& name, std::size_t series = 0) const {
    return native_of(options_.path, name, series);
  }
  void expect_sound() const {
    const auto report = collector::check_segment(options_.path);
    EXPECT_EQ(report.verdict, collector::CheckReport::Verdict::kSound);
  }

  tests::TemporaryFolder folder_;
  Options options_;
  Registry registry_;
};

TEST_F(NativeTest, AnObservationIsInTheBucketThatEndsWhereItsBorderIs) {
  const auto seconds = registry_.native_histogram("d_seconds", "D", {}, {.low = 1, .high = 4, .factor = 2});
  ASSERT_FALSE(seconds.error()) << seconds.error().message();
  for (const double value : {0.0, -0.0, 1e-310, 0.5, 1.0}) seconds.observe(value);
  for (const double value : {std::nextafter(1.0, 2), 2.0}) seconds.observe(value);
  for (const double value : {std::nextafter(2.0, 3), 3.0, 4.0}) seconds.observe(value);
  for (const double value : {std::nextafter(4.0, 5), 1e300}) seconds.observe(value);
  EXPECT_EQ(native("d_seconds"), (std::map<double, std::uint64_t>{{1, 5}, {2, 2}, {4, 3}, {kInfinity, 2}}));
  const auto text = scrape();
  EXPECT_EQ(text["d_seconds_bucket{le=\"1\"}"], 5);
  EXPECT_EQ(text["d_seconds_bucket{le=\"2\"}"], 7);
  EXPECT_EQ(text["d_seconds_bucket{le=\"4\"}"], 10);
  EXPECT_EQ(text["d_seconds_bucket{le=\"+Inf\"}"], 12);
  EXPECT_EQ(text["d_seconds_count"], 12);
  expect_sound();
}

TEST_F(NativeTest, AWideOneThatIsRefusedDropsItsObservationsAndCountsThem) {
  tests::LiveWorker other(options_, [](const Registry& registry) { registry.gauge("d_seconds", "D").set(1); });
  options_.quiet = true;
  registry_.counter("hits_total", "H").inc();  // this thread has a slot
  const auto wide = registry_.native_histogram("d_seconds", "D", {}, {.low = 1e-6, .high = 1e3, .factor = 1.05});
  EXPECT_EQ(wide.error(), Errc::incompatible);
  wide.observe(0.5);
  EXPECT_EQ(tests::count_of(scrape().status.updates_dropped, "refused_family"), 1u);
}

// What is below each border stays below it, whatever the schema, and the double above it does not.
TEST_F(NativeTest, EveryBorderOfEverySchemaCountsWhereTheOracleSays) {
  for (const double factor : {1.003, 1.006, 1.011, 1.022, 1.0443, 1.1, 1.2, 1.5, 2.0, 4.0, 16.0, 256.0, 65536.0}) {
    const double high = factor < 2 ? 1 + 100 * (factor - 1) : std::pow(factor, 6);
    const auto bounds = shm::native_bounds(1, high, factor);
    const auto window = shm::NativeWindow::of(bounds).value();
    const std::string name = "h" + std::to_string(window.schema + 4);
    const auto histogram = registry_.native_histogram(name, "H", {}, {.low = 1, .high = high, .factor = factor});
    ASSERT_FALSE(histogram.error()) << histogram.error().message();
    for (std::uint32_t i = 0; i < window.bound_count(); ++i) {
      histogram.observe(std::nextafter(window.bound(i), 0));
      histogram.observe(window.bound(i));
      histogram.observe(std::nextafter(window.bound(i), kInfinity));
    }
    // Each bucket: its end, what is below that, and what is above the border before it.
    std::map<double, std::uint64_t> expected;
    for (std::uint32_t i = 0; i < window.bound_count(); ++i) expected[window.bound(i)] = i == 0 ? 2 : 3;
    expected[kInfinity] = 1;
    EXPECT_EQ(native(name), expected) << factor;
  }
}

// Its borders are some units of the last place off ours, which no random value meets.
TEST_F(NativeTest, ClientGolangHasTheSameBucketsOfTheSameValuesInEverySchemaFromZeroOn) {
  if (!tests::has_protobuf_judge()) GTEST_SKIP() << tests::kNoProtobufJudge;
  std::mt19937_64 random(8);
  std::string wanted;
  int families = 0;
  for (const char* factor : {"2", "1.5", "1.2", "1.1", "1.05", "1.022", "1.011", "1.006", "1.003"}) {
    const double growth = std::stod(factor);
    const int octaves = growth < 1.01 ? 3 : 12;
    const std::string name = "h" + std::to_string(families++);
    const auto histogram =
        registry_.native_histogram(name, "H", {}, {.low = 0.25, .high = std::exp2(octaves - 2), .factor = growth});
    ASSERT_FALSE(histogram.error()) << histogram.error().message();
    std::uniform_real_distribution<double> power(-3, octaves - 2);
    std::ostringstream values;
    values << std::hexfloat;
    for (int i = 0; i < 2000; ++i) {
      const double value = std::exp2(power(random));
      histogram.observe(value);
      values << value << '\n';
    }
    const auto theirs = tests::run_command({SHMETRICS_PROTOBUF_JUDGE, "observe", factor, "0.25"}, values.str());
    ASSERT_EQ(theirs.code, 0) << theirs.error;
    wanted += name + theirs.out.substr(1);
  }
  EXPECT_EQ(tests::run_command({SHMETRICS_PROTOBUF_JUDGE, "native"}, protobuf_of(options_.path)).out, wanted);
}

TEST_F(NativeTest, RandomValuesCountInTheClassicBucketThatHoldsThem) {
  const auto histogram = registry_.native_histogram("h", "H", {}, {.low = 1e-4, .high = 1e3});
  std::mt19937_64 random(4);
  std::uniform_real_distribution<double> power(-16, 12);
  std::vector<double> values;
  double sum = 0;
  for (int i = 0; i < 10'000; ++i) {
    values.push_back(std::exp2(power(random)));
    histogram.observe(values.back());
    sum += values.back();
  }
  collector::Scraper scraper(options_.path);
  ASSERT_TRUE(scraper.read().up);
  const auto families = collector::plain_families(scraper.view());
  const auto& distribution = std::get<collector::Distribution>(families.at(0).series.at(0).value);
  ASSERT_EQ(distribution.buckets.size(), 14u) << "two ends, every second power of two between them, +Inf";
  const auto count_of = [&](double above, double up_to) {
    const auto is_between = [&](double value) { return value > above && value <= up_to; };
    return static_cast<std::uint64_t>(std::count_if(values.begin(), values.end(), is_between));
  };
  for (const auto& [bound, count] : distribution.buckets) EXPECT_EQ(count, count_of(0, bound)) << bound;
  for (const auto& [above, up_to, count] : distribution.native.value().buckets) {
    EXPECT_EQ(count, count_of(above, up_to)) << up_to;
  }
  EXPECT_DOUBLE_EQ(distribution.sum, sum);
}

TEST_F(NativeTest, NegativeValuesAndNanAreRefusedAndInfinityIsAboveAll) {
  const auto histogram = registry_.native_histogram("h", "H", {}, {.low = 1, .high = 4});
  histogram.observe(2);
  for (const double value : {-1.0, -kInfinity, -1e-320, std::nan("")}) histogram.observe(value);
  const auto before = scrape();
  EXPECT_EQ(before["h_count"], 1);
  EXPECT_EQ(before["h_sum"], 2);
  EXPECT_EQ(tests::count_of(before.status.values_refused, "negative"), 3u);
  EXPECT_EQ(tests::count_of(before.status.values_refused, "nan"), 1u);
  histogram.observe(kInfinity);
  EXPECT_EQ(scrape()["h_count"], 2);
  EXPECT_EQ(scrape()["h_sum"], kInfinity);
  EXPECT_EQ(native("h"), (std::map<double, std::uint64_t>{{2, 1}, {kInfinity, 1}}));
}

TEST_F(NativeTest, TheLargestDoubleHasABucketAndInfinityIsAboveIt) {
  constexpr double kLargest = std::numeric_limits<double>::max();
  const auto histogram = registry_.native_histogram("h", "H", {}, {.low = 1e300, .high = kLargest});
  ASSERT_FALSE(histogram.error()) << histogram.error().message();
  histogram.observe(kLargest);
  histogram.observe(kInfinity);
  EXPECT_EQ(native("h"), (std::map<double, std::uint64_t>{{kLargest, 1}, {kInfinity, 1}}));
}

TEST_F(NativeTest, BucketsThatCannotBeAreRefusedWithWhatToDo) {
  const auto refusal = [&](NativeBuckets buckets) {
    return registry_.native_histogram("h", "H", {}, buckets).error().message();
  };
  EXPECT_EQ(refusal({}), "'h': low of native buckets must be the least value that matters, above 0");
  EXPECT_EQ(refusal({.low = 2, .high = 1}), "'h': high of native buckets must be above low, and finite");
  EXPECT_EQ(refusal({.low = 1, .high = 2, .factor = 1}),
            "'h': the factor of native buckets must be above 1, such as 1.1");
  EXPECT_EQ(refusal({.low = 1e-9, .high = 1e9, .factor = 1.01}),
            "'h': native buckets that need 7655 bounds, at most 1021: take the factor 1.0443, or narrow low and high");
  const auto widest = registry_.native_histogram("h", "H", {}, {.low = 1e-9, .high = 1e9, .factor = 1.0443});
  EXPECT_FALSE(widest.error()) << widest.error().message();
  EXPECT_EQ(tests::count_of(scrape().status.declarations_refused, "rule"), 4u);
  const double widest_of_twos = std::ldexp(1, 1020 / 4);  // four buckets each: with the zero bucket 1,021 bounds
  EXPECT_EQ(refusal({.low = 1, .high = std::nextafter(widest_of_twos, kInfinity), .factor = 1.2}).substr(0, 44),
            "'h': native buckets that need 1022 bounds, a");
  const auto most = registry_.native_histogram("most", "M", {}, {.low = 1, .high = widest_of_twos, .factor = 1.2});
  EXPECT_FALSE(most.error()) << "1,024 cells: " << most.error().message();
}

TEST_F(NativeTest, InOneProcessOtherBucketsAreAnError) {
  ASSERT_FALSE(registry_.native_histogram("h", "H", {}, {.low = 1, .high = 4}).error());
  EXPECT_FALSE(registry_.native_histogram("h", "H", {}, {.low = 1, .high = 3.9}).error()) << "the same borders";
  EXPECT_EQ(registry_.native_histogram("h", "H", {}, {.low = 1, .high = 8}).error().message(),
            "'h' was declared with other bounds before in this process: declare it once, or choose another name");
  EXPECT_EQ(registry_.histogram("h", "H").error().message(),
            "'h' was declared with native buckets before in this process: declare it once, or choose another name");
  registry_.histogram("classic", "C");
  EXPECT_EQ(registry_.native_histogram("classic", "C", {}, {.low = 1, .high = 4}).error().message(),
            "'classic' was declared with classic buckets before in this process: declare it once, or choose another "
            "name");
}

TEST_F(NativeTest, LabelSetsBeyondTheLimitShareTheOverflowSeries) {
  const auto family =
      registry_.native_histogram("h", "H", {"route"}, {.low = 1, .high = 4, .factor = 2}, {.series_limit = 1});
  family.with("/a").observe(2);
  family.with("/b").observe(4);
  family.with("/c").observe(9);
  const std::string overflow = "{route=\"__overflow__\"";
  const auto text = scrape();
  EXPECT_EQ(text["h_count{route=\"/a\"}"], 1);
  EXPECT_EQ(text["h_bucket" + overflow + ",le=\"4\"}"], 1);
  EXPECT_EQ(text["h_count" + overflow + "}"], 2);
  EXPECT_EQ(tests::overflow_of(text.status, "h", "series_limit"), 2u);
  EXPECT_EQ(native("h", 1), (std::map<double, std::uint64_t>{{4, 1}, {kInfinity, 1}}));
  expect_sound();
}

TEST_F(NativeTest, AThreadWithoutASlotCountsInTheSpill) {
  Options options;
  options.path = folder_.file("small.seg");
  options.slots = 1;
  const Registry registry = Registry::open(options);
  const auto histogram = registry.native_histogram("h", "H", {}, {.low = 1, .high = 4, .factor = 2});
  histogram.observe(2);
  std::thread([&] {
    for (const double value : {0.5, 2.0, 4.0, kInfinity, -1.0}) histogram.observe(value);
  }).join();
  EXPECT_EQ(native_of(options.path, "h"), (std::map<double, std::uint64_t>{{1, 1}, {2, 2}, {4, 1}, {kInfinity, 1}}));
  EXPECT_EQ(tests::count_of(tests::scrape(options.path).status.values_refused, "negative"), 1u);
}

TEST_F(NativeTest, BesideLivingWorkersWithClassicBucketsItIsAnotherGeneration) {
  const tests::LiveWorker other(options_, [](const Registry& registry) {
    registry.histogram("h", "H", {}, {1, 3}).observe(3);
  });
  const auto native = registry_.native_histogram("h", "H", {}, {.low = 1, .high = 4, .factor = 2});
  ASSERT_FALSE(native.error()) << native.error().message();
  native.observe(2);
  const auto text = scrape();
  for (const auto& [bound, count] :
       std::map<std::string, double>{{"1", 0}, {"2", 1}, {"3", 2}, {"4", 2}, {"+Inf", 2}}) {
    EXPECT_EQ(text["h_bucket{le=\"" + bound + "\"}"], count) << bound;
  }
  EXPECT_TRUE(this->native("h").empty()) << "classic buckets have no native form";
  expect_sound();
}

TEST_F(NativeTest, AForkedChildGoesOnWithItsHandle) {
  const auto family = registry_.native_histogram("h", "H", {"route"}, {.low = 1, .high = 4, .factor = 2});
  const Histogram histogram = family.with("/");
  histogram.observe(2);
  const pid_t child = tests::forked([&] {
    histogram.observe(2);
    family.with("/").observe(4);
    return 0;
  });
  ASSERT_EQ(tests::wait_for(child), 0);
  EXPECT_EQ(native("h"), (std::map<double, std::uint64_t>{{2, 2}, {4, 1}}));
}

}  // namespace
}  // namespace shmetrics
