#include "exporter/http/systemd.hpp"

#include <stdexcept>

#ifdef SHMETRICS_HAS_SYSTEMD
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include <chrono>
#include <string>
#endif

namespace shmetrics::exporter {

#ifdef SHMETRICS_HAS_SYSTEMD

std::vector<int> take_systemd_sockets() {
  const int count = sd_listen_fds(1);
  if (count <= 0) {
    throw std::runtime_error(
        "--web.systemd-socket: systemd passed no socket; start this by a .socket unit, or give --web.listen-address");
  }
  std::vector<int> sockets;
  for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + count; ++fd) {
    bool is_served = false;
    for (const int family : {AF_INET, AF_INET6, AF_UNIX}) {
      is_served = is_served || sd_is_socket(fd, family, SOCK_STREAM, 1) > 0;
    }
    if (!is_served) {
      throw std::runtime_error("--web.systemd-socket: descriptor " + std::to_string(fd) +
                               " is no TCP or unix socket that listens; use ListenStream= and Accept=no");
    }
    sockets.push_back(fd);
  }
  return sockets;
}

void tell_systemd(ServiceState state) {
  if (state == ServiceState::kReady) {
    sd_notify(0, "READY=1");
  } else if (state == ServiceState::kStopping) {
    sd_notify(0, "STOPPING=1");
  } else {
    // The time tells systemd that the READY=1 to come is newer; steady_clock is CLOCK_MONOTONIC.
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    const auto now_us = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", static_cast<long long>(now_us));
  }
}

#else

std::vector<int> take_systemd_sockets() {
  throw std::runtime_error("--web.systemd-socket is not built in; build with libsystemd-dev installed");
}

void tell_systemd(ServiceState) {}

#endif

}  // namespace shmetrics::exporter
