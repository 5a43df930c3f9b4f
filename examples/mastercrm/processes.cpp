#include "examples/mastercrm/processes.hpp"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>

namespace mastercrm {
namespace {

constexpr auto kStopTimeout = std::chrono::seconds(4);
constexpr auto kRestartInterval = std::chrono::seconds(1);  // who dies at once is not started more often than this

}  // namespace

Processes::Processes() {
  sigemptyset(&signals_);
  for (const int signal : {SIGTERM, SIGINT, SIGCHLD}) sigaddset(&signals_, signal);
  sigprocmask(SIG_BLOCK, &signals_, nullptr);
}

void Processes::run() {
  for (bool stopping = false; !stopping;) {
    for (auto& place : places_) {
      if (place.pid == 0 && Clock::now() >= place.next_start) start(place);
    }
    const timespec second{1, 0};
    const int signal = sigtimedwait(&signals_, nullptr, &second);
    stopping = signal == SIGTERM || signal == SIGINT;
    reap();
  }
  signal_all(SIGTERM);
  for (const auto end = Clock::now() + kStopTimeout; reap() && Clock::now() < end;) usleep(10'000);
  signal_all(SIGKILL);
}

void Processes::start(Place& place) {
  place.next_start = Clock::now() + kRestartInterval;
  const pid_t master = getpid();
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid != 0) {
    place.pid = std::max(pid, 0);  // no fork now: next try when the interval is over
    return;
  }
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != master) std::exit(1);
  prctl(PR_SET_NAME, place.name.c_str());
  sigset_t stop = signals_;
  sigdelset(&stop, SIGCHLD);
  try {
    place.work(stop);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", place.name.c_str(), error.what());
    std::exit(1);
  }
  std::exit(0);  // not _exit: leaving in good order is what tells "released" from "died" in the metrics
}

bool Processes::reap() {
  int status = 0;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    for (auto& place : places_) {
      if (place.pid != pid) continue;
      place.pid = 0;
      if (status != 0) std::fprintf(stderr, "mastercrm: %s %d died\n", place.name.c_str(), pid);
    }
  }
  return std::any_of(places_.begin(), places_.end(), [](const Place& place) { return place.pid != 0; });
}

void Processes::signal_all(int signal) {
  for (const auto& place : places_) {
    if (place.pid != 0) kill(place.pid, signal);
  }
}

}  // namespace mastercrm
