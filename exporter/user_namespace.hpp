// The user namespace that this process is in.
//
// Threads: any. Failure: none; what /proc does not say is taken for a part. Lifetime: values.
#pragma once

#include <sys/types.h>

#include <optional>

namespace shmetrics::exporter {

/// Who stands for all users that our user namespace does not hold (/proc/sys/kernel/overflowuid): as owner of a file
/// or a socket it says nothing. Nobody where the namespace holds all.
std::optional<uid_t> stand_in_for_others();

}  // namespace shmetrics::exporter
