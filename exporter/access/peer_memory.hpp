// What is remembered of peers by their sites: who guesses credentials, and who was let in.
//
// Threads: the io thread. Failure: std::bad_alloc alone. Lifetime: that of the server; the site that was quiet for
// longest makes room.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>

#include "exporter/request/peer.hpp"

namespace shmetrics::exporter {

class PeerMemory {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// A credential of this peer's was wrong.
  void note_wrong(const Peer& peer, Time now);
  /// The peer was let in.
  void note_right(const Peer& peer, Time now);

  /// How long an answer that tells whether a credential is right waits: 0 after the first three wrong ones, then twice
  /// as long each time, 2 s at most. A minute without a wrong one forgets all of them. Who is right may be answered at
  /// once.
  std::chrono::milliseconds pause_for(const Peer& peer, Time now) const;
  bool was_let_in(const Peer& peer) const { return let_in_.contains(peer.site()); }

 private:
  struct Wrongs {
    std::size_t count = 0;
    Time last;
  };
  std::map<Peer, Wrongs> wrong_;
  std::map<Peer, Time> let_in_;
};

}  // namespace shmetrics::exporter
