// A worker in a process of its own, so that the test's process is none.
#pragma once

#include <sys/prctl.h>
#include <shmetrics/shmetrics.hpp>

#include "tests/forked.hpp"

namespace shmetrics::tests {

/// It opens the segment, counts, and lives until the object ends.
class LiveWorker {
 public:
  template <typename Count>
  LiveWorker(const Options& options, Count count) {
    const Baton counted;
    pid_ = forked([&] {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      const Registry registry = Registry::open(options);
      count(registry);
      counted.pass();
      pause();
      return 0;
    });
    counted.receive();
  }
  ~LiveWorker() { kill_and_wait(pid_); }
  LiveWorker(const LiveWorker&) = delete;
  LiveWorker& operator=(const LiveWorker&) = delete;

 private:
  pid_t pid_ = -1;
};

}  // namespace shmetrics::tests
