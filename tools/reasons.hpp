// Counts by reason, in a line for people.
//
// Safe from any thread. Throws std::bad_alloc only.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "collector/scraper.hpp"

namespace shmetrics::tools {

std::uint64_t sum(std::span<const collector::ReasonCount> counts);

/// `rule 2, busy 1`: those that are not 0.
std::string listed(std::span<const collector::ReasonCount> counts);

}  // namespace shmetrics::tools
