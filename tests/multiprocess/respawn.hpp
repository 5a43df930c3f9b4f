// Workers that count and observe in every kind at full speed, killed at random and replaced at once, under scrapes at
// 20 Hz. Its bounded form is respawn_test.cpp, its long one respawn_long_test.cpp.
#pragma once

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <shmetrics/shmetrics.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/forked.hpp"
#include "tests/scrape.hpp"
#include "tests/shared_memory.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics::tests {

class Respawn : public ::testing::Test {
 protected:
  static constexpr int kWorkers = 12;
  static constexpr double kCost = 0.25;
  static constexpr double kSize = 2;
  // One a bucket, and binary fractions: their sums are exact, so every observation can be told from the sum.
  static constexpr std::array<double, 4> kDurations = {0.25, 1, 2, 4};
  static constexpr std::array<const char*, 2> kHistograms = {"duration_seconds", "native_seconds"};
  enum Kind { kHits, kCosts, kSizes, kFirstBucket, kFirstNative = kFirstBucket + 4, kKinds = kFirstNative + 4 };
  using Counts = std::array<double, kKinds>;
  struct Shared {
    std::atomic<std::uint64_t> done[kWorkers][kKinds];  // stored after each update, hence never ahead
    std::atomic<bool> stop;
  };

  Respawn() {
    Options options;
    options.path = path_;
    const Registry registry = Registry::open(options);
    hits_ = registry.counter("hits_total", "Counts");
    cost_ = registry.float_counter("cost_total", "Float counts");
    sizes_ = registry.summary("size_bytes", "In a summary");
    duration_ = registry.histogram("duration_seconds", "In a histogram", {}, {0.5, 1, 2});
    native_ = registry.native_histogram("native_seconds", "In a native histogram, with exemplars", {},
                                        {.low = 0.5, .high = 2, .factor = 1.1}, {.exemplars = true});
  }

  ~Respawn() override { shared_.stop = true; }  // also after a failure: nobody is left running

  pid_t start(int worker) {
    return forked([&, worker] {
      setpriority(PRIO_PROCESS, 0, 0);
      const auto acknowledge = [&](int kind) { shared_.done[worker][kind].fetch_add(1, std::memory_order_release); };
      while (!shared_.stop.load(std::memory_order_relaxed)) {
        for (std::size_t i = 0; i < kDurations.size(); ++i) {
          hits_.inc();
          acknowledge(kHits);
          cost_.inc(kCost);
          acknowledge(kCosts);
          sizes_.observe(kSize);
          acknowledge(kSizes);
          duration_.observe(kDurations[i]);
          acknowledge(kFirstBucket + static_cast<int>(i));
          native_.observe(kDurations[i], {"trace", "span"});
          acknowledge(kFirstNative + static_cast<int>(i));
        }
      }
      return 0;
    });
  }

  Counts acknowledged() const {
    Counts sums{};
    for (const auto& worker : shared_.done) {
      for (int kind = 0; kind < kKinds; ++kind) sums[kind] += static_cast<double>(worker[kind].load());
    }
    return sums;
  }

  static Counts exposed(const Scrape& scrape) {
    Counts counts{scrape["hits_total"], scrape["cost_total"] / kCost, scrape["size_bytes_count"]};
    int kind = kFirstBucket;
    for (const std::string name : kHistograms) {
      double below = 0;
      for (const char* bound : {"0.5", "1", "2", "+Inf"}) {
        const double cumulative = scrape[name + "_bucket{le=\"" + bound + "\"}"];
        counts[kind++] = cumulative - below;
        below = cumulative;
      }
      EXPECT_EQ(scrape[name + "_count"], below);
    }
    return counts;
  }

