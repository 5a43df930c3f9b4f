// Thousands of generations; generations.hpp says of what.
#include "tests/multiprocess/generations.hpp"

namespace shmetrics::tests {
namespace {

TEST_F(Generations, FourThousandUnderScrapesLeaveFileEntriesAnswerAndExporterAsTheyWere) {
  endure(4000);
}

}  // namespace
}  // namespace shmetrics::tests
