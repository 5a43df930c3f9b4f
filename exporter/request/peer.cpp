#include "exporter/request/peer.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace shmetrics::exporter {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr std::array<std::uint8_t, 16> kLoopback6{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

}  // namespace

bool Peer::is_v4() const {
  return std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), address.begin());
}

bool Peer::is_loopback() const {
  if (kind != Kind::kTcp) return false;
  return is_v4() ? address[12] == 127 : address == kLoopback6;
}

Peer Peer::site() const {
  Peer site{.kind = kind, .address = address};
  if (!is_v4()) std::fill(site.address.begin() + 8, site.address.end(), std::uint8_t{0});
  return site;
}

std::string Peer::text() const {
  if (kind == Kind::kUnix) return "unix";
  char buffer[INET6_ADDRSTRLEN] = "";
  if (is_v4()) {
    inet_ntop(AF_INET, address.data() + kMappedPrefix.size(), buffer, sizeof buffer);
    return std::string(buffer) + ":" + std::to_string(port);
  }
  inet_ntop(AF_INET6, address.data(), buffer, sizeof buffer);
  return "[" + std::string(buffer) + "]:" + std::to_string(port);
}

std::string Peer::site_text() const {
  std::string site_only = site().text();
  site_only.resize(std::min(site_only.rfind(":0"), site_only.size()));
  if (kind == Kind::kUnix || is_v4()) return site_only;
  return site_only.substr(1, site_only.size() - 2) + "/64";
}

Peer peer_of(const sockaddr* address) {
  Peer peer;
  if (address->sa_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, address, sizeof v4);
    std::copy(kMappedPrefix.begin(), kMappedPrefix.end(), peer.address.begin());
    std::memcpy(peer.address.data() + kMappedPrefix.size(), &v4.sin_addr, sizeof v4.sin_addr);
    peer.port = ntohs(v4.sin_port);
  } else if (address->sa_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, address, sizeof v6);
    std::memcpy(peer.address.data(), &v6.sin6_addr, sizeof v6.sin6_addr);
    peer.port = ntohs(v6.sin6_port);
  } else {
    peer.kind = Peer::Kind::kUnix;
  }
  return peer;
}

}  // namespace shmetrics::exporter
