// What every program of bench/peers does, in C++: label sets, durations, and the least time of many rounds.
//
// The same numbers stand in client_python.py, client_mmap.rb and prom_client.js; results are lines of `name value`.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

namespace shmetrics::bench {

inline constexpr int kLookedUp = 1000;   // series of an update by look-up
inline constexpr int kScraped = 10'000;  // series of a scrape
inline constexpr int kProcesses = 8;     // whose values are merged, where there is a merge
inline constexpr int kDeadWorkers = 1000;
inline constexpr int kDeadSeries = 100;
inline const std::vector<double> kBounds = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};

struct LabelSet {
  std::string method, route, status;
};
inline std::vector<LabelSet> label_sets(int count) {
  constexpr const char* kMethods[] = {"GET", "POST", "PUT", "DELETE"};
  constexpr const char* kStatuses[] = {"200", "201", "404", "500", "503"};
  std::vector<LabelSet> sets;
  for (int i = 0; i < count; ++i) {
    sets.push_back({kMethods[i % 4], "/api/v1/resource/" + std::to_string(i / 20), kStatuses[i / 4 % 5]});
  }
  return sets;
}

// 1 ms to 63 s, evenly on a log scale, in an order that no branch predictor learns.
inline std::vector<double> durations() {
  std::vector<double> values(1024);
  for (std::size_t k = 0; k < values.size(); ++k)
    values[k] = 0.001 * std::pow(10, 4.8 * static_cast<double>(k * 397 % 1024) / 1024);
  return values;
}

inline double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// The least seconds of `rounds` runs: what disturbs a run only ever adds.
template <typename Run>
double least_seconds(int rounds, Run run) {
  double least = std::numeric_limits<double>::infinity();
  for (int round = 0; round < rounds; ++round) {
    const double begin = seconds();
    run();
    least = std::min(least, seconds() - begin);
  }
  return least;
}

inline void say(const char* name, double value) {
  std::printf("%s %.6g\n", name, value);
  std::fflush(stdout);
}
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "wrong result: %s\n", what);
  std::exit(1);
}

/// The sum of the values of all lines that begin with `series`.
inline double sum_of(const std::string& text, const std::string& series) {
  double sum = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    if (text.compare(at, series.size(), series) == 0) {
      sum += std::strtod(text.c_str() + text.rfind(' ', end) + 1, nullptr);
    }
    at = end + 1;
  }
  return sum;
}

// Keeps a loop's updates apart, as a server's other work would.
inline void between_updates() {
  asm volatile("" ::: "memory");
}

}  // namespace shmetrics::bench
