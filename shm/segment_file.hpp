// The file of a segment: where it is by default, which one it is, and how to open it once more.
//
// Threads: any; not while another thread changes the environment. Failure: by result; std::bad_alloc from what returns
// a string. Lifetime: values.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "shm/descriptor.hpp"

namespace shmetrics::shm {

inline constexpr char kPathVariable[] = "SHMETRICS_SEGMENT";

/// A variable of the environment. Empty if it is not set, or if this program has more rights than its user: then the
/// environment is not to be trusted (secure_getenv(3)).
std::string_view variable(const char* name) noexcept;
/// Whether the variable is set and not to be trusted.
bool is_ignored_variable(const char* name) noexcept;

/// $SHMETRICS_SEGMENT; else /dev/shm/shmetrics.seg for root, and /dev/shm/shmetrics-EUID.seg for any other user, so
/// that users do not meet at one path.
std::string default_path();

/// Which file a path or descriptor stands for; equal means the same inode.
struct FileId {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const FileId&) const = default;
};
/// The file behind a descriptor or a path; nothing when there is none.
std::optional<FileId> file_id(int fd) noexcept;
std::optional<FileId> file_id(const std::string& path) noexcept;

/// A mapping's file, as needed to open it again.
struct SegmentFile {
  int kept_fd = -1;  // never carries a lock
  const char* path = nullptr;
  FileId id;
  Descriptor* spare = nullptr;  // of the same file, never locked: used up by a claim that cannot open it again
};

/// Opens the same file again with a descriptor of its own, fit to carry a lock: through `kept` while it still is the
/// file `id`, else by path. Returns an empty Descriptor when neither leads to that file. Also used after fork.
Descriptor reopen(int kept, const char* path, FileId id) noexcept;

/// The same file by a number above 2. A daemon that has closed 0 to 2 would get one of these, and its next message to
/// stderr would go into the segment.
Descriptor above_stderr(Descriptor file) noexcept;

}  // namespace shmetrics::shm
