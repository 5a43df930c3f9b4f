// Registering series: label values that this process does not know yet.
//
// Threads: any; takes the control lock. Failure: none: without room, updates go to an overflow series or are dropped.
// Lifetime: handles are good for as long as the process lives.
#pragma once

#include <span>
#include <string_view>

#include "client/attachment.hpp"

namespace shmetrics::detail {

/// The series' handle; registers the series if it is new. Without room for it: a handle of the overflow series. A gauge
/// has no such series, so its handle drops updates and counts them.
HandleParts register_series(const FamilyState& family, std::span<const std::string_view> values) noexcept;

/// Counts a label set of the wrong size, and says so once. Returns a handle that drops its updates and counts them.
HandleParts refuse_labels(const FamilyState& family, std::size_t values) noexcept;

}  // namespace shmetrics::detail
