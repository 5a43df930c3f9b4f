// Random words at random places of a live segment: workers and readers go on.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <shmetrics/shmetrics.hpp>
#include <thread>

#include "client/attachment.hpp"
#include "collector/check.hpp"
#include "collector/plain_family.hpp"
#include "collector/scraper.hpp"
#include "collector/snapshot.hpp"
#include "tests/collector/text_checker.hpp"
#include "tests/forked.hpp"
#include "tests/scrape.hpp"
#include "tests/scribbler.hpp"

namespace shmetrics::tests {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kScribbled = std::chrono::seconds(3);
constexpr auto kMostScrapeTime = collector::kMostReadTime + std::chrono::seconds(15);  // sanitizers, a busy machine
constexpr unsigned kPatienceSeconds = 60;                                              // for hangs only

std::string own_path(const char* name) {
  return "/dev/shm/shmetrics-" + std::string(name) + "-" + std::to_string(getpid()) + ".seg";
}

Options options_of(const std::string& path) {
  Options options;
  options.path = path;
  options.workers = 8;
  options.slots = 16;
  options.cells = 8192;
  options.directory_bytes = 1 << 20;
  return options;
}

/// What a worker does: declares, registers, counts in all kinds. Whatever of it fails is an error to read, no more.
void work(const Registry& registry, int round) {
  const std::string number = std::to_string(round % 300);
  auto requests = registry.counter("app_requests_total", "Requests", {"route"});
  auto seconds = registry.histogram("app_seconds", "Time", {"route"}, {0.1, 1, 10}, {.exemplars = true});
  auto native = registry.native_histogram("app_native_seconds", "Time", {"route"}, {.low = 0.01, .high = 10},
                                          {.exemplars = true});
  auto active = registry.gauge("app_active", "Active", {}, GaugeMode::livesum);
  auto most = registry.gauge("app_most", "Most", {"route"}, GaugeMode::max);
  auto sizes = registry.summary("app_bytes", "Sizes", {});
  registry.counter("app_" + number + "_total", "One of many", {}).inc();
  for (int i = 0; i < 50; ++i) {
    requests.with(number).inc();
    requests.with("/").inc(3);
    seconds.with("/").observe(i * 0.1, {number, "s"});
    seconds.with(number).observe(1);
    native.with("/").observe(i * 0.1, {number, "s"});
    active.set(i);
    most.with("/").set(i);
    sizes.observe(100);
  }
}

int work_until(const std::string& path, const std::atomic<bool>& end) {
  alarm(kPatienceSeconds);
  std::error_code error;
  const Registry registry = Registry::open(options_of(path), error);
  for (int round = 0; !end; ++round) {
    std::thread other([&] { work(registry, round); });
    work(registry, round + 1);
    other.join();
  }
  return 0;
}

/// Returns whether the segment was up.
bool expect_well_formed_scrape(collector::Scraper& scraper) {
  const auto begin = Clock::now();
  std::string text;
  const collector::SegmentStatus status = scraper.scrape(text);
  EXPECT_EQ(TextChecker::problem(text), "");
  EXPECT_TRUE(status.up || text.empty());
  plain_families(scraper.view());
  scraper.workers();
  EXPECT_LT(Clock::now() - begin, kMostScrapeTime);
  return status.up;
}

class ScribbleTest : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  ~ScribbleTest() override { std::filesystem::remove(path_); }

  const std::string path_ = own_path("scribble");
  std::atomic<bool>& end_ = shared<std::atomic<bool>>();
};

TEST_P(ScribbleTest, WorkersCountAndScrapesAreWellFormedWhileWordsAreScribbled) {
  std::vector<pid_t> workers;
  ASSERT_TRUE(Registry::open(options_of(path_)));
  for (int i = 0; i < 2; ++i) {
    workers.push_back(forked([&] { return work_until(path_, end_); }));
  }
  const pid_t scribbler = forked([&] { return scribble(path_, GetParam(), end_, 7); });
  collector::Scraper lasting(path_);
  int scrapes = 0, up = 0;
  for (const auto until = Clock::now() + kScribbled; Clock::now() < until && !HasFailure(); scrapes += 2) {
    up += expect_well_formed_scrape(lasting);
    collector::Scraper fresh(path_);
    up += expect_well_formed_scrape(fresh);
    collector::check_segment(path_);
  }
  end_ = true;
  for (const pid_t worker : workers) EXPECT_EQ(wait_for(worker), 0) << "a worker died of what it read";
  EXPECT_EQ(wait_for(scribbler), 0);
  EXPECT_GT(up, 0) << "of " << scrapes << " scrapes";
  RecordProperty("scrapes", scrapes);
  RecordProperty("up", up);
}

