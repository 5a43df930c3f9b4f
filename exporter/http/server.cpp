#include "exporter/http/server.hpp"

#include <netinet/tcp.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <cstdlib>
#include <list>
#include <optional>

#include "exporter/http/listener.hpp"
#include "exporter/http/session.hpp"
#include "exporter/http/systemd.hpp"

namespace shmetrics::exporter {
namespace {

namespace asio = boost::asio;
using Error = boost::system::error_code;

using UnsentLimit = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_NOTSENT_LOWAT>;

/// A segment that takes longer is no reason to call the start a failure.
constexpr std::chrono::seconds kFirstLookPatience{5};

constexpr const char* kNoFamily = "";  // no family has this name

/// If connections that were let in hold all other places, one place in so many is left for short connections of one
/// answer: a health probe, or a scraper that connects again.
constexpr std::size_t kPartOfLastPlaces = 16;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

std::string text_of(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "an unknown exception";
  }
}

}  // namespace

struct Server::State {
  State(const Site& site, const ScrapeSource& source, const Limits& limits, RequestCounts& counts)
      : shared{.site = site, .limits = limits, .counts = counts, .refusals = throttle, .scrapes = scrapes},
        scrapes(context, source, counts, limits.max_inflight_bytes) {}

  void accept_on(Listener& listener);
  asio::awaitable<void> accept_loop(Listener& listener);
  void admit(Socket socket);
  /// Drops a connection that was never let in, of the given site or of any. False: there is none.
  bool make_room(const Peer* site, CloseReason reason);
  /// Why there is no place for one more of this peer's, after making room where that is possible. `is_extra`: it is one
  /// of the last.
  std::optional<CloseReason> is_full_for(const Peer& peer, bool& is_extra);
  void await_signal();
  void await_hangup();
  void await_poll();
  void look_first();
  void end_outdated();
  void drain();

  // Before the context, whose end destroys the sessions that are still under way. What collects ends before that: it
  // posts to the context.
  std::list<Connection> connections;
  LogThrottle throttle;
  SessionContext shared;

  asio::io_context context{1};
  SharedScrapes scrapes;
  asio::signal_set signals{context, SIGTERM, SIGINT};
  asio::signal_set hangups{context, SIGHUP};
  asio::steady_timer drain_timer{context}, poll_timer{context};
  std::function<void()> on_hangup, on_poll;
  std::list<Listener> listeners;
  std::list<SocketFile> socket_files;
};

void Server::State::accept_on(Listener& listener) {
  asio::co_spawn(context, accept_loop(listener), [this, &listener](std::exception_ptr exception) {
    if (exception == nullptr || shared.is_draining) return;
    // A listener that no longer accepts would look alive from outside, so it starts again.
    log(LogLevel::kError, "accepting failed, starting again",
        {{"address", listener.text}, {"error", text_of(exception)}});
    accept_on(listener);
  });
}

asio::awaitable<void> Server::State::accept_loop(Listener& listener) {
  asio::steady_timer pause(context);
  while (!shared.is_draining) {
    auto [error, socket] = co_await listener.acceptor.async_accept(kAwait);
    if (!error) {
      admit(std::move(socket));
      continue;
    }
    if (error == asio::error::operation_aborted || error == asio::error::connection_aborted) continue;
    // Out of descriptors or memory: the connection stays queued, so asking again at once would burn the processor.
    ++shared.counts.connections.accept_failures;
    throttle.log("cannot accept", LogLevel::kWarn, "cannot accept", {{"error", error.message()}});
    pause.expires_after(kAcceptPause);
    co_await pause.async_wait(kAwait);
  }
}

bool Server::State::make_room(const Peer* site, CloseReason reason) {
  Connection* victim = nullptr;
  for (Connection& connection : connections) {
    if (connection.was_let_in || connection.is_dropped || (site != nullptr && !connection.peer.same_site(*site)))
      continue;
    // The oldest, of a peer that was never let in if there is one.
    const bool is_known = shared.memory.was_let_in(connection.peer);
    if (victim == nullptr || !is_known) victim = &connection;
    if (!is_known) break;
  }
  if (victim == nullptr) return false;
  victim->is_dropped = true;
  note_closed(shared, reason, victim->peer);
  if (victim->hang_up) victim->hang_up();
  return true;
}

std::optional<CloseReason> Server::State::is_full_for(const Peer& peer, bool& is_extra) {
  std::size_t all = 0, of_peer = 0;
  for (const Connection& connection : connections) {
    if (connection.is_dropped) continue;
    ++all;
    of_peer += connection.peer.same_site(peer) ? 1 : 0;
  }
  if (of_peer >= shared.limits.max_connections_per_peer) {
    if (make_room(&peer, CloseReason::kMaxConnectionsPerPeer)) return std::nullopt;
    return CloseReason::kMaxConnectionsPerPeer;
  }
  const std::size_t most = shared.limits.max_connections;
  if (all + most / kPartOfLastPlaces < most || make_room(nullptr, CloseReason::kMaxConnections)) return std::nullopt;
  is_extra = true;
  return all < most ? std::nullopt : std::optional(CloseReason::kMaxConnections);
}

