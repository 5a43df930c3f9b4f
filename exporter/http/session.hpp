// One connection: reads request headers, never a body, and answers in order until the peer, a deadline or the server
// ends it.
//
// Threads: the io thread. Failure: throws what the handler throws. Lifetime: the context must outlive all sessions.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <functional>
#include <list>

#include "exporter/access/peer_memory.hpp"
#include "exporter/access/peer_owner.hpp"
#include "exporter/http/handler.hpp"
#include "exporter/log.hpp"
#include "exporter/request/limits.hpp"
#include "exporter/scrape/shared_scrapes.hpp"

namespace shmetrics::exporter {

inline constexpr std::chrono::seconds kLingerTimeout{1};  // for the peer to close after us, once all is sent
inline constexpr std::size_t kMaxHeaderBytes = 16 * 1024;

/// What the server knows of a session; lives until the session's coroutine has ended.
struct Connection {
  Peer peer;
  bool is_waiting = true;   // nothing of a request has arrived
  bool was_let_in = false;  // by a credential or as local; such a one makes no room for newcomers
  bool is_dropped = false;  // it made room, and is about to end
  bool is_extra = false;    // took one of the last places: it is let go after one answer
  // Set while the session runs; safe to call at any time in the io thread.
  std::function<void()> hang_up;
  std::function<bool()> is_outdated;  // a reload has changed what it was made under
};

/// Shared by all sessions; outlives them.
struct SessionContext {
  const Site& site;
  const Limits& limits;
  RequestCounts& counts;
  LogThrottle& refusals;
  SharedScrapes& scrapes;
  TrustedUsers trusted_users = {};
  PeerMemory memory = {};
  RateBucket bucket = {};
  std::list<Peer> scraping = {};  // who has a scrape in flight: from the request until its response is written
  bool is_draining = false;       // then each response ends its connection
};

/// Counts a connection that a limit ended, and logs one a minute for each reason.
void note_closed(SessionContext& context, CloseReason reason, const Peer& peer);

using Socket = boost::asio::generic::stream_protocol::socket;  // TCP and unix alike

/// Serves the connection until it ends. Throws what the handler throws; the caller that spawns it has to catch.
boost::asio::awaitable<void> serve(Socket socket, Connection& connection, SessionContext& context);

}  // namespace shmetrics::exporter
