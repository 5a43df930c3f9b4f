// Counts what the program allocates, by an operator new of its own. Link allocations.cpp into the test.
#pragma once

#include <cstddef>

namespace shmetrics::test {

/// Allocations of this process so far; a child goes on from its parent's number.
std::size_t allocations();

}  // namespace shmetrics::test
