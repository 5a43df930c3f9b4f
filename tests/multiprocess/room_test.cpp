// A file system that is full at one step of a registration: what cannot be registered is counted in the overflow series
// under its reason, nothing is lost, and once there is room a label set has its own series at most two seconds after
// with() is called again.
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "tests/multiprocess/directory_log.hpp"
#include "tests/multiprocess/space.hpp"

namespace shmetrics {
namespace {

class RoomTest : public SpaceTest {
 protected:
  using Clock = std::chrono::steady_clock;
  static constexpr auto kMostWait = std::chrono::seconds(2);

  void SetUp() override {
    SpaceTest::SetUp();
    if (IsSkipped()) return;
    options_.quiet = true;
    registry_ = open();
    hits_ = registry_.counter("hits_total", "Hits", {"n"});
    sizes_ = registry_.histogram("size_bytes", "Sizes", {"n"}, linear_buckets(1, 1, 64));
    depth_ = registry_.gauge("depth", "Depth", {"n"});
  }
  void TearDown() override {
    registry_ = {};
    SpaceTest::TearDown();
  }

  void count(const std::string& n) {
    hits_.with(n).inc();
    ++acknowledged_;
  }
  /// One label set after the other, until the log is where `here` says.
  void register_until(const std::function<bool(const tests::DirectoryLog&)>& here, int at_least = 0) {
    while (registered_ < at_least) count("before " + std::to_string(registered_++));
    while (!here(tests::read_log(options_.path))) count("before " + std::to_string(registered_++));
  }
  /// Label sets that get no series, after those that the last pages have room for.
  std::vector<std::string> register_until_full() {
    std::vector<std::string> without;
    for (int i = 0; without.size() < 5 && i < 5000; ++i) {
      const std::string n = "full " + std::to_string(rounds_) + " " + std::to_string(i);
      count(n);
      if (!scrape().has("hits_total{n=\"" + n + "\"}")) without.push_back(n);
    }
    EXPECT_EQ(without.size(), 5u) << "it was never full";
    return without;
  }
  /// Asks again and again; how long it took until the label set had a series.
  double wait_for_series(const std::string& n) {
    const auto begin = Clock::now();
    while (!scrape().has("hits_total{n=\"" + n + "\"}") && Clock::now() - begin < kMostWait) {
      count(n);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_TRUE(scrape().has("hits_total{n=\"" + n + "\"}")) << n;
    return std::chrono::duration<double>(Clock::now() - begin).count();
  }
  static double value(const tests::Scrape& result, const std::string& name) {
    return result.has(name) ? result[name] : 0;
  }

  /// The file system is full now, but for some pages.
  /// `is_at_step`: the next label set is the one that has no room.
  void expect_healing(const char* step, std::uint64_t spare_pages, bool is_at_step = false) {
    disk_.fill(spare_pages);
    const tests::DirectoryLog before = tests::read_log(options_.path);
    const double shared_before = value(scrape(), kOverflow);
    const std::vector<std::string> without = register_until_full();
    const std::uint32_t got_in = tests::read_log(options_.path).entries - before.entries;
    EXPECT_TRUE(!is_at_step || got_in == 0) << got_in << " label sets: full elsewhere";
    const std::string held_set = "held " + std::to_string(rounds_++);
    const Counter held = hits_.with(held_set);
    held.inc();
    ++acknowledged_;
    tests::Scrape result = scrape();
    EXPECT_EQ(sum(result, "hits_total"), acknowledged_);
    const double shared = value(result, kOverflow) - shared_before;
    EXPECT_GE(shared, 6);
    for (const auto& overflow : result.status.series_overflow) {
      EXPECT_EQ(overflow.refused.reason, "no_memory") << overflow.family;
    }
    EXPECT_EQ(value(result, kOverflow), tests::overflow_of(result.status, "hits_total", "no_memory") + kept_);

    disk_.drain();
    double longest = 0;
    for (const std::string& n : without) longest = std::max(longest, wait_for_series(n));
    held.inc();
    ++kept_;
    ++acknowledged_;
    result = scrape();
    EXPECT_EQ(sum(result, "hits_total"), acknowledged_);
    EXPECT_FALSE(result.has("hits_total{n=\"" + held_set + "\"}")) << "a handle that is kept stays where it is";
    wait_for_series(held_set);
    EXPECT_EQ(sum(scrape(), "hits_total"), acknowledged_);
    EXPECT_EQ(value(scrape(), kOverflow), tests::overflow_of(scrape().status, "hits_total", "no_memory") + kept_);
    const tests::DirectoryLog log = tests::read_log(options_.path);
    EXPECT_TRUE(log.problems.empty()) << log.problems.front();
    std::printf("%s, %llu pages spare: full at entry %u, cell %u, byte %llu; healed within %.2f s\n", step,
                static_cast<unsigned long long>(spare_pages), before.entries, before.cells.thread_cells,
                static_cast<unsigned long long>(before.heap_bytes), longest);
  }

  static constexpr const char* kOverflow = "hits_total{n=\"__overflow__\"}";
  Registry registry_;
  Family<Counter, 1> hits_;
  Family<Histogram, 1> sizes_;
  Family<Gauge, 1> depth_;
  double acknowledged_ = 0;
  int registered_ = 0;
  int rounds_ = 0;
  int kept_ = 0;  // updates of a handle that is kept, after the first
};

INSTANTIATE_TEST_SUITE_P(Kernel, RoomTest, ::testing::Values(true, false),
                         [](const auto& kernel) { return kernel.param ? "OfToday" : "Before5_14"; });

TEST_P(RoomTest, WithoutRoomForARecordLabelSetsShareTheOverflowSeriesAndHealOnceThereIsSome) {
  register_until([](const auto& log) { return log.heap_bytes > 1000; });
  expect_healing("heap", 0);
}

TEST_P(RoomTest, WithoutRoomInTheIndexLabelSetsShareTheOverflowSeriesAndHealOnceThereIsSome) {
  // A step of the index has 2,048 words, of which the head takes 8; an append needs the entry behind its own too.
  register_until([](const auto& log) { return log.entries >= 2039; }, 2030);
  expect_healing("index", 0, true);
}

TEST_P(RoomTest, WithoutRoomInTheSpillLabelSetsShareTheOverflowSeriesAndHealOnceThereIsSome) {
  register_until([](const auto& log) { return log.entries > 10; });
  for (int i = 0; tests::read_log(options_.path).cells.thread_cells + 67 < kStep; ++i) {
    static_cast<void>(sizes_.with(std::to_string(i)));
  }
  register_until([](const auto& log) { return log.cells.thread_cells >= kStep; });
  expect_healing("spill", 0, true);
}

TEST_P(RoomTest, WithRoomForAPartOfAStepNothingIsLostEither) {
  for (const std::uint64_t pages : {1, 3}) expect_healing("some step", pages);
}

TEST_P(RoomTest, AGaugeWithoutRoomIsCountedAsDroppedAndComesOnceThereIsSome) {
  depth_.with("known").set(1);
  disk_.fill();
  int dropped = 0;
  while (scrape().has("depth{n=\"" + std::to_string(dropped) + "\"}") || dropped == 0) {
    depth_.with(std::to_string(++dropped)).set(1);  // the last pages have room for some
    ASSERT_LT(dropped, 2000);
  }
  const std::string name = std::to_string(dropped);
  const auto before = tests::count_of(scrape().status.updates_dropped, "no_memory");
  EXPECT_GE(before, 1u);
  depth_.with(name).set(2);
  EXPECT_EQ(tests::count_of(scrape().status.updates_dropped, "no_memory"), before + 1);
  disk_.drain();
  const auto begin = Clock::now();
  while (!scrape().has("depth{n=\"" + name + "\"}") && Clock::now() - begin < kMostWait) {
    depth_.with(name).set(3);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(value(scrape(), "depth{n=\"" + name + "\"}"), 3);
}

TEST_P(RoomTest, ADeclarationWithoutRoomHealsByWithAndItsUpdatesUntilThenAreCountedAsDropped) {
  disk_.fill();
  // So long that no page has room for it.
  const std::string help(4000, 'h');
  std::vector<Family<Counter, 1>> families;
  for (int i = 0; i < 10; ++i) {
    families.push_back(registry_.counter("later_" + std::to_string(i) + "_total", help, {"n"}));
    if (families.back().error()) break;
  }
  const Family<Counter, 1> later = families.back();
  const std::string prefix = "later_" + std::to_string(families.size() - 1) + "_total";
  ASSERT_EQ(later.error(), Errc::full) << later.error().message();
  EXPECT_EQ(tests::count_of(scrape().status.declarations_refused, "no_memory"), 1u);
  double answered = 0;
  for (int i = 0; i < 100; ++i, ++answered) later.with("a").inc();
  EXPECT_EQ(static_cast<double>(tests::count_of(scrape().status.updates_dropped, "no_memory")), answered);
  disk_.drain();
  const auto begin = Clock::now();
  while (!scrape().has(prefix + "{n=\"a\"}") && Clock::now() - begin < kMostWait) {
    later.with("a").inc();
    ++answered;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  const tests::Scrape result = scrape();
  EXPECT_TRUE(result.has(prefix + "{n=\"a\"}"));
  EXPECT_EQ(sum(result, prefix) + static_cast<double>(tests::count_of(result.status.updates_dropped, "no_memory")),
            answered);
  EXPECT_FALSE(registry_.counter(prefix, help, {"n"}).error());
}

}  // namespace
}  // namespace shmetrics
