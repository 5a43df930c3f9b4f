// A worker in a process of its own, so that the test's process is none.
#pragma once

#include <shmetrics/shmetrics.hpp>

#include "tests/forked.hpp"

namespace shmetrics::tests {

/// It opens the segment, does `count(registry)`, and lives until end().
class LiveWorker {
 public:
  template <typename Count>
  LiveWorker(const Options& options, Count count) : pid_(forked_to_stay([&] { count(Registry::open(options)); })) {}
  ~LiveWorker() { end(); }
  LiveWorker(const LiveWorker&) = delete;
  LiveWorker& operator=(const LiveWorker&) = delete;

  void end() {
    if (pid_ > 0) kill_and_wait(pid_);
    pid_ = -1;
  }

 private:
  pid_t pid_;
};

}  // namespace shmetrics::tests
