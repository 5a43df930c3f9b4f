// Workers in a simulation: thousands of interleavings and kills, each of which can be had again by its seed.
#include "tests/simulation/simulation.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

namespace shmetrics::simulation {
namespace {

/// Seeds that once failed, with what they found. They are run for ever.
constexpr std::uint64_t kKeptSeeds[] = {
    1, 1'002'192,  // a claimer took the slot of a new worker whose entry it had found dead a moment before
};

#if defined(SHMETRICS_LONG)
constexpr std::uint64_t kSeeds = 10'000;
#elif defined(__SANITIZE_ADDRESS__)
constexpr std::uint64_t kSeeds = 60;
#else
constexpr std::uint64_t kSeeds = 250;
#endif
constexpr std::uint64_t kMutantSeeds = 6000;

/// $SHMETRICS_SEED: only that one, with a line about it.
const char* only_seed() {
  return std::getenv("SHMETRICS_SEED");
}

void run_all_seeds() {
  const char* only = only_seed();
  const std::uint64_t first = only != nullptr ? std::strtoull(only, nullptr, 10) : 1'000'000;
  const std::uint64_t count = only != nullptr ? 1 : kSeeds;
  Outcome sum;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const Outcome outcome = simulate(seed);
    ASSERT_EQ(outcome.failure, "") << "again by SHMETRICS_SEED=" << seed;
    sum.steps += outcome.steps;
    sum.turns += outcome.turns;
    sum.kills += outcome.kills;
    sum.workers += outcome.workers;
    sum.scrapes += outcome.scrapes;
    sum.exemplars += outcome.exemplars;
  }
  EXPECT_TRUE(only != nullptr || sum.exemplars > count) << "what is never shown is not judged";
  std::printf("%llu seeds, %llu steps in %llu turns, %llu workers, %llu killed, %llu scrapes, %llu exemplars\n",
              static_cast<unsigned long long>(count), static_cast<unsigned long long>(sum.steps),
              static_cast<unsigned long long>(sum.turns), static_cast<unsigned long long>(sum.workers),
              static_cast<unsigned long long>(sum.kills), static_cast<unsigned long long>(sum.scrapes),
              static_cast<unsigned long long>(sum.exemplars));
}

#if defined(SHMETRICS_LONG)

TEST(SimulationLong, NoInterleavingOrKillBreaksAPromise) {
  run_all_seeds();
}

#else

TEST(Simulation, KeptSeedsHold) {
  for (const std::uint64_t seed : kKeptSeeds) EXPECT_EQ(simulate(seed).failure, "") << "SHMETRICS_SEED=" << seed;
}

TEST(Simulation, NoInterleavingOrKillBreaksAPromise) {
  run_all_seeds();
}

TEST(Simulation, ASeedIsOneRun) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    const Outcome first = simulate(seed);
    const Outcome second = simulate(seed);
    EXPECT_EQ(first.steps, second.steps) << seed;
    EXPECT_EQ(first.turns, second.turns) << seed;
  }
}

std::string found(Mutant mutant) {
  for (std::uint64_t seed = 1; seed <= kMutantSeeds; ++seed) {
    const Outcome outcome = simulate(seed, mutant);
    if (outcome.failure.empty()) continue;
    std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), outcome.failure.c_str());
    return outcome.failure;
  }
  return "nothing";
}

TEST(Simulation, OneLockByteIsFoundToShowGaugesOfTheDead) {
  EXPECT_NE(found(Mutant::kOneLockByte).find("is shown as live"), std::string::npos);
}

TEST(Simulation, AnEntryClaimerThatCompletesRedoRecordsIsFoundOut) {
  EXPECT_NE(found(Mutant::kClaimerCompletesRedo), "nothing");
}

#endif

}  // namespace
}  // namespace shmetrics::simulation
