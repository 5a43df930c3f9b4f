// The master of a prefork server: starts processes, each for a piece of work, and puts new ones in the places of those
// that die.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace mastercrm {

class Processes {
 public:
  /// Returns when one of the signals (blocked in it) is pending; by exit then, so that the worker counts as released.
  using Work = std::function<void(const sigset_t& stop)>;

  /// Blocks SIGTERM, SIGINT and SIGCHLD: before the first fork, so that none is missed; workers inherit it.
  Processes();
  /// `name` is what ps and top show of it, of at most 15 characters.
  void add(std::string name, Work work) { places_.push_back({std::move(name), std::move(work)}); }
  /// Until SIGTERM or SIGINT.
  void run();

 private:
  using Clock = std::chrono::steady_clock;
  struct Place {
    std::string name;
    Work work;
    pid_t pid = 0;
    Clock::time_point next_start{};
  };
  void start(Place& place);
  bool reap();  // true while somebody is alive
  void signal_all(int signal);

  sigset_t signals_;
  std::vector<Place> places_;
};

}  // namespace mastercrm
