// What came between two moments of a segment, by families and series.
#include <gtest/gtest.h>

#include <cmath>

#include "tools/rates.hpp"

namespace shmetrics::tools {
namespace {

using namespace std::chrono_literals;

Moment::FamilyPoints counter_of(std::string name, std::vector<Moment::Point> series) {
  return {.name = std::move(name), .is_gauge = false, .is_observed = false, .series = std::move(series)};
}
Moment::FamilyPoints count(std::string name, double value) {
  return counter_of(std::move(name), {{.labels = "", .value = value}});
}
Moment::FamilyPoints gauge(std::string name, double value) {
  return {.name = std::move(name), .is_gauge = true, .is_observed = false, .series = {{.labels = "", .value = value}}};
}
Moment::FamilyPoints observed(std::string name, std::vector<Moment::Point> series) {
  return {.name = std::move(name), .is_gauge = false, .is_observed = true, .series = std::move(series)};
}
Moment reading(std::chrono::seconds at, std::vector<Moment::FamilyPoints> families, std::string id = "1") {
  Moment made;
  made.status.up = true;
  made.status.id = std::move(id);
  made.at = std::chrono::steady_clock::time_point(at);
  made.families = std::move(families);
  return made;
}

TEST(Rates, AreWhatCameBetweenTwoReadingsTheFastestFirst) {
  const Moment before = reading(10s, {count("slow", 5), gauge("g", 1), count("fast", 5)});
  const Moment after = reading(12s, {count("slow", 6), gauge("g", 2), count("fast", 105)});
  const auto families = compare(&before, after);
  ASSERT_EQ(families.size(), 3u);
  EXPECT_EQ(families[0].name, "fast");
  EXPECT_EQ(families[0].total.rate, 50);
  EXPECT_EQ(families[0].total.value, 105);
  EXPECT_EQ(families[1].name, "slow");
  EXPECT_EQ(families[1].series[0].mean, std::nullopt);
  EXPECT_EQ(families[2].series[0].value, 2);
  EXPECT_EQ(families[2].series[0].rate, std::nullopt);
}

TEST(Rates, OfAFamilyAreThoseOfItsSeriesTogether) {
  const Moment before = reading(10s, {counter_of("c", {{"a=1", 5}, {"a=2", 5}})});
  const auto families = compare(&before, reading(12s, {counter_of("c", {{"a=1", 6}, {"a=2", 25}, {"a=3", 4}})}));
  EXPECT_EQ(families[0].total.rate, 12.5);
  EXPECT_EQ(families[0].total.value, 35);
  EXPECT_EQ(families[0].series[0].labels, "a=2");
}

TEST(Rates, HaveTheMeanAndThe95thPercentileOfWhatWasObservedMeanwhile) {
  const auto seen = [](std::uint64_t fast, std::uint64_t slow, double sum) {
    return Moment::Point{"", static_cast<double>(fast + slow), sum, {{0, 1, fast}, {1, 2, slow}, {2, INFINITY, 0}}};
  };
  const Moment before = reading(10s, {observed("h", {seen(1000, 0, 500)})});
  const auto both = compare(&before, reading(12s, {observed("h", {seen(1010, 10, 520)})}));
  EXPECT_EQ(both[0].total.mean, 1);
  EXPECT_DOUBLE_EQ(both[0].total.p95->value, 1.9);
  EXPECT_FALSE(both[0].total.p95->is_at_most);
  const auto first_bucket = compare(&before, reading(12s, {observed("h", {seen(1010, 0, 505)})}));
  EXPECT_EQ(first_bucket[0].total.p95->value, 1);
  EXPECT_TRUE(first_bucket[0].total.p95->is_at_most);
  EXPECT_FALSE(compare(&before, reading(12s, {observed("h", {seen(1000, 0, 500)})}))[0].total.p95);
  const auto beyond = compare(nullptr, before);
  EXPECT_FALSE(beyond[0].total.rate || beyond[0].total.p95);
}

TEST(Rates, AreUnknownWithoutAReadingOfTheSameSegment) {
  const Moment other = reading(10s, {count("a", 5)}, "other");
  Moment gone = reading(10s, {});
  gone.status.up = false;
  const Moment after = reading(12s, {count("a", 7)});
  const Moment* const strangers[] = {nullptr, &other, &gone, &after};
  for (const Moment* before : strangers) EXPECT_EQ(compare(before, after)[0].total.rate, std::nullopt);
}

TEST(Rates, ASeriesThatIsNewOrBeganAnewCountsFromZero) {
  const Moment before = reading(10s, {count("anew", 100)});
  const auto families = compare(&before, reading(12s, {count("anew", 4), count("new", 6)}));
  EXPECT_EQ(families[0].total.rate, 3);
  EXPECT_EQ(families[1].total.rate, 2);
}

TEST(Rates, InfiniteTotalsDoNotSpoilTheOrder) {
  const Moment before = reading(10s, {count("a", INFINITY), count("b", 1), count("c", 1)});
  const auto families = compare(&before, reading(12s, {count("a", INFINITY), count("b", 2), count("c", INFINITY)}));
  EXPECT_EQ(families[0].name, "c");
  EXPECT_EQ(families[2].total.rate, std::nullopt);
}

TEST(Rates, AreSortedAsAskedAndGaugesStayBehind) {
  const Moment before = reading(10s, {count("a", 90), count("b", 1), gauge("z", 1), gauge("y", 2)});
  auto families = compare(&before, reading(12s, {count("a", 91), count("b", 5), gauge("z", 1), gauge("y", 2)}));
  const auto names = [&] {
    std::string all;
    for (const FamilyRates& family : families) all += family.name;
    return all;
  };
  EXPECT_EQ(names(), "bayz");
  sort_families(families, Order::kValue);
  EXPECT_EQ(names(), "abyz");
  sort_families(families, Order::kName);
  EXPECT_EQ(names(), "abyz");
}

}  // namespace
}  // namespace shmetrics::tools
