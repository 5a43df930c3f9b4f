// Turns faults into std::error_code with a message of its own: one line that names both values and the remedy.
//
// Threads: any. Failure: none: without memory the message names the fault alone. Lifetime: texts live as long as the
// process.
#pragma once

#include <string_view>
#include <system_error>

#include "shm/error.hpp"

namespace shmetrics::detail {

/// An error_code whose message() is `message`. Equal messages share a code; texts live until the process ends.
/// Lock-free, so that a fork in between does no harm; when its 1,024 places are used up, the message names the fault
/// alone.
std::error_code make_error(shm::Fault fault, std::string_view message) noexcept;

/// The one for std::bad_alloc.
std::error_code no_memory() noexcept;

/// The message of such an error_code; lives until the process ends.
const char* message_of(const std::error_code& error) noexcept;

}  // namespace shmetrics::detail
