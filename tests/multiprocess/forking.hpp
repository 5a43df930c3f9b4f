// What the tests of forking share: a segment with a family of each kind, and processes that open it or inherit it.
#pragma once

#include <gtest/gtest.h>
#include <shmetrics/shmetrics.hpp>

#include <atomic>
#include <string>

#include "tests/forked.hpp"
#include "tests/scrape.hpp"
#include "tests/shared_memory.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics::tests {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr int kForks = 40;
#else
inline constexpr int kForks = 300;
#endif

class Forking : public ::testing::Test {
 protected:
  struct Shared {
    std::atomic<int> phase;
    std::atomic<pid_t> pid;
  };

  ~Forking() override {
    if (shared_.pid > 0) kill(shared_.pid, SIGKILL);
  }

  void open() {
    Options options;
    options.path = path_;
    registry_ = Registry::open(options);
    hits_ = registry_.counter("hits_total", "Hits");
    ways_ = registry_.counter("ways_total", "Hits by way", {"way"});
    duration_ = registry_.histogram("duration_seconds", "Durations", {}, {0.5, 2});
    active_ = registry_.gauge("active", "Active");
  }
  Scrape scrape() const { return tests::scrape(path_); }
  /// Waits for a process that may not be our child, 20 s at most.
  bool reaches(int phase) const {
    for (int i = 0; i < 4000 && shared_.phase < phase; ++i) usleep(5000);
    return shared_.phase >= phase;
  }
  bool nobody_lives() const {
    for (int i = 0; i < 400 && scrape().status.workers_live != 0; ++i) usleep(5000);
    return scrape().status.workers_live == 0;
  }
  /// Runs `body` in a process that opens the segment itself. It forks from one that has not, unless the test opened it.
  template <typename Body>
  pid_t worker(Body body) {
    return forked([&, body] {
      open();
      return body();
    });
  }

  TemporaryFolder folder_;
  std::string path_ = folder_.file("a.seg");
  Registry registry_;
  Family<Counter, 0> hits_;
  Family<Counter, 1> ways_;
  Family<Histogram, 0> duration_;
  Family<Gauge, 0> active_;
  Shared& shared_ = shared<Shared>();
};

}  // namespace shmetrics::tests
