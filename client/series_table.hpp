// Label values -> cell, for all series of a segment that this process knows.
//
// Open addressing. An entry is one word. A larger table is published by its pointer, and the outgrown one is kept for
// threads that still read it, so a fork at any point sees one or the other. Keys and cells are not copied: they are
// read in the directory, where a record never changes once an entry names it.
//
// Threads: find() any; all else under the control lock. Failure: add() throws std::bad_alloc. Lifetime: the mapping of
// the directory must outlive it.
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
  /// `directory` is where the directory is mapped, `cells` how many a slot has.
  SeriesTable(const std::byte* directory, std::uint32_t cells);

  /// No cell of any series. A plain number: an optional went through the stack, byte after word, and stalled there.
  static constexpr std::uint32_t kUnknown = 0xffffffff;

  /// The first cell of the series; kUnknown unless this process knows it. Any thread; no lock, no allocation.
  std::uint32_t find(std::uint32_t family_entry, std::span<const std::string_view> values) const noexcept;

  /// In a forked child: another thread may have been in the middle of add(). What it left is not freed.
  void start_anew() noexcept;

  /// Adds the series whose record stands at `record_offset`. Control lock held. Throws std::bad_alloc and then has
  /// added nothing.
  void add(std::uint32_t family_entry, std::span<const std::string_view> values, std::uint32_t record_offset,
           std::uint32_t record_bytes);

 private:
  struct Table {
    explicit Table(std::size_t size) : mask(size - 1), entries(new std::atomic<std::uint64_t>[size]()) {}
    std::size_t mask;
    std::unique_ptr<std::atomic<std::uint64_t>[]> entries;  // hash << 32 | offset of the record; 0 = empty
    std::unique_ptr<Table> outgrown;
  };
  static void place(Table& table, std::uint64_t entry) noexcept;
  std::uint32_t cell_if_of(std::uint32_t record_offset, std::uint32_t family_entry,
                           std::span<const std::string_view> values) const noexcept;

  const std::byte* directory_;
  const std::uint32_t cells_;
  const std::uint64_t secret_;  // of the directory's address, which a client that sends label values cannot know
  std::atomic<Table*> current_{nullptr};
  std::atomic<std::uint32_t> readable_bytes_{0};  // of the directory: highest end of a record that was added
  std::unique_ptr<Table> owner_;
  std::size_t count_ = 0;
};

}  // namespace shmetrics::detail
