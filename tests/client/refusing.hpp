// What tests of refused declarations share: what the segment says of refusals and losses.
#pragma once

#include <gtest/gtest.h>
#include <shmetrics/shmetrics.hpp>

#include <chrono>
#include <string>
#include <string_view>
#include <thread>

#include "tests/live_worker.hpp"
#include "tests/scrape.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics::tests {

/// Asks every 10 ms until it is so, for at most 2 s: what heals is tried again once a second.
template <typename Condition>
bool comes_within_two_seconds(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

class RefusingSegment {
 public:
  explicit RefusingSegment(const std::string& path) {
    options.path = path;
    options.quiet = true;
  }
  Registry open() const { return Registry::open(options); }
  Scrape scrape() const { return tests::scrape(options.path); }
  std::uint64_t refused(std::string_view reason) const {
    return count_of(scrape().status.declarations_refused, reason);
  }
  std::uint64_t dropped(std::string_view reason) const { return count_of(scrape().status.updates_dropped, reason); }

  Options options;
};

}  // namespace shmetrics::tests
