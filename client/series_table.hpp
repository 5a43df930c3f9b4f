// Label values -> cell, for all series of a segment that this process knows. Read without a lock, written under the
// control lock.
//
// Open addressing. An entry is published by its hash, a full table by its pointer; a table that was outgrown stays for
// who still reads it, and so a fork at any point sees either. Keys are not copied: they are compared with the
// directory, which never changes below its committed length.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace shmetrics::detail {

class SeriesTable {
 public:
  /// `directory` is where the directory is mapped.
  explicit SeriesTable(const std::byte* directory);

  /// No cell of any series. A plain number: an optional went through the stack, byte after word, and stalled there.
  static constexpr std::uint32_t kUnknown = 0xffffffff;

  /// The first cell of the series; kUnknown unless this process knows it. Any thread; no lock, no allocation.
  std::uint32_t find(std::uint32_t family_offset, std::span<const std::string_view> values) const noexcept;

  /// Adds the series whose record stands at `record_offset`. Control lock held. Throws std::bad_alloc and then has
  /// added nothing.
  void add(std::uint32_t family_offset, std::span<const std::string_view> values, std::uint32_t record_offset,
           std::uint32_t record_bytes, std::uint32_t cell);

 private:
  struct Entry {
    std::atomic<std::uint64_t> hash;  // 0 = empty; release after the rest, pairs with find's acquire
    std::uint32_t record_offset;
    std::uint32_t cell;
  };
  struct Table {
    explicit Table(std::size_t size) : mask(size - 1), entries(new Entry[size]()) {}
    std::size_t mask;
    std::unique_ptr<Entry[]> entries;
    std::unique_ptr<Table> outgrown;
  };
  static void place(Table& table, std::uint64_t hash, std::uint32_t record_offset, std::uint32_t cell) noexcept;
  bool matches(std::uint32_t record_offset, std::uint32_t family_offset,
               std::span<const std::string_view> values) const noexcept;

  const std::byte* directory_;
  const std::uint64_t secret_;  // of where the kernel put the directory: whoever sends label values cannot know it
  std::atomic<Table*> current_{nullptr};
  std::atomic<std::uint32_t> readable_bytes_{0};  // of the directory: end of the last record that was added
  std::unique_ptr<Table> owner_;
  std::size_t count_ = 0;
};

}  // namespace shmetrics::detail
