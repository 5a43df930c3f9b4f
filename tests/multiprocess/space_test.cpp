// A tmpfs without room, at every time in a segment's life, on this kernel and on one that cannot populate: workers run
// on without a signal, totals stay right, what is lost is counted, and all is well again when there is room.
#include <string>

#include "tests/multiprocess/space.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics {
namespace {

INSTANTIATE_TEST_SUITE_P(Kernel, SpaceTest, ::testing::Values(true, false),
                         [](const auto& kernel) { return kernel.param ? "OfToday" : "Before5_14"; });

TEST_P(SpaceTest, NoRoomAtTheStartIsAnErrorThatNamesTheRemedyAndALaterOpenSucceeds) {
  disk_.fill();
  std::error_code error;
  const Registry inert = Registry::open(options_, error);
  EXPECT_EQ(error, Errc::full) << error.message();
  EXPECT_NE(error.message().find(disk_.path()), std::string::npos) << error.message();
  EXPECT_NE(error.message().find("free space"), std::string::npos) << error.message();
  EXPECT_EQ(error.message().find('\n'), std::string::npos);
  EXPECT_FALSE(inert);
  const Counter unheard = inert.counter("a_total", "A");
  for (int i = 0; i < 1000; ++i) unheard.inc();
  EXPECT_FALSE(std::filesystem::exists(options_.path)) << "half a segment is none";

  disk_.drain();
  const Registry registry = open();
  const Counter hits = registry.counter("a_total", "A");
  hits.inc(3);
  unheard.inc();
  EXPECT_EQ(scrape()["a_total"], 3) << "what was declared on the inert registry stays inert: declare again";
  for (std::uint32_t i = 0; i < kStep; ++i) static_cast<void>(registry.counter("a_total", "A"));
  static_cast<void>(registry.gauge("active", "A"));
  EXPECT_EQ(scrape()["active"], 0);
}

TEST_P(SpaceTest, TheDefaultRegistryOpensItselfWithinASecondAfterThereIsRoom) {
  setenv(shm::kPathVariable, options_.path.c_str(), 1);
  const std::string path = options_.path;
  options_ = {};
  options_.path = path;
  disk_.fill();
  EXPECT_FALSE(default_registry());
  EXPECT_FALSE(default_registry().counter("a_total", "A"));
  disk_.drain();
  pass_a_second();
  const Gauge active = default_registry().gauge("active", "A");
  active.set(2);
  EXPECT_EQ(scrape()["active"], 2);
}

TEST_P(SpaceTest, AFreshStartWithoutRoomLeavesTheOldSegmentInPlace) {
  const Counter hits = open().counter("a_total", "A");
  static_cast<void>(open().gauge("active", "A"));
  hits.inc();
  disk_.fill();
  options_.start = Start::fresh;
  std::error_code error;
  static_cast<void>(Registry::open(options_, error));
  EXPECT_EQ(error, Errc::full) << error.message();
  hits.inc();
  EXPECT_EQ(scrape()["a_total"], 2);
  EXPECT_EQ(tests::leftovers_of(options_.path), 0u);
}

TEST_P(SpaceTest, AWorkerThatStartsWithoutRoomCountsInTheSpillAndHasASlotOnceThereIsRoom) {
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              const Registry registry = open();
              static_cast<void>(registry.counter("a_total", "A"));
              static_cast<void>(registry.gauge("active", "A"));
              static_cast<void>(registry.histogram("h", "H", {}, {1}));
              return 0;
            })),
            0);
  disk_.fill();
  const std::uint64_t used = used_bytes();
  const Registry registry = open();
  const Counter hits = registry.counter("a_total", "A");
  const Histogram h = registry.histogram("h", "H", {}, {1});
  constexpr int kUpdates = 10'000;
  for (int i = 0; i < kUpdates; ++i) {
    hits.inc();
    h.observe(2);
  }
  tests::Scrape result = scrape();
  EXPECT_EQ(result["a_total"], kUpdates);
  EXPECT_EQ(result["h_count"], kUpdates);
  EXPECT_EQ(result["h_sum"], 2 * kUpdates);
  EXPECT_EQ(result.status.slots_used, 0u);
  EXPECT_EQ(used_bytes(), used);

  disk_.drain();
  int more = 0;
  while (scrape().status.slots_used == 0 && more < 2 << 20) {
    for (int i = 0; i < 1024; ++i) hits.inc();
    more += 1024;
  }
  EXPECT_EQ(scrape().status.slots_used, 1u) << "after " << more << " updates";
  EXPECT_EQ(scrape()["a_total"], kUpdates + more);
}

