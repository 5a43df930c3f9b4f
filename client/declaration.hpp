// Declaring families: found in the directory, appended to it, or refused.
//
// Threads: any; takes the control lock. Failure: by std::error_code; never throws. Lifetime: a FamilyState lives as
// long as the process.
#pragma once

#include <system_error>

#include "client/attachment.hpp"
#include "shm/naming.hpp"

namespace shmetrics::detail {

/// Finds or appends the family; a refusal is counted, and `error` says why. The family then counts nothing but its
/// dropped updates; unless it was refused for good, heal() declares it again. Null: no memory in this process.
const FamilyState* declare_family(Attachment& attachment, const shm::Schema& schema, std::uint32_t series_limit,
                                  std::error_code& error) noexcept;

/// The family that a refused one has become, declared again at most once a second. Null: not yet, or never.
const FamilyState* heal(const FamilyState& refused) noexcept;

}  // namespace shmetrics::detail
