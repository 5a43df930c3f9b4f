// Whose segments the exporter believes. A file in a folder that everybody may write into, such as /dev/shm, can be
// anybody's: whoever made it first would be served under the application's name.
//
// Threads: any. Failure: std::invalid_argument for a name that nobody has; a refusal is a line. Lifetime: values.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "exporter/user_namespace.hpp"

namespace shmetrics::exporter {

/// Beside the exporter's own user and root. Safe from any thread.
struct SegmentOwners {
  std::vector<uid_t> users;   // of --segment.owner
  std::vector<gid_t> groups;  // of --segment.group
  /// Where a file belongs to him, nobody knows whose it is: believed only if he is one of the users above.
  std::optional<uid_t> stands_for_others = stand_in_for_others();

  /// Why this open file must not be read, in one line; empty when it may. A file is believed that belongs to this
  /// process's user, to root, to one of these, or to the owner of its folder if nobody else may write there.
  std::string refusal(int file, const std::string& path) const;
};

/// A name or a number. Throws std::invalid_argument with one line that says what to do.
uid_t parse_user(const std::string& text);
gid_t parse_group(const std::string& text);

}  // namespace shmetrics::exporter
