// What does a scrape (read, merge, render; no HTTP) cost, beside its floor in the same run?
//
//   floor/P/N     sum P arrays of N words, write N kept prefixes and the digits of the sums
//   counters/P/N  N counters of three labels in the slots of P processes
//   histograms/P/N   N histograms of 12 finite buckets, likewise
//
// Run: build/release/bin/scrape_bench
#include <benchmark/benchmark.h>
#include <sys/mman.h>
#include <shmetrics/shmetrics.hpp>

#include <charconv>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/forked.hpp"
#include "tests/scrape.hpp"
#include "tests/temporary_folder.hpp"

namespace {

using shmetrics::Registry;

std::vector<std::string> labels_of(int i) {
  constexpr const char* kMethods[] = {"GET", "POST", "PUT", "DELETE"};
  constexpr const char* kStatuses[] = {"200", "201", "404", "500", "503"};
  return {kMethods[i % 4], "/api/v1/resource/" + std::to_string(i / 20), kStatuses[i / 4 % 5]};
}

/// Processes that have counted `i` in series i and stay alive for as long as this lives.
class Workers {
 public:
  template <typename Count>
  Workers(int processes, Count count) {
    for (int p = 0; p < processes; ++p) {
      children_.push_back(shmetrics::tests::forked([&] {
        count();
        counted_.pass();
        for (;;) pause();
        return 0;
      }));
    }
    counted_.receive(processes);
  }
  ~Workers() {
    for (const pid_t child : children_) shmetrics::tests::kill_and_wait(child);
  }

 private:
  shmetrics::tests::Baton counted_;
  std::vector<pid_t> children_;
};

shmetrics::Options options(const std::string& path, std::uint32_t cells) {
  shmetrics::Options made;
  made.path = path;
  made.cells = cells;
  made.directory_bytes = 64 << 20;
  made.series_per_family = 1'000'000;
  return made;
}

/// A segment with living workers, made once for all runs of a case.
struct Case {
  template <typename Declare>
  Case(int processes, std::uint32_t cells, Declare declare)
      : registry(Registry::open(options(folder.file("bench.seg"), cells))), workers(processes, declare(registry)) {}

  shmetrics::tests::TemporaryFolder folder;
  Registry registry;
  Workers workers;
};

template <typename Declare>
Case& prepared(const benchmark::State& state, std::uint32_t cells, Declare declare) {
  static std::map<std::pair<std::int64_t, std::int64_t>, std::unique_ptr<Case>> cases;
  auto& known = cases[{state.range(0), state.range(1)}];
  if (known == nullptr) known = std::make_unique<Case>(static_cast<int>(state.range(0)), cells, declare);
  return *known;
}

void scrape_all(benchmark::State& state, const Case& prepared, double expected_sum, const char* counted) {
  shmetrics::collector::Scraper scraper(prepared.registry.path());
  std::string text;
  for (auto _ : state) {
    text.clear();
    scraper.scrape(text);
    benchmark::DoNotOptimize(text.data());
  }
  double sum = 0;
  for (const auto& [series, value] : shmetrics::tests::scrape(scraper).values) {
    if (series.starts_with(counted)) sum += value;
  }
  if (sum != expected_sum) state.SkipWithError("the scrape does not show what was counted");
  state.counters["bytes"] = static_cast<double>(text.size());
}

void floor(benchmark::State& state) {
  const auto processes = static_cast<std::size_t>(state.range(0));
  const auto series = static_cast<std::size_t>(state.range(1));
  auto* words = static_cast<std::uint64_t*>(
      mmap(nullptr, processes * series * 8, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  std::vector<std::string> prefixes;
  for (std::size_t i = 0; i < series; ++i) {
    const auto labels = labels_of(static_cast<int>(i));
    prefixes.push_back("http_requests_total{method=\"" + labels[0] + "\",route=\"" + labels[1] + "\",status_code=\"" +
                       labels[2] + "\"} ");
    for (std::size_t p = 0; p < processes; ++p) words[p * series + i] = i;
  }
  std::string text;
  std::vector<std::uint64_t> sums(series);
  for (auto _ : state) {
    text.clear();
    std::fill(sums.begin(), sums.end(), 0);
    for (std::size_t p = 0; p < processes; ++p) {
      for (std::size_t i = 0; i < series; ++i) sums[i] += words[p * series + i];
    }
    char digits[32];
    for (std::size_t i = 0; i < series; ++i) {
      text += prefixes[i];
      text.append(digits, std::to_chars(digits, digits + sizeof digits, sums[i]).ptr);
      text += '\n';
    }
    benchmark::DoNotOptimize(text.data());
  }
  munmap(words, processes * series * 8);
}

void counters(benchmark::State& state) {
  const auto series = static_cast<int>(state.range(1));
  const Case& segment = prepared(state, 1 << 18, [series](const Registry& registry) {
    const auto family = registry.counter("http_requests_total", "Requests", {"method", "route", "status_code"});
    std::vector<shmetrics::Counter> handles;
    for (int i = 0; i < series; ++i) {
      const auto labels = labels_of(i);
      handles.push_back(family.with(labels[0], labels[1], labels[2]));
    }
    return [handles] {
      for (std::size_t i = 0; i < handles.size(); ++i) handles[i].inc(i);
    };
  });
  scrape_all(state, segment, 0.5 * static_cast<double>(state.range(0)) * series * (series - 1.0),
             "http_requests_total");
}

void histograms(benchmark::State& state) {
  const auto series = static_cast<int>(state.range(1));
  const Case& segment = prepared(state, 1 << 16, [series](const Registry& registry) {
    const auto family = registry.histogram("duration_seconds", "Duration", {"method", "route", "status_code"},
                                           {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30});
    std::vector<shmetrics::Histogram> handles;
    for (int i = 0; i < series; ++i) {
      const auto labels = labels_of(i);
      handles.push_back(family.with(labels[0], labels[1], labels[2]));
    }
    return [handles] {
      for (const auto& handle : handles) {
        for (int k = 0; k < 50; ++k) handle.observe(0.004 * k);
      }
    };
  });
  scrape_all(state, segment, 50.0 * static_cast<double>(state.range(0)) * series, "duration_seconds_count");
}

BENCHMARK(floor)
    ->Unit(benchmark::kMillisecond)
    ->Args({8, 1000})
    ->Args({8, 10000})
    ->Args({64, 10000})
    ->Args({8, 100000});
BENCHMARK(counters)
    ->Unit(benchmark::kMillisecond)
    ->Args({8, 1000})
    ->Args({8, 10000})
    ->Args({64, 10000})
    ->Args({8, 100000});
BENCHMARK(histograms)->Unit(benchmark::kMillisecond)->Args({8, 1000});

}  // namespace
