// Counts by reason, in a line for people.
//
// Threads: any. Failure: std::bad_alloc alone. Lifetime: values.
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
