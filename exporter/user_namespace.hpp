// The user namespace that this process is in.
//
// Threads: any. Failure: none; without /proc, the namespace is taken for one that holds only some users. Lifetime:
// values.
#pragma once

#include <sys/types.h>

#include <optional>

namespace shmetrics::exporter {

/// The user id that the kernel shows for every user outside our user namespace (/proc/sys/kernel/overflowuid). As owner
/// of a file or socket it says nothing. No value if our namespace holds all users.
std::optional<uid_t> stand_in_for_others();

}  // namespace shmetrics::exporter
