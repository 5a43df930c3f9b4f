#include "client/series_table.hpp"

#include <xxhash.h>

#include <cstring>

#include "shm/layout.hpp"

namespace shmetrics::detail {
namespace {

constexpr std::size_t kFirstSize = 256;

// Chained, so that no key has to be put together. 0 stands for an empty entry.
std::uint64_t hash_of(std::uint32_t family_offset, std::span<const std::string_view> values) noexcept {
  std::uint64_t hash = family_offset;
  for (const std::string_view value : values) hash = XXH3_64bits_withSeed(value.data(), value.size(), hash);
  return hash != 0 ? hash : 1;
}

}  // namespace

bool SeriesTable::matches(std::uint32_t record_offset, std::uint32_t family_offset,
                          std::span<const std::string_view> values) const noexcept {
  const std::byte* record = directory_ + record_offset;
  std::uint32_t family;
  std::memcpy(&family, record + offsetof(shm::SeriesRecord, family), sizeof family);
  const std::byte* lengths = record + sizeof(shm::SeriesRecord);
  std::size_t at = record_offset + sizeof(shm::SeriesRecord) + values.size() * sizeof(std::uint16_t);
  if (family != family_offset) return false;
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint16_t length;
    std::memcpy(&length, lengths + i * sizeof length, sizeof length);
    // The bound holds by itself unless another process scribbled over the directory; then it keeps this one alive.
    if (length != values[i].size() || at + length > readable_bytes_.load(std::memory_order_relaxed)) return false;
    if (std::memcmp(directory_ + at, values[i].data(), length) != 0) return false;
    at += length;
  }
  return true;
}

std::optional<std::uint32_t> SeriesTable::find(std::uint32_t family_offset,
                                               std::span<const std::string_view> values) const noexcept {
  const Table* table = current_.load(std::memory_order_acquire);
  if (table == nullptr) return std::nullopt;
  const std::uint64_t hash = hash_of(family_offset, values);
  for (std::size_t i = hash & table->mask;; i = (i + 1) & table->mask) {
    const Entry& entry = table->entries[i];
    const std::uint64_t found = entry.hash.load(std::memory_order_acquire);
    if (found == 0) return std::nullopt;
    if (found == hash && matches(entry.record_offset, family_offset, values)) return entry.cell;
  }
}

void SeriesTable::place(Table& table, std::uint64_t hash, std::uint32_t record_offset, std::uint32_t cell) noexcept {
  std::size_t i = hash & table.mask;
  while (table.entries[i].hash.load(std::memory_order_relaxed) != 0) i = (i + 1) & table.mask;
  table.entries[i].record_offset = record_offset;
  table.entries[i].cell = cell;
  table.entries[i].hash.store(hash, std::memory_order_release);
}

void SeriesTable::add(std::uint32_t family_offset, std::span<const std::string_view> values,
                      std::uint32_t record_offset, std::uint32_t record_bytes, std::uint32_t cell) {
  // At most half full: a miss ends after a probe or two, and an empty entry always ends it.
  if (owner_ == nullptr || (count_ + 1) * 2 > owner_->mask + 1) {
    auto larger = std::make_unique<Table>(owner_ == nullptr ? kFirstSize : (owner_->mask + 1) * 2);
    for (std::size_t i = 0; owner_ != nullptr && i <= owner_->mask; ++i) {
      const Entry& entry = owner_->entries[i];
      const std::uint64_t hash = entry.hash.load(std::memory_order_relaxed);
      if (hash != 0) place(*larger, hash, entry.record_offset, entry.cell);
    }
    larger->outgrown = std::move(owner_);
    owner_ = std::move(larger);
    current_.store(owner_.get(), std::memory_order_release);
  }
  readable_bytes_.store(record_offset + record_bytes, std::memory_order_relaxed);
  place(*owner_, hash_of(family_offset, values), record_offset, cell);
  ++count_;
}

}  // namespace shmetrics::detail
