// HTTP/1.1 and WebSocket of one worker: connections wait in coroutines, requests are served by a few threads.
#pragma once

#include <signal.h>

#include "examples/mastercrm/api.hpp"
#include "examples/mastercrm/catalogue.hpp"

namespace mastercrm {

/// Serves connections to `listener` (a descriptor that is listening) until one of `stop` comes, which must be blocked.
void serve(const Catalogue& metrics, const Api& api, int listener, std::size_t threads, const sigset_t& stop);

}  // namespace mastercrm
