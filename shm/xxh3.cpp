#include "shm/xxh3.hpp"

#define XXH_INLINE_ALL  // no library is needed
#include <xxhash.h>

std::uint64_t shmetrics::shm::xxh3(const void* bytes, std::size_t size, std::uint64_t seed) noexcept {
  return XXH3_64bits_withSeed(bytes, size, seed);
}
