// The directory's pages in this process: which of them can be read, which are open for an append, and the room for the
// next record.
//
// The mapping is read-only where it is known to have memory, and inaccessible elsewhere. An append needs three places
// writable: the head, the index around the end of the log, and the room for its record. They are opened in steps of
// kStepBytes and stay open until the end of the log has moved on, because a registration that calls mprotect is slow
// while another thread of the process runs.
//
// Threads: control lock. Failure: by result: no memory, or no room. Lifetime: as long as its mapping.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "shm/directory.hpp"
#include "shm/segment_view.hpp"
#include "shm/worker_entry.hpp"

namespace shmetrics::detail {

class DirectoryPages {
 public:
  /// The first page of the directory must be readable.
  explicit DirectoryPages(const shm::SegmentView& view)
      : view_(view), heap_readable_(page_of(view.geometry().heap())) {}

  /// Makes an entry of the index readable. False: there is a hole, and no memory to fill it.
  bool read_entry(std::uint32_t entry) noexcept;
  /// Makes the heap readable up to the end of a record that an entry names. False: likewise.
  bool read_record(std::uint64_t end) noexcept;

  enum class Room { kTaken, kFull, kNoMemory };
  /// Opens the index around `entry` for writing. False: no memory.
  bool open_index(std::uint32_t entry, const shm::SegmentFile& file) noexcept;
  /// The spare, or new room of `bytes`, open for writing: see room(). Takes the room for good.
  Room take_room(std::uint32_t bytes, const shm::SegmentFile& file) noexcept;
  /// Where the room lies, in bytes from the directory's start.
  std::uint32_t room() const { return spare_.offset; }
  /// An entry names the room now: it is no spare any more.
  void use_up_room() { spare_ = {}; }

  /// In a forked child: the parent goes on with its spare, and nothing stays open for writing. Unless `is_whole`, a
  /// thread of the parent was in the middle of something here.
  void forget_in_child(bool is_whole) noexcept;

 private:
  // Bytes [begin, end) of the directory, whole pages.
  struct Window {
    std::uint64_t begin = 0, end = 0;
    bool is_open() const { return begin < end; }
    bool covers(Window other) const { return begin <= other.begin && other.end <= end; }
    bool overlaps(Window other) const { return begin < other.end && other.begin < end; }
  };
  enum Place { kHead, kIndex, kRoom, kPlaces };
  static constexpr std::uint64_t page_of(std::uint64_t offset) { return offset / shm::kPageBytes * shm::kPageBytes; }

  std::byte* at(std::uint64_t offset) const { return view_.directory_bytes() + offset; }
  Window steps_around(std::uint64_t begin, std::uint64_t end) const;
  bool read_up_to(std::uint64_t end, std::uint64_t& readable) noexcept;
  bool open(Place place, Window wanted, const shm::SegmentFile& file) noexcept;
  bool open_for_record(shm::IndexEntry room, const shm::SegmentFile& file) noexcept;
  void close(Window& window) noexcept;
  void forget_overlapping(Window closed) noexcept;
  void protect(Window window, int access) noexcept;

  const shm::SegmentView view_;
  std::uint64_t index_readable_ = shm::kPageBytes;
  std::uint64_t heap_readable_;
  std::uint64_t known_end_ = 0;  // highest end of a record that an entry names
  std::array<Window, kPlaces> windows_{};
  Window index_wanted_{};
  shm::IndexEntry spare_{};  // room that this process has taken and no entry names
};

}  // namespace shmetrics::detail
