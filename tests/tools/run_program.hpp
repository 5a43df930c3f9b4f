// Runs the built `shmetrics` as a script would.
#pragma once

#include "tests/child_process.hpp"

namespace shmetrics::tests {

/// `stdout_fd` < 0: standard output is collected.
inline Outcome run_program(std::vector<std::string> arguments, int stdout_fd = -1) {
  arguments.insert(arguments.begin(), SHMETRICS_PROGRAM);
  return run_command(std::move(arguments), {}, stdout_fd);
}

}  // namespace shmetrics::tests
