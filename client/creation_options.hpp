// The options of a new segment file: from Options, then the environment, then defaults.
//
// Threads: any; not while another thread changes the environment. Failure: throws shm::Error. Lifetime: values.
#pragma once

#include <string>

#include <shmetrics/shmetrics.hpp>
#include "shm/segment.hpp"

namespace shmetrics::detail {

/// Throws shm::Error when a variable of the environment is not what it should be.
shm::CreationOptions creation_options(const Options& options);

/// What the file behind `fd` lacks of the mode that was asked for, in a line; empty when it lacks nothing.
std::string narrower_mode(const std::string& path, int fd, const Options& options);

/// Whether mistakes are not to be said on stderr.
bool is_quiet(const Options& options);

}  // namespace shmetrics::detail