  /// Sums tell the same as counts; a read that was torn, and said so, may have one observation in the sum alone.
  void check_sums(const Scrape& scrape, const Counts& counts) {
    const auto torn = static_cast<double>(scrape.status.torn_reads - torn_reads_);
    torn_reads_ = scrape.status.torn_reads;
    std::size_t kind = kFirstBucket;
    for (const std::string name : kHistograms) {
      double sum = 0;
      for (const double duration : kDurations) sum += duration * counts[kind++];
      EXPECT_GE(scrape[name + "_sum"], sum);
      EXPECT_LE(scrape[name + "_sum"], sum + torn * kDurations.back());
    }
    EXPECT_GE(scrape["size_bytes_sum"], counts[kSizes] * kSize);
    EXPECT_LE(scrape["size_bytes_sum"], (counts[kSizes] + torn) * kSize);
  }

  /// One scrape against what was acknowledged before and after it; `in_flight`: updates that living workers may be in.
  void check(int in_flight) {
    const Counts before = acknowledged();
    const Scrape scrape = tests::scrape(scraper_);
    const Counts after = acknowledged();
    ASSERT_TRUE(scrape.status.up) << scrape.status.problem;
    for (const auto& [name, value] : scrape.values) {
      ASSERT_GE(value, highest_[name]) << name << " went down after " << kills_ << " kills";
      highest_[name] = value;
    }
    const Counts counts = exposed(scrape);
    check_sums(scrape, counts);
    for (int kind = 0; kind < kKinds; ++kind) {
      ASSERT_GE(counts[kind], before[kind]) << "kind " << kind << " lost something after " << kills_ << " kills";
      ASSERT_LE(counts[kind], after[kind] + kills_ + in_flight) << "kind " << kind << " counted something twice";
    }
    ++scrapes_;
    if (in_flight > 0) return;
    double surplus = 0;
    for (int kind = 0; kind < kKinds; ++kind) surplus += counts[kind] - after[kind];
    EXPECT_LE(surplus, kills_) << "a kill leaves one update in flight, not one of each kind";
    std::printf("%d kills, %d scrapes, %.0f updates, %.0f in flight when killed, %.0f torn reads\n", kills_, scrapes_,
                after[kHits] * 5, surplus, static_cast<double>(torn_reads_));
  }

  void endure(std::chrono::milliseconds duration) {
    using Clock = std::chrono::steady_clock;
    constexpr auto kBetweenScrapes = std::chrono::milliseconds(50);
    constexpr std::size_t kMostDying = 32;
    setpriority(PRIO_PROCESS, 0, -10);  // if it may: or twelve loops leave the killer little time
    std::deque<pid_t> dying;
    std::vector<pid_t> workers;
    for (int worker = 0; worker < kWorkers; ++worker) workers.push_back(start(worker));
    const auto end = Clock::now() + duration;
    for (auto next_scrape = Clock::now(); Clock::now() < end;) {
      const int victim = static_cast<int>(random_() % kWorkers);
      std::this_thread::sleep_for(std::chrono::microseconds(random_() % 4000));
      kill(workers[victim], SIGKILL);
      ++kills_;
      dying.push_back(workers[victim]);
      workers[victim] = start(victim);  // while the old one may be counting still
      if (dying.size() > kMostDying) {
        ASSERT_EQ(wait_for(dying.front()), -SIGKILL);
        dying.pop_front();
      }
      if (Clock::now() < next_scrape) continue;
      next_scrape += kBetweenScrapes;
      ASSERT_NO_FATAL_FAILURE(check(kWorkers));
    }
    shared_.stop = true;
    for (const pid_t worker : dying) EXPECT_EQ(wait_for(worker), -SIGKILL);
    for (const pid_t worker : workers) EXPECT_EQ(wait_for(worker), 0);
    check(0);
  }

  TemporaryFolder folder_;
  std::string path_ = folder_.file("a.seg");
  Counter hits_;
  FloatCounter cost_;
  Summary sizes_;
  Histogram duration_, native_;
  Shared& shared_ = shared<Shared>();
  collector::Scraper scraper_{path_};
  std::map<std::string, double> highest_;
  std::uint64_t torn_reads_ = 0;
  int kills_ = 0;
  int scrapes_ = 0;
  std::mt19937 random_{11};
};

}  // namespace shmetrics::tests