void Server::State::admit(Socket socket) {
  Error error;
  const auto endpoint = socket.remote_endpoint(error);
  if (error) return;  // gone again
  const Peer peer = peer_of(endpoint.data());
  bool is_extra = false;
  if (const auto reason = is_full_for(peer, is_extra)) return note_closed(shared, *reason, peer);
  if (peer.kind == Peer::Kind::kTcp) {
    socket.set_option(asio::ip::tcp::no_delay(true), error);
    socket.set_option(UnsentLimit(kWriteChunkBytes), error);
  }
  const auto connection = connections.insert(
      connections.end(), Connection{.peer = peer, .is_extra = is_extra, .hang_up = {}, .is_outdated = {}});
  const auto finish = [this, connection](std::exception_ptr exception) {
    if (exception) log(LogLevel::kError, "a connection failed", {{"error", text_of(exception)}});
    connections.erase(connection);
    if (shared.is_draining && connections.empty()) context.stop();
  };
  asio::co_spawn(context, serve(std::move(socket), *connection, shared), finish);
}

void Server::State::await_signal() {
  signals.async_wait([this](const Error& error, int) {
    if (error) return;
    if (shared.is_draining) return context.stop();
    drain();
    await_signal();
  });
}

void Server::State::await_hangup() {
  hangups.async_wait([this](const Error& error, int) {
    if (error) return;
    if (on_hangup && !shared.is_draining) {
      tell_systemd(ServiceState::kReloading);
      on_hangup();
      end_outdated();
      tell_systemd(ServiceState::kReady);
    }
    await_hangup();
  });
}

void Server::State::await_poll() {
  poll_timer.expires_after(kPollPeriod);
  poll_timer.async_wait([this](const Error& error) {
    if (error || shared.is_draining) return;
    on_poll();
    end_outdated();
    await_poll();
  });
}

// So the log says at once which segments there are, and the first scrape finds them mapped.
void Server::State::look_first() {
  const auto get_ready = [this](const std::exception_ptr&, const SharedScrapes::Outcome&) {
    if (!shared.is_draining) tell_systemd(ServiceState::kReady);
  };
  const auto deadline = std::chrono::steady_clock::now() + kFirstLookPatience;
  asio::co_spawn(context, scrapes.get({.representation = {}, .names = {kNoFamily}}, {}, deadline), get_ready);
}

void Server::State::end_outdated() {
  // Those that are answering something see for themselves.
  for (Connection& connection : connections) {
    if (connection.is_waiting && connection.is_outdated && connection.is_outdated()) connection.hang_up();
  }
}

void Server::State::drain() {
  log(LogLevel::kInfo, "stopping", {{"connections", std::to_string(connections.size())}});
  tell_systemd(ServiceState::kStopping);
  shared.is_draining = true;
  Error ignored;
  for (Listener& listener : listeners) listener.acceptor.close(ignored);
  for (Connection& connection : connections) {
    if (connection.is_waiting && connection.hang_up) connection.hang_up();
  }
  if (connections.empty()) return context.stop();
  drain_timer.expires_after(kDrainTimeout);
  drain_timer.async_wait([this](const Error&) { context.stop(); });
}

Server::Server(const Site& site, const ScrapeSource& source, const Limits& limits, RequestCounts& counts)
    : state_(std::make_unique<State>(site, source, limits, counts)) {
  std::signal(SIGPIPE, SIG_IGN);
}

Server::~Server() = default;

void Server::listen(const ListenAddress& address) {
  for (Listener& listener : open_listeners(state_->context, address, state_->listeners)) {
    state_->listeners.push_back(std::move(listener));
  }
  if (address.is_unix()) state_->socket_files.emplace_back(address.path);
}

void Server::listen_for_systemd() {
  for (Listener& listener : adopt_systemd_listeners(state_->context)) state_->listeners.push_back(std::move(listener));
}

bool Server::is_reachable() const {
  return std::ranges::any_of(state_->listeners, [](const Listener& listener) {
    Error error;
    const auto endpoint = listener.acceptor.local_endpoint(error);
    const Peer own = peer_of(endpoint.data());
    return !error && own.kind == Peer::Kind::kTcp && !own.is_loopback();
  });
}

void Server::reload_by(std::function<void()> on_signal, std::function<void()> on_poll) {
  state_->on_hangup = std::move(on_signal);
  state_->on_poll = std::move(on_poll);
}

void Server::run() {
  for (Listener& listener : state_->listeners) {
    log(LogLevel::kInfo, "listening", {{"address", listener.text}});
    state_->accept_on(listener);
  }
  state_->await_signal();
  state_->await_hangup();
  if (state_->on_poll) state_->await_poll();
  state_->look_first();
  while (true) {
    try {
      state_->context.run();
      return;
    } catch (const std::exception& error) {
      // Beast 1.81 lets some parser exceptions out here, past every handler; one bad peer must not end the exporter.
      log(LogLevel::kError, "an exception left the io loop", {{"error", error.what()}});
    }
  }
}

void Server::end_process() {
  state_->socket_files.clear();
  std::_Exit(0);
}

}  // namespace shmetrics::exporter
