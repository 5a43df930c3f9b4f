// Hundreds of generations; generations.hpp says of what.
#include "tests/multiprocess/generations.hpp"

namespace shmetrics::tests {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr int kGenerations = 60;  // a fork costs twenty times as much there
#else
constexpr int kGenerations = 250;
#endif

TEST_F(Generations, UnderScrapesLeaveFileEntriesAnswerAndExporterAsTheyWere) {
  endure(kGenerations);
}

}  // namespace
}  // namespace shmetrics::tests
