// Listening sockets from systemd, and the state of the service for systemd (sd_listen_fds(3), sd_notify(3)).
// Without libsystemd at build time no socket can be taken, and nothing is told.
//
// Threads: one, since it changes the environment. Failure: std::runtime_error with one line. Lifetime: the caller owns
// the sockets.
#pragma once

#include <vector>

namespace shmetrics::exporter {

/// The descriptors of the listening sockets that were passed (LISTEN_FDS), named or not; they belong to the caller and
/// are closed on exec. The variables are removed, so a second call finds none. Throws std::runtime_error with one line
/// when there are none, when one is not a TCP or unix stream socket that listens, or without libsystemd.
std::vector<int> take_systemd_sockets();

enum class ServiceState { kReady, kReloading, kStopping };

/// Does nothing when no systemd asked for it (NOTIFY_SOCKET); failures are not reported: nobody could act on them.
void tell_systemd(ServiceState state);

}  // namespace shmetrics::exporter
