// Listeners, the io loop and its end. No Boost in sight of main.
//
// Threads: the one that calls run() is the io thread. Failure: std::runtime_error before run(); within it a fault ends
// its connection alone. Lifetime: what it is given must outlive it.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "exporter/http/handler.hpp"
#include "exporter/http/listen_address.hpp"
#include "exporter/request/limits.hpp"
#include "exporter/scrape/scrape_source.hpp"

namespace shmetrics::exporter {

inline constexpr std::chrono::seconds kDrainTimeout{5};
inline constexpr std::chrono::seconds kPollPeriod{1};          // how often configuration files are looked at
inline constexpr std::chrono::milliseconds kAcceptPause{100};  // after accept(2) failed, for example out of descriptors

class Server {
 public:
  /// Takes over SIGTERM, SIGINT and SIGHUP, ignores SIGPIPE. All arguments must outlive it.
  Server(const Site& site, const ScrapeSource& source, const Limits& limits, RequestCounts& counts);
  ~Server();  // removes the unix sockets that it made

  /// Binds and listens; the kernel queues connections from now on. A host name or `:port` may stand for several
  /// sockets. Throws std::runtime_error with one line that names address and flag.
  void listen(const ListenAddress& address);
  /// On the sockets that systemd passed; throws std::runtime_error likewise.
  void listen_for_systemd();

  /// Whether other machines can reach what was listened on so far.
  bool is_reachable() const;

  /// What to do on SIGHUP, and every kPollPeriod; called in run(). Neither may throw.
  void reload_by(std::function<void()> on_signal, std::function<void()> on_poll);

  /// Serves until SIGTERM or SIGINT: then accepts no more, lets responses under way end for kDrainTimeout at most,
  /// returns. A second signal ends it at once.
  void run();

  /// Ends the process with exit code 0, as returning from main would, but without waiting for threads that are in the
  /// middle of a look at a segment or of a password: neither can be stopped, and both only read.
  [[noreturn]] void end_process();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace shmetrics::exporter
