// The wall clock jumps by a day, forth and back: nothing of the protocol, and no number but a time, may notice.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <time.h>
#include <shmetrics/shmetrics.hpp>

#include <atomic>
#include <chrono>
#include <cmath>
#include <thread>
#include <vector>

#include "collector/family.hpp"
#include "tests/forked.hpp"
#include "tests/running_exporter.hpp"
#include "tests/scrape.hpp"
#include "tests/temporary_folder.hpp"

extern "C" bool shmetrics_test_clock_attach();

namespace shmetrics::tests {
namespace {

constexpr std::int64_t kDay = 86'400;

class ClockTest : public ::testing::Test {
 protected:
  ClockTest() {
    const int fd = ::open(clock_.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (ftruncate(fd, sizeof *step_) != 0) throw std::runtime_error("ftruncate");
    void* word = mmap(nullptr, sizeof *step_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    step_ = new (word) std::atomic<std::int64_t>(0);
    close(fd);
    setenv("SHMETRICS_TEST_CLOCK", clock_.c_str(), 1);
    if (!shmetrics_test_clock_attach()) throw std::runtime_error("no clock");
  }

  ExporterSetup exporter_setup() const {
    return {.segment = path_,
            .environment = {"LD_PRELOAD=" SHMETRICS_CLOCK_SHIM, "SHMETRICS_TEST_CLOCK=" + clock_,
                            "ASAN_OPTIONS=verify_asan_link_order=0"}};
  }
  ~ClockTest() override {
    for (const pid_t child : hired_) kill(child, SIGKILL);
  }
  /// When the series of hits_total came, Unix time.
  double hits_created() const {
    collector::Scraper scraper(path_);
    scraper.read();
    for (const collector::CatalogFamily* family : scraper.view().families) {
      if (family->name == "hits_total") return static_cast<double>(family->series.at(0).created_unix_ns) * 1e-9;
    }
    throw std::runtime_error("no hits_total");
  }
  /// A worker that counts once, sets its gauges to `value`, and stays until it is killed.
  pid_t worker(double value) {
    const pid_t child = forked([&, value]() -> int {
      Options options;
      options.path = path_;
      const Registry registry = Registry::open(options);
      registry.counter("hits_total", "Hits", {"l"}).with("v").inc();
      registry.gauge("latest", "Latest", {}, GaugeMode::mostrecent).set(value);
      registry.gauge("latest_alive", "Latest", {}, GaugeMode::livemostrecent).set(value);
      registry.gauge("active", "Active").set(1);
      done_.pass();
      for (;;) pause();
    });
    hired_.push_back(child);
    done_.receive();
    return child;
  }

  TemporaryFolder folder_;
  std::string path_ = folder_.file("a.seg");
  std::string clock_ = folder_.file("clock");
  std::atomic<std::int64_t>* step_ = nullptr;
  const Baton done_;
  std::vector<pid_t> hired_;
};

TEST_F(ClockTest, IsFakedForTheLibraryAndTheExporter) {
  const std::time_t before = std::time(nullptr);
  *step_ = kDay;
  EXPECT_NEAR(static_cast<double>(std::time(nullptr) - before), kDay, 60);
  EXPECT_NEAR(std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(),
              static_cast<double>(before + kDay), 60)
      << "what the library reads";
  kill_and_wait(worker(1));
  const RunningExporter exporter(exporter_setup());
  EXPECT_NEAR(exporter.values()["shmetrics_segment_created_timestamp_seconds"], static_cast<double>(before + kDay), 60);
}

TEST_F(ClockTest, StepsOfADayMakeNobodyDeadOrAliveAndTheLatestIsTheLatest) {
  const pid_t first = worker(1);
  const RunningExporter exporter(exporter_setup());
  const double created = exporter.values()["shmetrics_segment_created_timestamp_seconds"];
  const double series_created = hits_created();
  EXPECT_NEAR(series_created, static_cast<double>(std::time(nullptr)), 60);
  std::vector<pid_t> workers = {first};
  double value = 1;
  for (const std::int64_t step : {kDay, -kDay, std::int64_t{0}, -kDay, kDay}) {
    *step_ = step;
    workers.push_back(worker(++value));
    auto values = exporter.values();
    EXPECT_EQ(values["shmetrics_segment_up"], 1);
    EXPECT_EQ(values["active"], value) << "all that live, and nobody else, at " << step;
    EXPECT_EQ(values["latest"], value) << "at " << step;
    EXPECT_EQ(values["latest_alive"], value);
    EXPECT_EQ(values["hits_total{l=\"v\"}"], value);
    EXPECT_EQ(values["shmetrics_segment_created_timestamp_seconds"], created) << "a constant of the segment";
    EXPECT_EQ(hits_created(), series_created) << "adoption makes nothing new";
    EXPECT_GE(values["shmetrics_scrape_duration_seconds"], 0);
    EXPECT_LT(values["shmetrics_scrape_duration_seconds"], 60) << "no wall clock in it";
  }
  kill_and_wait(workers.back());
  EXPECT_EQ(exporter.values()["latest"], value) << "of the dead too";
  EXPECT_EQ(exporter.values()["latest_alive"], value - 1);
  workers.pop_back();
  for (const pid_t child : workers) kill_and_wait(child);
  EXPECT_EQ(exporter.values()["active"], 0);
  kill_and_wait(worker(9));
  EXPECT_EQ(exporter.values()["shmetrics_workers{state=\"unused\"}"], 250) << "it adopted an entry of another day";
}

TEST_F(ClockTest, AClockThatJumpsAllTheTimeCostsNoRegistrationAndNoScrape) {
  constexpr int kWorkers = 3;
  constexpr int kSets = 200;
  std::jthread jumping([&](const std::stop_token& stop) {
    for (int i = 0; !stop.stop_requested(); ++i) {
      *step_ = i % 2 == 0 ? kDay : -kDay;
      usleep(300);
    }
  });
  const RunningExporter exporter(exporter_setup());
  std::vector<pid_t> workers;
  for (int w = 0; w < kWorkers; ++w) {
    workers.push_back(forked([&, w] {
      alarm(60);  // a wait until tomorrow would end here
      Options options;
      options.path = path_;
      const Registry registry = Registry::open(options);
      const auto sets = registry.counter("sets_total", "Sets", {"worker", "n"});
      for (int n = 0; n < kSets; ++n) {
        sets.with(std::to_string(w), std::to_string(n)).inc();
        usleep(200);
      }
      return 0;
    }));
  }
  for (int i = 0; i < 20; ++i) {
    EXPECT_NO_THROW(static_cast<void>(exporter.text()));
    usleep(5000);
  }
  for (const pid_t child : workers) EXPECT_EQ(wait_for(child), 0);
  jumping.request_stop();
  jumping.join();
  double total = 0;
  for (const auto& [series, value] : exporter.values()) total += series.starts_with("sets_total") ? value : 0;
  EXPECT_EQ(total, kWorkers * kSets);
  EXPECT_EQ(exporter.values()["shmetrics_segment_up"], 1);
}

}  // namespace
}  // namespace shmetrics::tests
