// Counts what the program allocates, by an operator new of its own. Link allocations.cpp into the test.
#pragma once

#include <cstddef>

namespace shmetrics::tests {

/// Allocations of this process so far; a child goes on from its parent's number.
std::size_t allocations();

/// Those that nobody has freed yet.
std::size_t live_allocations();

/// Lets the n-th allocation from now on fail, once; 0: none.
void fail_allocation(std::size_t nth);

}  // namespace shmetrics::tests
