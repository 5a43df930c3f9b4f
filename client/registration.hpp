// Declaring families and registering series: the part of the client that takes locks and appends to the directory.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "client/attachment.hpp"
#include "shm/naming.hpp"

namespace shmetrics::detail {

/// Finds or appends the family. Waits at most 100 ms. Throws shm::Error with a message that names the fix,
/// std::bad_alloc.
const FamilyState& declare_family(Attachment& attachment, const shm::Schema& schema, std::uint32_t series_limit);

/// First cell of the series, registered if it is new. Waits at most 1 ms. Where there is no place for it: the overflow
/// series, or kDroppedCell for a gauge, which has none.
std::uint32_t register_series(const FamilyState& family, std::span<const std::string_view> values) noexcept;

}  // namespace shmetrics::detail
