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

bool Peer::same_site(const Peer& other) const {
  if (kind != other.kind || is_v4() != other.is_v4()) return false;
  const auto end = address.begin() + (is_v4() ? 16 : 8);
  return std::equal(address.begin(), end, other.address.begin());
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
