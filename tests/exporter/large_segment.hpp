// A segment whose text is larger than what the kernel keeps of a response for a peer that does not read.
#pragma once

#include <shmetrics/shmetrics.hpp>
#include <stdexcept>
#include <string>

#include "tests/forked.hpp"

namespace shmetrics::tests {

class LargeSegment {
 public:
  static constexpr int kSeries = 4'000;
  static constexpr std::size_t kBytesPerSeries = 1000;

  /// Written by a process of its own, so that this one is no worker.
  explicit LargeSegment(const std::string& path) {
    if (wait_for(forked([&] { return write(path) ? 0 : 1; })) != 0) throw std::runtime_error("cannot make " + path);
  }

 private:
  static bool write(const std::string& path) {
    shmetrics::Options options;
    options.path = path;
    options.series_per_family = 2 * kSeries;
    auto registry = shmetrics::Registry::open(options);
    auto family = registry.counter("crm_large_total", "Large", {"label"});
    for (int i = 0; i < kSeries; ++i) {
      family.with(std::to_string(i) + std::string(kBytesPerSeries - 10, 'x')).inc();
    }
    return !family.error();
  }
};

}  // namespace shmetrics::tests
