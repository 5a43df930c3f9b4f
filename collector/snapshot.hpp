// One read of a segment: the shared memory is copied under a guard, checked, and added up on the way.
//
// No room after this one sees shared memory: no pointer into it leaves. The order of the reads is that of
// docs/segment-format.md, "Reading". Each shared word is read once, except sequences and epochs: they are read again to
// see whether they have changed. Holes are never touched: cells beyond a slot's `cells_allocated` are not read.
//
// Threads: one thread. Failure: shm::Error, std::bad_alloc. Lifetime: what it returns is valid until the next read().
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "collector/catalog.hpp"
#include "collector/cell_reader.hpp"
#include "collector/directory_reader.hpp"
#include "collector/mapped_segment.hpp"
#include "collector/merge.hpp"
#include "collector/read_share.hpp"

namespace shmetrics::collector {

/// The segment is not known to be damaged: with more time or memory it may be read.
struct RanOut : shm::Error {
  using Error::Error;
};

struct WorkerCopy {
  std::uint64_t epoch = 0, pid = 0, start_unix_ns = 0, adoptions = 0, deaths = 0;
  bool is_released = false;
  bool has_counted = false;  // its owner has updated something
  bool is_live = false;
  std::array<char, shm::kProgramBytes> program{};
};

struct Snapshot {
  Totals totals;
  std::array<std::uint64_t, shm::kTallies> tallies{};  // by shm::Tally
  std::vector<WorkerCopy> workers;                     // by entry
  std::vector<std::uint64_t> owners;                   // by thread slot; its owner word
  std::uint64_t torn_reads = 0;                        // since the reader exists
  std::uint64_t directory_used_bytes = 0;              // index entries, and what was given out of the heap
  bool is_directory_cut = false;                       // its records come to more than the heap
  std::uint64_t quarantined_slots = 0;
  std::uint64_t infinite_values = 0;  // cells of float counters that have passed the largest double
  std::uint64_t quarantined_workers = 0;
  std::uint64_t foreign_locks = 0;  // counted every kLockPause: it is a call for each lock
};
inline constexpr std::chrono::seconds kLockPause{10};

/// Follows one path, or reads one file. Not thread-safe.
class SnapshotReader {
 public:
  /// `segment`: the name that its series are labelled with, if any.
  explicit SnapshotReader(std::string path, std::string segment = {}, Admission admission = {})
      : path_(std::move(path)), segment_(std::move(segment)), admission_(std::move(admission)) {}
  /// For use within somebody's program: this file, wherever its path leads, and no signal handler.
  SnapshotReader(shm::OpenedSegment opened, std::string path);

  /// Looks again. Throws shm::Error when there is nothing to serve: no file, not a segment, damaged, truncated while it
  /// was read, no time or memory left. Nothing of a damaged copy is left then. After want of time the next read goes on
  /// with the directory where this one ended; after want of memory it begins anew.
  void read(const ReadShare& share = {});

  /// Lets go of what was read; the file stays open.
  void forget();

  /// What it keeps in memory, roughly.
  std::uint64_t held_bytes() const;
  /// Whether workers live in the file that is open; also after its path has gone.
  bool has_workers() const;

  /// The functions below are about the last read(), which must not have thrown.
  const Snapshot& snapshot() const { return snapshot_; }
  const Catalog& catalog() const { return directory_->catalog(); }
  const shm::Header& header() const { return mapped_->header(); }
  const shm::Geometry& geometry() const { return mapped_->geometry(); }
  shm::FileId file_id() const { return mapped_->id(); }
  /// Why the path does not lead to the file any more, which is served because its workers go on in it; mostly empty.
  const std::string& orphaned_by() const { return orphaned_by_; }
  bool is_on_tmpfs() const { return mapped_->is_on_tmpfs(); }
  std::uint64_t birth_unix_ns() const { return mapped_->birth_unix_ns(); }

  const std::string& path() const { return path_; }
  const std::string& segment() const { return segment_; }

 private:
  void follow_path();
  void open();
  void use(std::unique_ptr<MappedSegment> next);
  void close();
  bool copy_all(const SigbusGuard& guard);
  bool has_time() const;
  void require_memory();
  void require_time() const;
  bool copy_directory(const SigbusGuard& guard);
  void add_slot(std::uint32_t slot, std::uint64_t offset, const SigbusGuard& guard);
  void copy_workers(const SigbusGuard& guard);
  /// Into `gauges` its gauges as well; nothing: it has none.
  std::optional<WorkerStanding> copy_worker(std::uint32_t worker, std::span<GaugeCopy> gauges);
  void add_spill(const SigbusGuard& guard);

  std::string path_;
  std::string segment_;
  Admission admission_;
  std::unique_ptr<MappedSegment> mapped_;
  std::unique_ptr<DirectoryReader> directory_;
  Snapshot snapshot_;
  std::string orphaned_by_;
  bool follows_path_ = true;
  ReadShare share_;
  std::chrono::steady_clock::time_point started_;
  std::chrono::steady_clock::time_point count_locks_;  // again
};

}  // namespace shmetrics::collector
