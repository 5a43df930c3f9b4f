// A segment's file, mapped read-only. Belongs to the snapshot: nobody else sees shared memory.
//
// Every access to its words must happen under guard(), because the file can be truncated at any time.
//
// Threads: one thread. Failure: shm::Error as each function says, std::bad_alloc. Lifetime: the words are
// valid as long as it is.
#pragma once

#include <boost/interprocess/mapped_region.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "collector/sigbus_guard.hpp"
#include "shm/segment.hpp"
#include "shm/shared_word.hpp"

namespace shmetrics::collector {

/// Whether a page that is missing becomes a flag, by a signal handler: in somebody's program it must not.
enum class MissingPages : std::uint8_t { kCaught, kNotCaught };

class MappedSegment {
 public:
  /// Opens and checks `path`. Throws shm::Error.
  explicit MappedSegment(const std::string& path)
      : MappedSegment(shm::open_for_reading(path), path, MissingPages::kCaught) {}
  /// Maps what its header says and not a byte more. `path` is for messages. Throws shm::Error.
  MappedSegment(shm::OpenedSegment opened, const std::string& path, MissingPages missing);

  const shm::Header& header() const { return opened_.header; }
  const shm::Geometry& geometry() const { return opened_.geometry; }
  shm::FileId id() const { return opened_.id; }
  int fd() const { return opened_.file.get(); }

  SigbusGuard guard() const {
    return missing_ == MissingPages::kCaught ? SigbusGuard(region_.get_address(), region_.get_size()) : SigbusGuard();
  }

  /// The words from byte `offset` on. The caller keeps within geometry().file_bytes().
  const shm::SharedWord* words(std::uint64_t offset) const {
    return reinterpret_cast<const shm::SharedWord*>(static_cast<const std::byte*>(region_.get_address()) + offset);
  }
  const shm::WorkerEntry& worker(std::uint32_t worker) const {
    return reinterpret_cast<const shm::WorkerEntry*>(words(geometry().worker_table()))[worker];
  }
  const shm::SlotEntry& slot(std::uint32_t slot) const {
    return reinterpret_cast<const shm::SlotEntry*>(words(geometry().slot_table()))[slot];
  }
  const shm::DirectoryHead& directory() const {
    return *reinterpret_cast<const shm::DirectoryHead*>(words(geometry().directory()));
  }
  /// `count` words from byte `offset` on, where the file has memory for all of them: else a copy in `room`, in which
  /// holes read as zeros. To read a hole of a tmpfs file would allocate its memory, as much as a hostile count asks
  /// for.
  const shm::SharedWord* backed(std::uint64_t offset, std::uint64_t count, std::vector<std::uint64_t>& room) const;
  /// Bytes from `offset` on before the first hole, at most `bytes`. Ask in ascending order: the last data and the last
  /// hole are remembered, and only beyond them the kernel is asked.
  std::uint64_t data_bytes(std::uint64_t offset, std::uint64_t bytes) const {
    if (offset >= data_begin_ && offset + bytes <= data_end_) return bytes;
    return offset >= hole_begin_ && offset < hole_end_ ? 0 : find_hole(offset, bytes);
  }
  /// Where the first data from `offset` on begins; `end` if there is none before that.
  std::uint64_t next_data(std::uint64_t offset, std::uint64_t end) const;
  /// Where data and holes were found is remembered until then: to ask costs a walk over all pages before the answer.
  void forget_extents() {
    data_begin_ = data_end_ = 0;
    forget_holes();
  }
  /// A worker may have filled what was a hole. Needed before what it has published since is read.
  void forget_holes() { hole_begin_ = hole_end_ = 0; }
  /// Whether the file is as long as its header says.
  bool has_its_size() const;
  bool is_on_tmpfs() const { return opened_.on_tmpfs; }

  /// Copies words one by one, each read once.
  void copy(std::uint64_t offset, std::span<std::uint64_t> to) const;

  /// Whether the file still has its size and the header that was checked. Throws shm::Error when it shrank.
  bool is_unchanged(const std::string& path) const;
  /// When the file was made, as the file system has it; 0: it does not tell.
  std::uint64_t birth_unix_ns() const;
  /// Whether any process holds a claim or live byte.
  bool has_workers() const;

 private:
  std::uint64_t find_hole(std::uint64_t offset, std::uint64_t bytes) const;

  shm::OpenedSegment opened_;
  boost::interprocess::mapped_region region_;
  MissingPages missing_;
  mutable std::uint64_t data_begin_ = 0;
  mutable std::uint64_t data_end_ = 0;
  mutable std::uint64_t hole_begin_ = 0;
  mutable std::uint64_t hole_end_ = 0;
};

}  // namespace shmetrics::collector
