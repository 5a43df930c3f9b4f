// Memory that a test shares with its children, apart from any segment: what they have acknowledged, whether to stop.
#pragma once

#include <sys/mman.h>

#include <new>
#include <stdexcept>

namespace shmetrics::tests {

/// A T, value-initialised, that forked children see too. Lives until the process ends.
template <typename T>
T& shared() {
  void* memory = mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::runtime_error("mmap");
  return *new (memory) T{};
}

}  // namespace shmetrics::tests
