// The same as respawn_test.cpp for two minutes.
#include "tests/multiprocess/respawn.hpp"

namespace shmetrics::tests {
namespace {

TEST_F(Respawn, TwoMinutesOfKillsLoseNothingAndDoubleNothingInAnyKind) {
  endure(std::chrono::minutes(2));
}

}  // namespace
}  // namespace shmetrics::tests
