// The exporter's limits for one client and for all of them together: the numbers, and the names of what happens when
// one of them is reached.
//
// Threads: any. Failure: none. Lifetime: values.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace shmetrics::exporter {

struct Limits {
  std::size_t max_connections = 512;                // more are closed at once
  std::size_t max_connections_per_peer = 64;        // by address, IPv6 by /64; unix peers count as one
  std::size_t max_requests = 40;                    // scrapes in flight, of a peer half as many; 0 = no limit
  std::uint64_t max_response_bytes = 64ULL << 20;   // of the families, before compression
  std::uint64_t max_inflight_bytes = 128ULL << 20;  // of responses that were made and are not yet sent
  // Deadlines for a whole step and not for a pause between bytes, so that a peer that trickles gains nothing.
  std::chrono::milliseconds header_timeout{10'000};  // from accept, or from the first byte of a later request
  std::chrono::milliseconds idle_timeout{60'000};    // between two requests
  std::chrono::milliseconds write_timeout{30'000};   // for each kWriteChunkBytes of a response, and what is left
};

/// A deadline for the whole response would cut off honest slow clients. A client could stretch a deadline for each byte
/// for days. So there is one for each such piece: 9 KiB a second at the default. TCP_NOTSENT_LOWAT keeps the kernel
/// from buffering megabytes, which would defeat it.
inline constexpr int kWriteChunkBytes = 256 * 1024;

/// After so many requests the response ends its connection. They are enough for four hours of scrapes every 15 s. They
/// are few enough that a client that stays connected sees a new certificate, and that a pipeline ends.
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