// With the header, and without, so that more scrapes get to the rest.
INSTANTIATE_TEST_SUITE_P(Front, ScribbleTest, ::testing::Values(0, sizeof(shm::Header)),
                         [](const auto& of) { return of.param == 0 ? "Everywhere" : "BehindTheHeader"; });

TEST(ScribbledSegment, AThreadWhoseOwnerWordWasWipedKeepsItsMemoryWhenAnotherThreadComesAndGoes) {
  const std::string path = own_path("wiped");
  EXPECT_EQ(wait_for(forked([&] {
              const Registry registry = Registry::open(options_of(path));
              const Counter hits = registry.counter("a_total", "A");
              hits.inc();
              const WritableMapping segment(path);
              const shm::Geometry& geometry = detail::Attachment::at(0)->mapping.view.geometry();
              for (std::uint32_t slot = 0; slot < geometry.thread_slots; ++slot) {
                segment.word(geometry.slot_table() + slot * sizeof(shm::SlotEntry) + offsetof(shm::SlotEntry, owner))
                    .store(0);
              }
              std::thread([&] { hits.inc(); }).join();
              hits.inc();
              return 0;
            })),
            0);
  EXPECT_EQ(scrape(path)["a_total"], 3);
  std::filesystem::remove(path);
}

TEST(ScribbledSegment, ASeriesWhoseCellWasOverwrittenIsRegisteredAnew) {
  const std::string path = own_path("cell");
  EXPECT_EQ(wait_for(forked([&] {
              const Registry registry = Registry::open(options_of(path));
              const auto seconds = registry.histogram("app_seconds", "Time", {"route"}, {0.1, 1, 10});
              const std::string route = "/needle";
              seconds.with(route).observe(1);
              const WritableMapping segment(path);
              const shm::Geometry& geometry = detail::Attachment::at(0)->mapping.view.geometry();
              const auto* directory = reinterpret_cast<const char*>(&segment.word(geometry.directory()));
              const std::size_t at = std::string_view(directory, geometry.directory_bytes).find(route);
              const std::uint64_t record =
                  geometry.directory() + at - sizeof(std::uint16_t) - sizeof(shm::SeriesRecord);
              auto& family_and_cell = segment.word(record + offsetof(shm::SeriesRecord, family));
              const auto observe_in = [&](std::uint64_t cell) {
                family_and_cell.store((family_and_cell.load() & 0xffffffff) | cell << 32);
                seconds.with(route).observe(1);
              };
              observe_in(8191);  // the last of the slot: no room for buckets, dropped
              for (const std::uint64_t cell : {0xffffffffu, 0xfffffffeu, 0xfffffff0u, 0x80000000u, 8192u}) {
                observe_in(cell);
              }
              return 0;
            })),
            0);
  const Scrape scraped = scrape(path);
  EXPECT_EQ(scraped["app_seconds_count{route=\"/needle\"}"], 5) << "the first is in the record that was overwritten";
  EXPECT_EQ(count_of(scraped.status.updates_dropped, "no_memory"), 1u);
  std::filesystem::remove(path);
}

TEST(ScribbledSegment, AWorkerThatOpensItNeitherCrashesNorHangs) {
  constexpr int kRounds = 150;
  std::mt19937_64 random(11);
  for (int round = 0; round < kRounds && !::testing::Test::HasFailure(); ++round) {
    const std::string path = own_path("scribbled");
    const auto count_once = [&](int number) {
      alarm(kPatienceSeconds);
      std::error_code error;
      const Registry registry = Registry::open(options_of(path), error);
      std::thread other([&] { work(registry, number); });
      work(registry, number + 1);
      other.join();
      return 0;
    };
    ASSERT_EQ(wait_for(forked([&] { return count_once(1); })), 0);
    {
      const WritableMapping segment(path);
      const std::vector<std::uint64_t> pages = segment.pages(round % 8 == 0 ? 0 : sizeof(shm::Header));
      for (int word = 0; word < 1 << round % 11; ++word) {
        const std::uint64_t in_page = random() % (random() % 2 == 0 ? 256 : shm::kPageBytes) / 8 * 8;
        segment.word(pages[random() % pages.size()] + in_page).store(random_word(random));
      }
    }
    EXPECT_EQ(wait_for(forked([&] { return count_once(2); })), 0) << "round " << round;
    collector::Scraper scraper(path);
    expect_well_formed_scrape(scraper);
    std::filesystem::remove(path);
  }
}

}  // namespace
}  // namespace shmetrics::tests
