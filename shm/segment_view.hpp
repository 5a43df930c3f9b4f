// A mapped segment, by the names of its parts. Computes addresses; touches no byte and checks no permission: which part
// may be touched when is the mapper's business.
//
// Threads: any. Failure: none. Lifetime: the mapping must outlive the view and what it returns.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shm/geometry.hpp"
#include "shm/layout.hpp"

namespace shmetrics::shm {

class SegmentView {
 public:
  SegmentView() = default;
  SegmentView(std::byte* base, const Geometry& geometry) : base_(base), geometry_(geometry) {}

  const Geometry& geometry() const { return geometry_; }
  std::byte* base() const { return base_; }

  WorkerEntry& worker(std::uint32_t worker) const { return at<WorkerEntry>(geometry_.worker_table())[worker]; }
  /// slot < thread_slots, or Geometry::spill(), or Geometry::gauge_spill().
  SlotEntry& slot(std::uint32_t slot) const { return at<SlotEntry>(geometry_.slot_table())[slot]; }
  DirectoryHead& directory() const { return *at<DirectoryHead>(geometry_.directory()); }
  /// entry < geometry().index_entries().
  SharedWord& index(std::uint32_t entry) const {
    return at<SharedWord>(geometry_.directory() + sizeof(DirectoryHead))[entry];
  }
  std::byte* directory_bytes() const { return base_ + geometry_.directory(); }

  SharedWord* thread_cells(std::uint32_t slot) const { return at<SharedWord>(geometry_.thread_slot(slot)); }
  SharedWord* process_cells(std::uint32_t worker) const { return at<SharedWord>(geometry_.process_slot(worker)); }
  SharedWord* spill_cells() const { return at<SharedWord>(geometry_.spill_cells()); }
  SharedWord* gauge_spill_cells() const { return at<SharedWord>(geometry_.gauge_spill_cells()); }
  SlotPrefix& prefix(SharedWord* cells) const { return *reinterpret_cast<SlotPrefix*>(cells); }

 private:
  template <typename T>
  T* at(std::uint64_t offset) const {
    return reinterpret_cast<T*>(base_ + offset);
  }
  std::byte* base_ = nullptr;
  Geometry geometry_;
};

}  // namespace shmetrics::shm
