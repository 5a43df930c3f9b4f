// A small file that the operator maintains: tokens, certificates, the web configuration.
//
// Threads: any. Failure: std::runtime_error with one line; a file that is missing has a stamp too. Lifetime: values.
#pragma once

#include <sys/types.h>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace shmetrics::exporter {

inline constexpr std::size_t kMaxConfigFileBytes = 1024 * 1024;

/// The whole text. `what` is how messages call it, for example `--web.token-file`. Throws std::runtime_error with one
/// line when it cannot be read, is no regular file or is longer than kMaxConfigFileBytes.
std::string read_config_file(const std::string& path, const std::string& what);

/// Changes when the file does, or a directory or a link on the way to it: editors put a new file in the place of the
/// old one, Kubernetes swaps a link to a directory. All 0 while there is no such file.
struct FileStamp {
  dev_t device = 0;
  ino_t inode = 0;
  off_t size = 0;
  std::int64_t modified_ns = 0, changed_ns = 0;
  mode_t mode = 0;
  auto operator<=>(const FileStamp&) const = default;
};
FileStamp stamp_of(const std::string& path);
using FileStamps = std::map<std::string, FileStamp>;  // by path

}  // namespace shmetrics::exporter
