// Sixteen workers with a hundred series each, some of them killed with -9 and replaced, under scrapes: in each series
// nothing is lost or doubled, and nothing goes down. Kills at full speed are respawn.hpp's.
#include <gtest/gtest.h>
#include <sched.h>
#include <shmetrics/shmetrics.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <vector>

#include "tests/forked.hpp"
#include "tests/scrape.hpp"
#include "tests/shared_memory.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics {
namespace {

constexpr int kWorkers = 16;
constexpr int kSeries = 100;
constexpr int kScrapes = 200;
constexpr std::uint64_t kIncrements = 1'000'000;  // a worker
constexpr std::uint64_t kObservations = 100'000;  // a worker

/// What outlives a killed worker: how far it has come for sure. Written after each update, so acknowledged is never
/// ahead.
struct Acknowledged {
  std::atomic<std::uint64_t> increments[kWorkers];
  std::atomic<std::uint64_t> observations[kWorkers];
  std::atomic<std::uint64_t> scrapes;  // the workers' pace
};

std::string series(const char* name, int i, const char* rest = "") {
  return std::string(name) + "{set=\"" + std::to_string(i) + "\"" + rest + "}";
}

/// Every second histogram; as a classic one it has the bounds of the others.
bool is_native(int i) {
  return i % 2 == 1;
}
std::string observed(const char* suffix, int i, const char* rest = "") {
  return series((std::string(is_native(i) ? "native_seconds" : "duration_seconds") + suffix).c_str(), i, rest);
}

/// How many of the first n updates of a worker went to series i: they take the series in turn.
double share_of(int i, std::uint64_t n) {
  return static_cast<double>(n / kSeries + (n % kSeries > static_cast<std::uint64_t>(i) ? 1 : 0));
}

class TortureTest : public ::testing::Test {
 protected:
  TortureTest() {
    Options options;
    options.path = path_;
    const Registry registry = Registry::open(options);
    const auto hits = registry.counter("hits_total", "Increments", {"set"});
    const auto duration = registry.histogram("duration_seconds", "Observations, all of 1.0", {"set"}, {0.5, 1.0, 2.0});
    const auto native = registry.native_histogram("native_seconds", "Observations, all of 1.0", {"set"},
                                                  {.low = 0.5, .high = 2, .factor = 1.1});
    for (int i = 0; i < kSeries; ++i) {
      hits_[i] = hits.with(std::to_string(i));
      duration_[i] = (is_native(i) ? native : duration).with(std::to_string(i));
    }
  }

  /// Ten increments, one observation, each acknowledged when it is done.
  void step(int worker, std::uint64_t& n, std::uint64_t& m) {
    for (int i = 0; i < 10; ++i) {
      hits_[n % kSeries].inc();
      acknowledged_.increments[worker].store(++n, std::memory_order_release);
    }
    duration_[m % kSeries].observe(1.0);
    acknowledged_.observations[worker].store(++m, std::memory_order_release);
  }

  /// A worker that goes on where its predecessor was killed. It never runs ahead of the scrapes, and ends by itself.
  pid_t start(int worker) {
    return tests::forked([&, worker] {
      std::uint64_t n = acknowledged_.increments[worker];
      std::uint64_t m = acknowledged_.observations[worker];
      while (m < kObservations) {
        const std::uint64_t until = std::min(kObservations * (acknowledged_.scrapes + 1) / kScrapes, kObservations);
        while (m < until) step(worker, n, m);
        sched_yield();
      }
      return 0;
    });
  }

  void check_histograms(const tests::Scrape& scrape) {
    for (int i = 0; i < kSeries; ++i) {
      const double count = scrape[observed("_count", i)];
      ASSERT_EQ(scrape[observed("_sum", i)], count);
      ASSERT_EQ(scrape[observed("_bucket", i, ",le=\"0.5\"")], 0);
      ASSERT_EQ(scrape[observed("_bucket", i, ",le=\"1\"")], count);
      ASSERT_EQ(scrape[observed("_bucket", i, ",le=\"+Inf\"")], count);
    }
  }

