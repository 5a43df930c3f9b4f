// A segment as a file: create it, open it, refuse what is not one.
//
// Nothing here keeps a lock or a mapping. Both ways of opening return a descriptor and a checked copy of the header.
// The caller maps the file: the client reserves address space (client/attachment.hpp), the reader maps read-only
// (collector/snapshot.hpp).
//
// Threads: any. Failure: throws Error as each function says; what is noexcept answers with nothing. Lifetime: the
// caller owns what is opened and mapped.
#pragma once

#include <sys/types.h>
#include <time.h>

#include <cstdint>
#include <optional>
#include <string>

#include "shm/descriptor.hpp"
#include "shm/error.hpp"
#include "shm/geometry.hpp"
#include "shm/segment_file.hpp"

namespace shmetrics::shm {

inline std::uint64_t clock_ns(clockid_t clock) noexcept {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}
/// When something is made, for the created_unix_ns and start_unix_ns of the layout.
inline std::uint64_t unix_now_ns() noexcept {
  return clock_ns(CLOCK_REALTIME);
}

struct OpenedSegment {
  Descriptor file;
  FileId id;
  Header header;
  Geometry geometry;
  bool on_tmpfs = true;  // elsewhere the kernel's write-back can stall a worker for a moment
};

struct CreationOptions {
  Geometry geometry;
  mode_t mode = 0600;
  std::optional<gid_t> group;
};

/// Throws Error: kIncompatible, where memory has larger pages than 4,096 bytes. What a process may touch is opened and
/// closed by pages, and the parts of a segment lie on multiples of 4,096. Whatever opens a segment checks this first.
void check_pages();

/// Opens `path` read-only; needs read permission and nothing else.
/// Throws Error: kNotReady (no file, empty file), kRefused, kIncompatible, kDamaged, kIo.
OpenedSegment open_for_reading(const std::string& path);
/// The same of a file that is open for reading; `path` is for messages.
OpenedSegment open_for_reading(Descriptor file, const std::string& path);

/// Opens `path` for writing, creates it when there is none, replaces it when it is of no further use: empty, or of
/// another boot or an older layout with no live worker. Another creator may win the race: then its file is opened, with
/// its geometry. With `fresh` a new file takes the path first; workers of the old file go on in it, unseen. Throws
/// Error: all faults.
OpenedSegment open_or_create(const std::string& path, const CreationOptions& options, bool fresh = false);

/// Maps a part of a segment. Throws Error.
boost::interprocess::mapped_region map(const Descriptor& file, boost::interprocess::mode_t mode, std::uint64_t offset,
                                       std::uint64_t bytes, const std::string& path);

/// Checks, in this order: file size, magic, layout version, ABI fingerprint, geometry, checksum. Throws Error naming
/// both values.
Geometry check_header(const Header& header, std::uint64_t actual_file_bytes, const std::string& path);

}  // namespace shmetrics::shm
