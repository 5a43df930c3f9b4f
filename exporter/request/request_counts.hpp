// The exporter's counts of its own work.
//
// Threads: the io thread; a copy may go elsewhere. Failure: std::bad_alloc alone. Lifetime: that of the program.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>

#include "exporter/request/limits.hpp"

namespace shmetrics::exporter {

/// What a request was for; the label `handler` of shmetrics_exporter_requests_total.
enum class Route { kMetrics, kHealth, kIndex, kUi, kOther };
const char* name_of(Route route);

/// What limits did to connections; of the io thread.
struct ConnectionCounts {
  std::array<std::uint64_t, kCloseReasonNames.size()> closed{};
  std::uint64_t accept_failures = 0;

  void count(CloseReason reason) { ++closed[static_cast<std::size_t>(reason)]; }
};

struct RequestCounts {
  RequestCounts();
  void count(unsigned status, Route route) { ++answered[{status, route}]; }

  /// (code, handler) -> answered. 200, 401, 429 and 503 of the metrics path exist from the start, so that rate() sees
  /// their first one.
  std::map<std::pair<unsigned, Route>, std::uint64_t> answered;
  std::uint64_t in_flight = 0;             // answered but not yet written out included
  std::uint64_t query_token_requests = 0;  // let in by one
  bool is_last_reload_successful = true;
  double certificate_expiry = 0;   // Unix time in seconds; 0 without TLS
  double last_reload_success = 0;  // Unix time in seconds; the start counts
  ConnectionCounts connections;
};

}  // namespace shmetrics::exporter
