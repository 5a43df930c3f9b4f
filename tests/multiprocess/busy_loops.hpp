// Processes that use up the processor beside a test, as other people's work does.
#pragma once

#include <sys/prctl.h>
#include <sys/resource.h>

#include <vector>

#include "tests/forked.hpp"

namespace shmetrics::tests {

class BusyLoops {
 public:
  explicit BusyLoops(int count) {
    for (int i = 0; i < count; ++i) {
      loops_.push_back(forked([]() -> int {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setpriority(PRIO_PROCESS, 0, 0);
        for (volatile unsigned long n = 0;;) n = n + 1;
      }));
    }
  }
  ~BusyLoops() {
    for (const pid_t loop : loops_) kill_and_wait(loop);
  }
  BusyLoops(const BusyLoops&) = delete;
  BusyLoops& operator=(const BusyLoops&) = delete;

 private:
  std::vector<pid_t> loops_;
};

}  // namespace shmetrics::tests
