// Threads on one mapping, for the thread sanitizer: writers that register, count and observe while a reader merges.
#include <gtest/gtest.h>
#include <shmetrics/shmetrics.hpp>

#include <thread>
#include <vector>

#include "tests/scrape.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics {
namespace {

constexpr int kThreads = 8;
constexpr int kTimes = 5000;

TEST(Threads, RegisterCountAndObserveTogether) {
  const tests::TemporaryFolder folder;
  Options options;
  options.path = folder.file("a.seg");
  const Registry registry = Registry::open(options);
  const auto hits = registry.counter("a_total", "A", {"n"});
  const auto duration = registry.histogram("d_seconds", "D", {"n"}, {0.5, 2});
  const Gauge active = registry.gauge("active", "A");
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kTimes; ++i) {
        const InFlight guard(active);
        hits.with(std::to_string((i + t) % 300)).inc();
        duration.with(std::to_string(i % 7)).observe(1.0);
      }
    });
  }
  collector::Scraper scraper(options.path);
  for (int i = 0; i < 20; ++i) {
    const tests::Scrape scrape = tests::scrape(scraper);
    for (int n = 0; n < 7; ++n) {
      const std::string labels = "{n=\"" + std::to_string(n) + "\"}";
      if (scrape.has("d_seconds_sum" + labels)) {
        EXPECT_EQ(scrape["d_seconds_sum" + labels], scrape["d_seconds_count" + labels]);
      }
    }
  }
  for (std::thread& thread : threads) thread.join();

  const tests::Scrape scrape = tests::scrape(scraper);
  double hits_total = 0;
  double observations = 0;
  for (const auto& [series, value] : scrape.values) {
    if (series.starts_with("a_total{")) hits_total += value;
    if (series.starts_with("d_seconds_count{")) observations += value;
  }
  EXPECT_EQ(hits_total, kThreads * kTimes);
  EXPECT_EQ(observations, kThreads * kTimes);
  EXPECT_EQ(scrape["active"], 0);
}

}  // namespace
}  // namespace shmetrics
