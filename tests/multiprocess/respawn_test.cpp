// Nothing lost, nothing doubled, nothing goes down, in every kind: respawn.hpp says how. Some seconds.
#include "tests/multiprocess/respawn.hpp"

namespace shmetrics::tests {
namespace {

TEST_F(Respawn, KillsAtRandomLoseNothingAndDoubleNothingInAnyKind) {
  endure(std::chrono::seconds(4));
}

}  // namespace
}  // namespace shmetrics::tests
