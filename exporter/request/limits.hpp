// What one peer, and all of them together, may take of the exporter: the numbers, and the names of what happens when
// one of them is reached.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace shmetrics::exporter {

struct Limits {
  std::size_t max_connections = 512;                // more are closed at once
  std::size_t max_connections_per_peer = 64;        // by address, IPv6 by /64; unix peers count as one
  std::size_t max_requests = 40;                    // scrapes in flight; 0 = no limit
  std::uint64_t max_response_bytes = 256ULL << 20;  // of the families, before compression
  // Deadlines for a whole step and not for a pause between bytes, so that a peer that trickles gains nothing.
  std::chrono::milliseconds header_timeout{10'000};  // from accept, or from the first byte of a later request
  std::chrono::milliseconds idle_timeout{60'000};    // between two requests
  std::chrono::milliseconds write_timeout{30'000};   // for each kWriteChunkBytes of a response, and what is left
};

/// A deadline for the whole response would cut a slow client of a big one that is honest; one that every byte extends,
/// a client could stretch for days. This asks for 9 KiB a second at the default. The kernel is told to keep no more
/// than this unsent of a connection: else it takes megabytes at a time, and the deadline would be one for those.
inline constexpr int kWriteChunkBytes = 256 * 1024;

/// Then the response ends its connection. Enough for four hours of scrapes every 15 s; few enough that a peer that
/// stays connected comes to see a new certificate, and that a pipeline ends.
inline constexpr std::size_t kMaxRequestsPerConnection = 1000;

/// The label `reason` of shmetrics_exporter_connections_closed_total.
enum class CloseReason {
  kMaxConnections,
  kMaxConnectionsPerPeer,
  kHeaderTimeout,
  kIdleTimeout,
  kWriteTimeout,
  kMaxRequests
};
inline constexpr std::array kCloseReasonNames{
    "max_connections", "max_connections_per_peer", "header_timeout", "idle_timeout", "write_timeout", "max_requests"};
constexpr const char* name_of(CloseReason reason) {
  return kCloseReasonNames[static_cast<std::size_t>(reason)];
}

}  // namespace shmetrics::exporter
