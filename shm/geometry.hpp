// Where things are in a segment: offsets computed from the four numbers that its creator chose.
//
// Threads: any. Failure: none; check within_caps() first, or sums may overflow. Lifetime: values.
#pragma once

#include <cstdint>

#include "shm/layout.hpp"

namespace shmetrics::shm {

struct Geometry {
  std::uint32_t workers = 256;
  std::uint32_t thread_slots = 1024;
  std::uint32_t cells = 65536;
  std::uint64_t directory_bytes = 16u << 20;

  bool operator==(const Geometry&) const = default;

  constexpr bool within_caps() const {
    return workers >= 1 && workers <= kMaxWorkers && thread_slots >= 1 && thread_slots <= kMaxThreadSlots &&
           cells >= kGrowthCells && cells <= kMaxCells && cells % kGrowthCells == 0 && directory_bytes >= kPageBytes &&
           directory_bytes <= kMaxDirectoryBytes && directory_bytes % kPageBytes == 0;
  }

  /// Number of the spill's slot entry for thread cells and for process cells.
  constexpr std::uint32_t spill() const { return thread_slots; }
  constexpr std::uint32_t gauge_spill() const { return thread_slots + 1; }

  constexpr std::uint64_t worker_table() const { return sizeof(Header); }
  constexpr std::uint64_t slot_table() const { return worker_table() + pages(workers * sizeof(WorkerEntry)); }
  constexpr std::uint64_t directory() const { return slot_table() + pages((thread_slots + 2) * sizeof(SlotEntry)); }
  /// Where the heap begins, counted from the directory's start like the offsets of its records.
  constexpr std::uint64_t heap() const { return directory_bytes / kIndexShare; }
  constexpr std::uint64_t heap_bytes() const { return directory_bytes - heap(); }
  constexpr std::uint32_t index_entries() const {
    return static_cast<std::uint32_t>((heap() - sizeof(DirectoryHead)) / sizeof(SharedWord));
  }
  constexpr std::uint64_t slot_bytes() const { return std::uint64_t{cells} * 8; }
  constexpr std::uint64_t spill_cells() const { return directory() + directory_bytes; }
  constexpr std::uint64_t gauge_spill_cells() const { return spill_cells() + slot_bytes(); }
  constexpr std::uint64_t process_slot(std::uint32_t worker) const {
    return gauge_spill_cells() + slot_bytes() * (1 + std::uint64_t{worker});
  }
  constexpr std::uint64_t thread_slot(std::uint32_t slot) const { return process_slot(workers) + slot_bytes() * slot; }
  constexpr std::uint64_t file_bytes() const { return thread_slot(thread_slots); }

 private:
  static constexpr std::uint64_t pages(std::uint64_t bytes) {
    return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
  }
};

static_assert(Geometry{}.within_caps());
static_assert(Geometry{}.file_bytes() >> 20 == 657, "the design says some 660 MiB of address space");
static_assert(Geometry{kMaxWorkers, kMaxThreadSlots, kMaxCells, kMaxDirectoryBytes}.file_bytes() < kLockBase);

}  // namespace shmetrics::shm
