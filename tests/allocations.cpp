// A file of its own: inlined where they are called, GCC takes new and free() for a mismatch.
#include "tests/allocations.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {
std::atomic<std::size_t> count{0};
std::atomic<std::size_t> freed{0};
std::atomic<std::size_t> until_failure{0};
}  // namespace

void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  count.fetch_add(1, std::memory_order_relaxed);
  if (until_failure.load(std::memory_order_relaxed) != 0 && until_failure.fetch_sub(1) == 1) return nullptr;
  return std::malloc(bytes);
}
void* operator new(std::size_t bytes) {
  if (void* memory = operator new(bytes, std::nothrow)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  if (memory != nullptr) freed.fetch_add(1, std::memory_order_relaxed);
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  operator delete(memory);
}

namespace shmetrics::tests {

void fail_allocation(std::size_t nth) {
  until_failure = nth;
}

std::size_t allocations() {
  return count.load(std::memory_order_relaxed);
}

std::size_t live_allocations() {
  const std::size_t gone = freed.load(std::memory_order_relaxed);
  return allocations() - gone;
}

}  // namespace shmetrics::tests
