// One simulation a seed: who takes the next step, who is killed before it, when somebody looks.
#pragma once

#include <cstdint>
#include <string>

#include "tests/simulation/stage.hpp"

namespace shmetrics::simulation {

struct Outcome {
  std::string failure;  // empty: all held
  std::uint64_t steps = 0, turns = 0, kills = 0, workers = 0, scrapes = 0, torn_reads = 0, exemplars = 0;
};

/// Runs the simulation of a seed to its end. The same seed is the same run.
Outcome simulate(std::uint64_t seed, Mutant mutant = Mutant::kNone);

}  // namespace shmetrics::simulation
