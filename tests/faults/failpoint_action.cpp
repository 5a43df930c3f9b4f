#include "tests/faults/failpoint_action.hpp"

#include <signal.h>
#include <unistd.h>

namespace shmetrics {
namespace {

tests::Passes* passes_of_process = nullptr;
tests::Failure failure_of_process;
std::atomic<bool> is_held{false};
std::atomic<bool> is_over{false};  // nobody is held any more, late comers neither

}  // namespace

void tests::arm(Passes& passes, const Failure& failure) {
  passes_of_process = &passes;
  failure_of_process = failure;
}

bool tests::holds() {
  return is_held.load();
}

void tests::let_go() {
  is_over = true;
}

void shm::pass(Failpoint point) noexcept {
  if (passes_of_process == nullptr) return;
  const auto index = static_cast<std::size_t>(point);
  const std::uint64_t pass = (*passes_of_process)[index].fetch_add(1) + 1;
  if (failure_of_process.dies_if_lost && point == Failpoint::append_lost) kill(getpid(), SIGKILL);
  if (index != failure_of_process.point || pass != failure_of_process.pass) return;
  switch (failure_of_process.strike) {
    case tests::Strike::kKill:
      kill(getpid(), SIGKILL);
      break;
    case tests::Strike::kStop:
      kill(getpid(), SIGSTOP);
      break;
    case tests::Strike::kHold:
      is_held = true;
      while (!is_over) usleep(100);
      break;
  }
}

}  // namespace shmetrics
