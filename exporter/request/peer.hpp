// Who is at the other end of a connection. Pure.
//
// Threads: any. Failure: std::bad_alloc alone. Lifetime: values.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>

struct sockaddr;

namespace shmetrics::exporter {

/// An IPv4 address is kept v4-mapped (::ffff:a.b.c.d), however the kernel handed it over, so one address has one form
/// (boost::asio calls v4-mapped loopback not a loopback).
struct Peer {
  enum class Kind { kUnix, kTcp };
  Kind kind = Kind::kTcp;
  std::array<std::uint8_t, 16> address{};
  std::uint16_t port = 0;

  /// Whether `address` is a v4-mapped one, whose last four bytes count.
  bool is_v4() const;
  /// 127.0.0.0/8 or ::1; false for unix sockets.
  bool is_loopback() const;
  /// Of an IPv4 address that address, of an IPv6 one its /64, of which one machine has all 2^64; no port.
  Peer site() const;
  bool same_site(const Peer& other) const { return site() == other.site(); }
  auto operator<=>(const Peer&) const = default;
  /// `127.0.0.1:4711`, `[::1]:4711` or `unix`, for log lines.
  std::string text() const;
  /// `127.0.0.1`, `2001:db8::/64` or `unix`.
  std::string site_text() const;
};

/// From what accept(2) gave. Families other than AF_INET and AF_INET6 are unix sockets: no other kind is listened on.
Peer peer_of(const sockaddr* address);

}  // namespace shmetrics::exporter
