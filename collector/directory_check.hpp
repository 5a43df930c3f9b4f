// Validity of the directory's index and head, beyond what the parser says of each record. Part of check: it sees shared
// memory, under the caller's guard.
//
// Threads: one thread. Failure: std::bad_alloc, and what the report throws. Lifetime: a call keeps nothing.
#pragma once

#include <cstdint>

#include "collector/cell_check.hpp"
#include "collector/directory_reader.hpp"
#include "collector/mapped_segment.hpp"

namespace shmetrics::collector {

/// `reader` must have followed the directory of `mapped` before: live workers may append meanwhile, which is no damage.
/// Returns the bytes that were given out of the heap.
std::uint64_t check_directory(const MappedSegment& mapped, const DirectoryReader& reader, const Report& report);

/// One line for each name that has several schemas.
void warn_of_generations(const Catalog& catalog, const Report& report);

}  // namespace shmetrics::collector
