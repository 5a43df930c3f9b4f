// Read locks on a segment's lock bytes: none is a worker's.
//
// Threads: any. Failure: std::bad_alloc alone. Lifetime: values.
#pragma once

#include <cstdint>

namespace shmetrics::collector {

/// How many ranges of the lock bytes of `workers` entries somebody holds read locks on. Workers take write locks alone.
/// Whoever may read the file may take read locks, and with them keep workers from their entries. Asks the kernel twice
/// a lock, and one time more.
std::uint64_t count_foreign_locks(int file, std::uint32_t workers);

}  // namespace shmetrics::collector
