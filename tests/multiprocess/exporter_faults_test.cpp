// What becomes of the exporter is nothing to the workers, and what becomes of the workers stops no scrape.
#include <gtest/gtest.h>
#include <shmetrics/shmetrics.hpp>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>
#include <vector>

#include "tests/forked.hpp"
#include "tests/running_exporter.hpp"
#include "tests/scrape.hpp"
#include "tests/shared_memory.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics::tests {
namespace {

constexpr int kWorkers = 4;
#if defined(__SANITIZE_ADDRESS__)
constexpr int kRestarts = 10;  // its start takes seconds there
#else
constexpr int kRestarts = 100;
#endif

class ExporterFaultsTest : public ::testing::Test {
 protected:
  struct Shared {
    std::atomic<std::uint64_t> done[kWorkers];
    std::atomic<bool> stop;
  };
  ~ExporterFaultsTest() override { shared_.stop = true; }

  /// Counts, observes, registers a label set now and then, and says how far it is after each round.
  void start_workers() {
    for (int worker = 0; worker < kWorkers; ++worker) {
      workers_.push_back(forked([&, worker] {
        Options options;
        options.path = path_;
        const Registry registry = Registry::open(options);
        const Counter hits = registry.counter("hits_total", "Hits");
        const Histogram duration = registry.histogram("duration_seconds", "Durations", {}, {1});
        const auto sets = registry.counter("sets_total", "Registered", {"worker", "n"}, {.series_limit = 100000});
        const Gauge active = registry.gauge("active", "Active");
        active.set(1);
        while (!shared_.stop) {
          for (int i = 0; i < 100; ++i) {
            hits.inc();
            duration.observe(2);
          }
          if (const auto n = shared_.done[worker]++; n % 100 == 0 && n < 20'000) {
            sets.with(std::to_string(worker), std::to_string(n)).inc();
          }
          usleep(100);
        }
        return 0;
      }));
    }
    while (scrape(path_).status.workers_live != kWorkers) usleep(1000);
  }
  void stop_workers() {
    shared_.stop = true;
    for (const pid_t worker : workers_) EXPECT_EQ(wait_for(worker), 0);
  }
  std::uint64_t rounds() const {
    std::uint64_t sum = 0;
    for (const auto& done : shared_.done) sum += done;
    return sum;
  }
  /// Every update of every worker. Some label sets may be in the overflow series: this test or a busy machine stopped a
  /// holder of the lock for longer than an update waits. Not all of them: the exporter holds no lock.
  void expect_all_counted() {
    const Scrape result = scrape(path_);
    const auto updates = static_cast<double>(rounds()) * 100;
    EXPECT_EQ(result["hits_total"], updates);
    EXPECT_EQ(result["duration_seconds_count"], updates);
    EXPECT_EQ(result["duration_seconds_sum"], updates * 2);
    double registered = 0, counted = 0;
    for (const auto& done : shared_.done)
      registered += static_cast<double>(std::min<std::uint64_t>(done + 99, 20'000) / 100);
    for (const auto& [series, value] : result.values) counted += series.starts_with("sets_total{") ? value : 0;
    EXPECT_EQ(counted, registered);
    const char* const overflow = "sets_total{worker=\"__overflow__\",n=\"__overflow__\"}";
    EXPECT_TRUE(!result.has(overflow) || result[overflow] < registered);
  }
  void check(const RunningExporter& exporter) {
    auto values = exporter.values();
    ASSERT_EQ(values["shmetrics_segment_up"], 1);
    ASSERT_EQ(values["active"], kWorkers);
    ASSERT_GE(values["hits_total"], last_hits_);
    last_hits_ = values["hits_total"];
  }

  TemporaryFolder folder_;
  std::string path_ = folder_.file("a.seg");
  Shared& shared_ = shared<Shared>();
  std::vector<pid_t> workers_;
  double last_hits_ = 0;
};

TEST_F(ExporterFaultsTest, KilledAndStartedAgainUnderLoadItServesAtOnceAndWorkersNeverNotice) {
  start_workers();
  for (int i = 0; i < kRestarts; ++i) {
    RunningExporter exporter({.segment = path_});
    ASSERT_NO_FATAL_FAILURE(check(exporter));
    // Mostly in the middle of a scrape.
    auto client = HttpClient::tcp4(exporter.port());
    client.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    usleep(i * 20);
    exporter.child().send_signal(SIGKILL);
    EXPECT_EQ(exporter.child().exit_code(), 128 + SIGKILL);
  }
  stop_workers();
  expect_all_counted();
  std::printf("%d exporters, %llu updates\n", kRestarts, static_cast<unsigned long long>(rounds()) * 200);
}

TEST_F(ExporterFaultsTest, WhileItIsStoppedWorkersCountAndRegisterAndItGoesOnAfterwards) {
  start_workers();
  RunningExporter exporter({.segment = path_});
  ASSERT_NO_FATAL_FAILURE(check(exporter));
  for (int i = 0; i < 5; ++i) {
    auto client = HttpClient::tcp4(exporter.port());
    client.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    usleep(i * 100);
    exporter.child().send_signal(SIGSTOP);
    for (const std::uint64_t before = rounds(); rounds() < before + 200;) usleep(1000);
    exporter.child().send_signal(SIGCONT);
    EXPECT_EQ(client.read_response().status, 200);
  }
  ASSERT_NO_FATAL_FAILURE(check(exporter));
  stop_workers();
  expect_all_counted();
}

TEST_F(ExporterFaultsTest, WithAllWorkersStoppedScrapesAreCompleteAndTheSame) {
  start_workers();
  const RunningExporter exporter({.segment = path_});
  for (int i = 0; i < 20; ++i) {
    usleep(i * 50);
    for (const pid_t worker : workers_) kill(worker, SIGSTOP);
    for (const pid_t worker : workers_) {
      int status = 0;
      ASSERT_EQ(waitpid(worker, &status, WUNTRACED), worker);
      ASSERT_TRUE(WIFSTOPPED(status));
    }
    ASSERT_NO_FATAL_FAILURE(check(exporter));
    auto first = exporter.values();
    auto second = exporter.values();
    for (const char* series : {"hits_total", "duration_seconds_count", "duration_seconds_sum", "active"}) {
      EXPECT_EQ(first[series], second[series]) << series;
    }
    EXPECT_EQ(first["duration_seconds_sum"], 2 * first["duration_seconds_count"]) << "also in the middle of one";
    EXPECT_GE(first["hits_total"], static_cast<double>(rounds()) * 100);
    for (const pid_t worker : workers_) kill(worker, SIGCONT);
  }
  stop_workers();
  expect_all_counted();
}

}  // namespace
}  // namespace shmetrics::tests