  void check_nothing_went_down(const tests::Scrape& scrape) {
    for (const auto& [name, value] : scrape.values) {
      ASSERT_GE(value, highest_[name]) << name;
      highest_[name] = value;
    }
  }

  void scrape_and_check(collector::Scraper& scraper) {
    const tests::Scrape scrape = tests::scrape(scraper);
    ASSERT_TRUE(scrape.status.up) << scrape.status.problem;
    ASSERT_NO_FATAL_FAILURE(check_histograms(scrape));
    ASSERT_NO_FATAL_FAILURE(check_nothing_went_down(scrape));
    acknowledged_.scrapes += 1;
  }

  /// acknowledged <= exposed <= acknowledged + kills, in all and for every series.
  void check_bounds(collector::Scraper& scraper, int kills) {
    const tests::Scrape scrape = tests::scrape(scraper);
    check_histograms(scrape);
    check_nothing_went_down(scrape);
    double acknowledged[2] = {};
    double exposed[2] = {};
    for (int i = 0; i < kSeries; ++i) {
      double done[2] = {};
      for (int worker = 0; worker < kWorkers; ++worker) {
        done[0] += share_of(i, acknowledged_.increments[worker]);
        done[1] += share_of(i, acknowledged_.observations[worker]);
      }
      const double shown[2] = {scrape[series("hits_total", i)], scrape[observed("_count", i)]};
      for (const int kind : {0, 1}) {
        EXPECT_GE(shown[kind], done[kind]) << "series " << i;
        EXPECT_LE(shown[kind], done[kind] + kills) << "series " << i;
        acknowledged[kind] += done[kind];
        exposed[kind] += shown[kind];
      }
    }
    for (const int kind : {0, 1}) EXPECT_LE(exposed[kind], acknowledged[kind] + kills);
    EXPECT_EQ(scrape.status.quarantined_series + scrape.status.quarantined_slots, 0u);
    std::printf("kills %d, increments %.0f + %.0f, observations %.0f + %.0f, scrapes %llu, torn reads %llu\n", kills,
                acknowledged[0], exposed[0] - acknowledged[0], acknowledged[1], exposed[1] - acknowledged[1],
                static_cast<unsigned long long>(acknowledged_.scrapes.load()),
                static_cast<unsigned long long>(scrape.status.torn_reads));
  }

  tests::TemporaryFolder folder_;
  std::string path_ = folder_.file("a.seg");
  std::array<Counter, kSeries> hits_;
  std::array<Histogram, kSeries> duration_;
  Acknowledged& acknowledged_ = tests::shared<Acknowledged>();
  std::map<std::string, double> highest_;
};

TEST_F(TortureTest, AMillionIncrementsAWorkerAreExposedAndNothingElse) {
  constexpr int kKills = kWorkers / 2;
  std::vector<pid_t> workers;
  for (int worker = 0; worker < kWorkers; ++worker) workers.push_back(start(worker));
  collector::Scraper scraper(path_);
  int kills = 0;
  while (acknowledged_.scrapes < kScrapes) {
    ASSERT_NO_FATAL_FAILURE(scrape_and_check(scraper));
    if (acknowledged_.scrapes % (kScrapes / (kKills + 1)) != 0 || kills == kKills) continue;
    const int victim = 2 * kills++;
    ASSERT_EQ(tests::kill_and_wait(workers[victim]), -SIGKILL) << "it waits for the next scrape, it cannot be done";
    workers[victim] = start(victim);
  }
  for (const pid_t worker : workers) EXPECT_EQ(tests::wait_for(worker), 0);
  for (int worker = 0; worker < kWorkers; ++worker) {
    EXPECT_EQ(acknowledged_.observations[worker], kObservations);
    EXPECT_GE(acknowledged_.increments[worker], kIncrements)
        << "a kill between the two numbers leaves some to be done again";
  }
  check_bounds(scraper, kills);
}

}  // namespace
}  // namespace shmetrics
