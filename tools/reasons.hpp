// Counts by reason, in a line for people.
//
// Threads: any. Failure: std::bad_alloc alone. Lifetime: values.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "collector/scraper.hpp"

namespace shmetrics::tools {

std::uint64_t sum(std::span<const collector::ReasonCount> counts);

/// `rule 2, busy 1`: those that are not 0.
std::string listed(std::span<const collector::ReasonCount> counts);

/// What to do about losses for this reason; one line, empty for a reason that is not known.
std::string remedy(std::string_view reason);

}  // namespace shmetrics::tools
