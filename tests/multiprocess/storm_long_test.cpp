// The storm of storm_test.cpp at its full size: 2,000 label sets of all and 2,000 of each process, beside 16 loops.
#include "tests/multiprocess/storm.hpp"

namespace shmetrics::tests {
namespace {

TEST_F(Storm, TwoThousandLabelSetsOfEachProcessAndAsManyOfAllEachHaveTheirOwnSeriesOnce) {
  rage({.sets = 2000, .busy_loops = 16, .kills = 10'000, .most_time = std::chrono::minutes(2)});
}

}  // namespace
}  // namespace shmetrics::tests
