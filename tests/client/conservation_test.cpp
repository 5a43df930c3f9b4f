// Each update is in a series or counted as dropped, whatever a program declares and however little room there is:
// random programs over segments that are too small for them.
#include <gtest/gtest.h>
#include <shmetrics/shmetrics.hpp>

#include <array>
#include <atomic>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "tests/forked.hpp"
#include "tests/scrape.hpp"
#include "tests/shared_memory.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics {
namespace {

/// Declares at random, mostly as the name wants it, and updates with label sets that are mostly fine.
class RandomProgram {
 public:
  RandomProgram(unsigned seed, const std::string& path) : seed_(seed), random_(seed) {
    Options options{.path = path, .quiet = true};
    options.workers = 1 + below(2);
    options.slots = 1 + below(2);
    options.cells = 2048 * (1 + below(2));
    options.directory_bytes = 4096 * (1 + below(20));
    options.series_per_family = 1 + below(50);
    registry_ = Registry::open(options);
    for (int i = 0; i < 30; ++i) declare();
  }

  void declare() {
    constexpr std::array<std::string_view, 3> kLabels{"x", "y", "z"};
    constexpr const char* kNames[] = {"a_total", "b_total", "c_total", "without_suffix", "d_seconds", "e_seconds"};
    const auto name = below(std::size(kNames));
    const bool is_odd = below(12) == 0;
    const std::span labels = std::span(kLabels).first(is_odd ? below(4) : name % 4);
    const FamilyOptions options{.exemplars = seed_ % 2 == 0};
    labels_.push_back(labels.size());
    if (is_odd ? below(2) == 0 : name < 4) {
      counters_.push_back(registry_.counter(kNames[name], "C", RuntimeLabels(labels), options));
      histograms_.emplace_back();
    } else if (name % 2 == 0) {
      const NativeBuckets wide{.low = 1e-6, .high = 1e3, .factor = 1.05};
      histograms_.push_back(registry_.native_histogram(kNames[name], "H", RuntimeLabels(labels), wide, options));
      counters_.emplace_back();
    } else {
      histograms_.push_back(registry_.histogram(kNames[name], "H", RuntimeLabels(labels), {1, 2}, options));
      counters_.emplace_back();
    }
  }
  /// How many updates that were.
  std::uint64_t update(unsigned seed, int times) const {
    std::mt19937 random(seed);
    for (int i = 0; i < times; ++i) {
      const std::size_t family = random() % labels_.size();
      const std::size_t count = random() % 20 == 0 ? random() % 4 : labels_[family];
      std::vector<std::string> texts(count);
      for (std::string& text : texts) text = value(random);
      const std::vector<std::string_view> values(texts.begin(), texts.end());
      if (is_counter(family)) {
        counters_[family].with(std::span(values)).inc(1, Exemplar{.trace_id = "t"});
      } else {
        histograms_[family].with(std::span(values)).observe(0.5, Exemplar{.trace_id = "t"});
      }
    }
    return static_cast<std::uint64_t>(times);
  }

 private:
  std::uint32_t below(std::size_t end) { return static_cast<std::uint32_t>(random_() % end); }
  bool is_counter(std::size_t family) const { return counters_[family] || counters_[family].error(); }
  static std::string value(std::mt19937& random) {
    const auto kind = random() % 20;
    if (kind == 0) return "__overflow__";
    if (kind == 1) return "\xff";
    return kind == 2 ? std::string(random() % 1100, 'x') : std::to_string(random() % 60);
  }

  unsigned seed_;
  std::mt19937 random_;
  Registry registry_;
  std::vector<std::size_t> labels_;
  std::vector<Family<Counter, kRuntimeLabels>> counters_;
  std::vector<Family<Histogram, kRuntimeLabels>> histograms_;
};

TEST(Conservation, EachUpdateIsInASeriesOrCountedAsDropped) {
  double in_series = 0, dropped_in_all = 0;
  for (unsigned seed = 1; seed <= 30; ++seed) {
    const tests::TemporaryFolder folder;
    const std::string path = folder.file("a.seg");
    auto& done = tests::shared<std::atomic<std::uint64_t>>();
    EXPECT_EQ(tests::wait_for(tests::forked([&] {
                RandomProgram program(seed, path);
                done += program.update(seed, 500);
                std::vector<std::thread> threads;
                for (unsigned t = 0; t < 3; ++t)
                  threads.emplace_back([&, t] { done += program.update(seed + t, 500); });
                for (std::thread& thread : threads) thread.join();
                program.declare();
                return tests::wait_for(tests::forked([&] {
                  done += program.update(seed, 500);
                  return 0;
                }));
              })),
              0);
    const tests::Scrape result = tests::scrape(path);
    double shown = 0, dropped = 0;
    for (const auto& [name, value] : result.values) {
      shown += name.find("_total") != name.npos || name.find("_count") != name.npos ? value : 0;
    }
    for (const auto& each : result.status.updates_dropped) dropped += static_cast<double>(each.count);
    EXPECT_EQ(shown + dropped, static_cast<double>(done)) << "seed " << seed;
    in_series += shown;
    dropped_in_all += dropped;
  }
  EXPECT_GT(in_series, 10'000) << "or it would prove nothing";
  EXPECT_GT(dropped_in_all, 10'000);
}

}  // namespace
}  // namespace shmetrics