TEST_P(SpaceTest, AGaugeAndAnInfoWithoutRoomAreMissedAndComeOnceThereIsRoom) {
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              const Registry registry = open();
              static_cast<void>(registry.gauge("active", "A"));
              return registry.info("build_info", "B", {{"v", "1"}}) ? 1 : 0;
            })),
            0);
  // The entry that is free keeps the memory of its last owner: this one takes another.
  tests::Baton claimed, go;
  const pid_t holder = tests::forked([&] {
    open().gauge("active", "A").set(1);
    claimed.pass();
    go.receive();
    return 0;
  });
  claimed.receive();
  disk_.fill();
  const Registry registry = open();
  const Gauge active = registry.gauge("active", "A");
  active.set(5);
  active.inc();
  EXPECT_EQ(registry.info("build_info", "B", {{"v", "1"}}), Errc::full) << "an info that nobody sees is an error";
  tests::Scrape result = scrape();
  EXPECT_EQ(result["active"], 1);
  EXPECT_EQ(tests::count_of(result.status.updates_dropped, "no_memory"), 2u);
  EXPECT_EQ(sum(result, "build_info"), 0);

  disk_.drain();
  pass_a_second();
  active.set(5);
  result = scrape();
  EXPECT_EQ(result["active"], 6);
  EXPECT_EQ(result["build_info{v=\"1\"}"], 1) << "shown without being declared again";
  go.pass();
  EXPECT_EQ(tests::wait_for(holder), 0);
}

TEST_P(SpaceTest, ASlotThatCannotGrowCountsInTheSpillAndGoesOnInItsOwnASecondLater) {
  const Registry registry = open();
  const auto family = registry.counter("a_total", "A", {"n"});
  const Counter low = family.with("low");
  low.inc();
  for (std::uint32_t i = 0; i < kStep; ++i) static_cast<void>(family.with(std::to_string(i)));
  const Counter high = family.with("high");  // its cell lies in the second step
  disk_.fill();
  const std::uint64_t used = used_bytes();
  for (int i = 0; i < 5000; ++i) {
    low.inc();
    high.inc();
  }
  EXPECT_EQ(scrape()["a_total{n=\"high\"}"], 5000);
  EXPECT_EQ(scrape()["a_total{n=\"low\"}"], 5001);
  EXPECT_EQ(cells_of_slot(0), kStep);
  EXPECT_EQ(used_bytes(), used);

  disk_.drain();
  pass_a_second();
  high.inc();
  EXPECT_EQ(cells_of_slot(0), 2 * kStep) << "in its own slot again";
  EXPECT_EQ(scrape()["a_total{n=\"high\"}"], 5001);
}

TEST_P(SpaceTest, NewLabelSetsShareTheOverflowSeriesWithoutRoomAndHaveTheirOwnASecondLater) {
  const Registry registry = open();
  const auto family = registry.counter("a_total", "A", {"n"});
  family.with("old").inc();
  disk_.fill();
  constexpr int kSets = 500;  // more than the directory's first page holds
  for (int i = 0; i < kSets; ++i) family.with(std::to_string(i)).inc();
  tests::Scrape result = scrape();
  EXPECT_EQ(sum(result, "a_total"), kSets + 1);
  EXPECT_EQ(result["a_total{n=\"__overflow__\"}"], tests::overflow_of(result.status, "a_total", "no_memory"));
  const std::error_code error = registry.counter("b_total", std::string(4000, 'B')).error();
  EXPECT_EQ(error, Errc::full) << error.message();

  disk_.drain();
  pass_a_second();
  family.with("again").inc();
  family.with(std::to_string(kSets - 1)).inc();
  result = scrape();
  EXPECT_EQ(result["a_total{n=\"again\"}"], 1);
  EXPECT_EQ(result["a_total{n=\"499\"}"], 1) << "and so has one that had to share";
  EXPECT_EQ(sum(result, "a_total"), kSets + 3);
  EXPECT_FALSE(registry.counter("b_total", std::string(4000, 'B')).error());
}

