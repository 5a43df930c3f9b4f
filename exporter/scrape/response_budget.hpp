// Bounds the bytes of responses that were made and are not yet sent: for all peers together, and for each peer to half
// of that. So no peer shuts out the others.
//
// Threads: any. Failure: std::bad_alloc alone. Lifetime: what is kept may outlive it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "exporter/request/peer.hpp"

namespace shmetrics::exporter {

class ResponseBudget {
 public:
  explicit ResponseBudget(std::uint64_t most_bytes) : most_bytes_(most_bytes) {}

  /// Whether one more may be made for this peer. It may be of any size.
  bool has_room_for(const Peer& peer) const;
  /// Counts it as this peer's until nobody has it any more.
  std::shared_ptr<const std::string> keep(std::string text, const Peer& peer);

 private:
  struct Held {
    std::mutex mutex;
    std::uint64_t bytes = 0;
    std::map<Peer, std::uint64_t> of_sites;
  };
  const std::uint64_t most_bytes_;
  const std::shared_ptr<Held> held_ = std::make_shared<Held>();
};

}  // namespace shmetrics::exporter
