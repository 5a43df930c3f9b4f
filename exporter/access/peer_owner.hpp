// Whose process is at the other end of a connection of this machine.
//
// A loopback address says that the peer is here, not that it may read everything: a proxy here speaks for the world. So
// the kernel is asked who owns the peer's socket. A forwarder that runs as our own user or as root still looks local.
//
// Threads: one thread. Failure: by result; nothing throws. Lifetime: a call keeps nothing.
#pragma once

#include <sys/types.h>
#include <optional>

namespace shmetrics::exporter {

/// The owner of the peer's socket, of a connected TCP socket on loopback or of a unix socket, as seen in our user
/// namespace. Nothing when the kernel does not tell: no NETLINK_SOCK_DIAG here, or the peer has closed its socket or
/// has bound it to a device.
/// Does not block. For one thread, throws nothing.
std::optional<uid_t> owner_of_peer(int socket);

/// Whom we trust like ourselves: our effective user, and root. But where our user namespace does not hold all users,
/// never the one that stands for all those outside.
class TrustedUsers {
 public:
  TrustedUsers();
  TrustedUsers(uid_t own, std::optional<uid_t> stands_for_others) : own_(own), stands_for_others_(stands_for_others) {}
  bool includes(uid_t user) const { return (user == own_ || user == 0) && user != stands_for_others_; }

 private:
  uid_t own_;
  std::optional<uid_t> stands_for_others_;
};

}  // namespace shmetrics::exporter
