// Counters of three labels that eight living processes have counted: the segment of http_bench and memory_bench. And
// what a process has used.
#pragma once

#include <time.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <shmetrics/shmetrics.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "tests/forked.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics::bench {

inline constexpr int kProcesses = 8;

inline double cpu_seconds(pid_t process) {
  clockid_t clock{};
  timespec used{};
  if (clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &used) != 0) std::abort();
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

/// A line of its /proc/PID/status: VmHWM is what it had in memory at most.
inline double memory_mb(pid_t process, std::string_view key = "VmHWM:") {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(key)) return std::atof(line.c_str() + key.size()) / 1024;
  }
  return 0;
}

class CountedSegment {
 public:
  explicit CountedSegment(int series) {
    const std::vector<Counter> counters = register_all(series);
    for (int p = 0; p < kProcesses; ++p) {
      children_.push_back(tests::forked_to_stay([&] {
        for (std::size_t i = 0; i < counters.size(); ++i) counters[i].inc(i);
      }));
    }
  }
  ~CountedSegment() {
    for (const pid_t child : children_) tests::kill_and_wait(child);
  }
  CountedSegment(const CountedSegment&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::vector<Counter> register_all(int series) const {
    Options options;
    options.path = path_;
    options.cells = series < 200'000 ? 1 << 18 : 1 << 21;
    options.directory_bytes = 192 << 20;
    options.series_per_family = static_cast<std::uint32_t>(series);
    const auto registry = Registry::open(options);
    const auto family = registry.counter("http_requests_total", "Requests", {"method", "route", "status_code"});
    constexpr const char* kMethods[] = {"GET", "POST", "PUT", "DELETE"};
    constexpr const char* kStatuses[] = {"200", "201", "404", "500", "503"};
    std::vector<Counter> counters;
    for (int i = 0; i < series; ++i) {
      counters.push_back(
          family.with(kMethods[i % 4], "/api/v1/resource/" + std::to_string(i / 20), kStatuses[i / 4 % 5]));
    }
    return counters;
  }

  tests::TemporaryFolder folder_;
  std::string path_ = folder_.file("bench.seg");
  std::vector<pid_t> children_;
};

}  // namespace shmetrics::bench
