#include "collector/directory_reader.hpp"

#include <algorithm>
#include <span>

namespace shmetrics::collector {
namespace {

constexpr std::size_t kStepsBetweenLooks = 128;  // some ten microseconds of parsing
constexpr std::size_t kIndexBatch = 4096;        // entries read before their records: index and heap lie far apart

constexpr std::size_t kMostHoles = 16;  // looked at again by each scrape

std::uint64_t index_offset(const shm::Geometry& geometry, std::size_t entry) {
  return geometry.directory() + sizeof(shm::DirectoryHead) + entry * sizeof(shm::SharedWord);
}

}  // namespace

DirectoryReader::Outcome DirectoryReader::follow(const MappedSegment& mapped, const SigbusGuard& guard,
                                                 const GoesOn& goes_on) {
  if (!is_same_log(mapped) || is_hole_filled(mapped)) return Outcome::kReplaced;
  const shm::Geometry& geometry = mapped.geometry();
  std::size_t copied = kIndexBatch;
  while (copied == kIndexBatch && !is_cut_) {
    copied = copy_index(mapped);
    for (const std::uint64_t word : batch_) {
      if (guard.is_damaged()) return Outcome::kDamaged;
      if (catalog_.entries() % kStepsBetweenLooks == 0 && !goes_on()) return Outcome::kStopped;
      const auto named = shm::IndexEntry::of(word);
      is_cut_ = named.is_valid(geometry) && record_bytes_ + named.length > geometry.heap_bytes();
      if (is_cut_) break;
      take(word, mapped);
    }
  }
  if (guard.is_damaged()) return Outcome::kDamaged;
  catalog_.settle();
  return Outcome::kRead;
}

bool DirectoryReader::is_same_log(const MappedSegment& mapped) const {
  const std::size_t known = catalog_.entries();
  if (known == 0) return true;
  const std::uint64_t last = index_offset(mapped.geometry(), known - 1);
  return mapped.data_bytes(last, 8) == 8 && mapped.words(last)->load_acquire() == last_;
}

bool DirectoryReader::is_hole_filled(const MappedSegment& mapped) const {
  return std::any_of(in_holes_.begin(), in_holes_.end(), [&](shm::IndexEntry named) {
    return mapped.data_bytes(mapped.geometry().directory() + named.offset, named.length) == named.length;
  });
}

// Up to the first empty entry; a hole reads as zeros, and is not touched. Returns how many there are.
std::size_t DirectoryReader::copy_index(const MappedSegment& mapped) {
  const std::size_t known = catalog_.entries();
  const std::uint64_t begin = index_offset(mapped.geometry(), known);
  const std::size_t most = std::min<std::size_t>(kIndexBatch, mapped.geometry().index_entries() - known);
  const std::size_t readable = mapped.data_bytes(begin, most * 8) / 8;
  const shm::SharedWord* from = mapped.words(begin);
  batch_.clear();
  for (std::size_t i = 0; i < readable; ++i) {
    const std::uint64_t word = from[i].load_acquire();  // pairs with the release that publishes the record
    if (word == 0) break;
    batch_.push_back(word);
  }
  return batch_.size();
}

void DirectoryReader::take(std::uint64_t word, const MappedSegment& mapped) {
  last_ = word;
  const auto named = shm::IndexEntry::of(word);
  if (!named.is_valid(mapped.geometry())) return catalog_.skip("names no place in the heap");
  record_bytes_ += named.length;
  const std::uint64_t offset = mapped.geometry().directory() + named.offset;
  if (mapped.data_bytes(offset, named.length) < named.length) {
    if (in_holes_.size() < kMostHoles) in_holes_.push_back(named);
    return catalog_.skip("its record lies in a hole");
  }
  record_.resize(shm::kMaxRecordBytes / 8);
  const auto record = std::span(record_).first(named.length / 8);
  mapped.copy(offset, record);
  catalog_.add(std::as_bytes(record));
}

}  // namespace shmetrics::collector
