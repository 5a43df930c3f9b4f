// What shows that a request was not made by a program of this machine for itself. Pure.
//
// Threads: any. Failure: std::bad_alloc alone. Lifetime: values.
#pragma once

#include <optional>
#include <string_view>

#include "exporter/request/head.hpp"
#include "exporter/request/peer.hpp"

namespace shmetrics::exporter {

/// The first sign that was found. `cause` is its word in log lines.
struct ForeignSign {
  enum class Kind {
    kPeer,     // neither loopback nor a unix socket
    kVersion,  // not HTTP/1.1
    kHost,     // DNS rebinding has another name
    kHeader,   // what a proxy or a browser on a foreign page adds
    kPeerUid,  // the peer's process belongs to a user whom we do not trust; the request itself cannot tell
  };
  Kind kind = Kind::kPeer;
  std::string_view header = {};  // of kHeader: its name, one of our own constants
};
const char* name_of(ForeignSign::Kind kind);

/// None for a loopback or unix peer, HTTP/1.1, exactly one Host, which is localhost, 127.0.0.0/8 or [::1] with any
/// port, no field that a proxy adds, no Origin, and Sec-Fetch-Site absent, none or same-origin.
std::optional<ForeignSign> foreign_sign_of(const Head& head, const Peer& peer);

}  // namespace shmetrics::exporter
