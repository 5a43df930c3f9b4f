// Declaring families and registering series: the part of the client that takes locks and appends to the directory.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "client/attachment.hpp"
#include "shm/naming.hpp"

namespace shmetrics::detail {

/// Finds or appends the family. Control lock held. Throws shm::Error with a message that names the fix, std::bad_alloc.
const FamilyState& declare_family(Attachment& attachment, const shm::Schema& schema, std::uint32_t series_limit,
                                  Deadline& deadline);

/// First cell of the series, registered if it is new. Waits as kUpdatePatience says. Where there is no place for it:
/// the overflow series, or kDroppedCell for a gauge, which has none.
std::uint32_t register_series(const FamilyState& family, std::span<const std::string_view> values) noexcept;

/// Counts a label set that is no set of the family at all, such as one of the wrong size.
void count_refused_labels(const FamilyState& family) noexcept;

}  // namespace shmetrics::detail
