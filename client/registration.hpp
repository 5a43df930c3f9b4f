// Registering series: label values that this process does not know yet.
//
// Threads: any; takes the control lock. Failure: none: what finds no place is counted as lost or in an overflow series.
// Lifetime: handles are good for as long as the process lives.
#pragma once

#include <span>
#include <string_view>

#include "client/attachment.hpp"

namespace shmetrics::detail {

/// The series' handle, registered if it is new. Where there is no place for it: the overflow series, or for a gauge,
/// which has none, a handle that counts its dropped updates.
HandleParts register_series(const FamilyState& family, std::span<const std::string_view> values) noexcept;

/// Counts a label set of the wrong size, and says so once. Returns an inert handle, or the one of a refused family.
HandleParts refuse_labels(const FamilyState& family, std::size_t values) noexcept;

}  // namespace shmetrics::detail
