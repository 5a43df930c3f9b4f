// XXH3, compiled once: in the header's checksum, in records' checksums, and for long label values.
//
// Threads: any. Failure: none. Lifetime: none.
#pragma once

#include <cstddef>
#include <cstdint>

namespace shmetrics::shm {

/// Any thread. Never fails.
std::uint64_t xxh3(const void* bytes, std::size_t size, std::uint64_t seed) noexcept;

}  // namespace shmetrics::shm