TEST_P(SpaceTest, TheSlotOfADeadWorkerIsAdoptedWithoutRoom) {
  const tests::Baton counted;
  const pid_t worker = tests::forked([&] {
    const Registry registry = open();
    const Gauge active = registry.gauge("active", "A", {}, GaugeMode::sum);
    registry.counter("a_total", "A").inc(7);
    active.set(2);
    counted.pass();
    pause();
    return 0;
  });
  counted.receive();
  disk_.fill();
  EXPECT_EQ(tests::kill_and_wait(worker), -SIGKILL);
  const Registry registry = open();
  registry.counter("a_total", "A").inc();
  registry.gauge("active", "A", {}, GaugeMode::sum).inc();
  const tests::Scrape result = scrape();
  EXPECT_EQ(result["a_total"], 8);
  EXPECT_EQ(result["active"], 3);
  EXPECT_EQ(result.status.worker_deaths, 1u);
  EXPECT_EQ(result.status.slots_used, 1u) << "its memory was there already";
}

TEST_P(SpaceTest, AReaderTakesNoRoomAndMissesNothing) {
  const Registry registry = open();
  registry.counter("a_total", "A").inc(7);
  registry.gauge("active", "A").set(2);
  registry.histogram("h", "H", {}, {1, 2, 3}).observe(2.5);
  disk_.fill(1);  // one page: to have it taken would be seen
  const std::uint64_t used = used_bytes();
  collector::Scraper scraper(options_.path);
  for (int i = 0; i < 100; ++i) {
    const tests::Scrape result = tests::scrape(scraper);
    ASSERT_TRUE(result.status.up) << result.status.problem;
    EXPECT_EQ(result["a_total"], 7);
    EXPECT_EQ(result["active"], 2);
    EXPECT_EQ(result["h_bucket{le=\"3\"}"], 1);
  }
  EXPECT_EQ(used_bytes(), used);
}

TEST_P(SpaceTest, EveryNumberOfFreePagesIsSurvivedFromTheFirstOpenOn) {
  int opened = 0;
  for (std::uint64_t pages = 0; pages < 40; ++pages) {
    disk_.fill(pages);
    const int code = tests::wait_for(tests::forked([&] {
      std::error_code error;
      const Registry registry = Registry::open(options_, error);
      const auto family = registry.counter("a_total", "A", {"n"});
      const auto h = registry.histogram("h", "H", {"n"}, {1, 2});
      const Gauge active = registry.gauge("active", "A");
      for (int i = 0; i < 300; ++i) {
        family.with(std::to_string(i)).inc();
        h.with(std::to_string(i)).observe(i);
        active.inc();
      }
      if (error) return error == Errc::full ? 1 : 2;
      const tests::Scrape result = scrape();
      const bool counts = !family.error() && !h.error();
      return !counts || (sum(result, "a_total") == 300 && sum(result, "h_count") == 300) ? 0 : 3;
    }));
    EXPECT_TRUE(code == 0 || code == 1) << code << " with " << pages << " pages";
    opened += code == 0 ? 1 : 0;
    std::filesystem::remove(options_.path);
    disk_.drain();
  }
  EXPECT_GT(opened, 20);
  EXPECT_LT(opened, 40);
  static_cast<void>(open());  // for the check that follows
  static_cast<void>(open().gauge("active", "A"));
}

}  // namespace
}  // namespace shmetrics
