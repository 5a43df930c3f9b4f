#include "exporter/request/foreign_sign.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <string>

namespace shmetrics::exporter {
namespace {

bool is_loopback4(std::string_view host) {
  in_addr address;
  // inet_pton and not inet_aton: that one takes 127.1 and octal, and browsers do not agree with it.
  return inet_pton(AF_INET, std::string(host).c_str(), &address) == 1 && (ntohl(address.s_addr) >> 24) == 127;
}

bool is_local_host(std::string_view host) {
  const std::size_t name_end = host.starts_with('[') ? std::min(host.find(']'), host.size()) : 0;
  const std::size_t colon = host.find(':', name_end);
  const std::string_view name = host.substr(0, colon);
  if (colon != std::string_view::npos) {
    const std::string_view port = host.substr(colon + 1);
    if (port.size() > 5 || port.find_first_not_of("0123456789") != std::string_view::npos) return false;
  }
  return same_name(name, "localhost") || name == "[::1]" || is_loopback4(name);
}

/// What proxies, load balancers and content networks are known to add, and browsers for a page of somebody else's. One
/// with a star at its end stands for all that begin so.
constexpr std::string_view kForeignHeaders[] = {
    "X-Forwarded*",   "Forwarded*",    "X-Original-*", "X-Envoy-*",      "Cf-*",      "Fastly-*",
    "Fly-*",          "Tailscale-*",   "X-Azure-*",    "X-Amzn-*",       "X-Real-IP", "Via",
    "Origin",         "X-Client-IP",   "Client-IP",    "True-Client-IP", "CDN-Loop",  "X-Cluster-Client-IP",
    "X-ProxyUser-Ip", "WL-Proxy-*",    "X-Host",       "X-Request-Id",   "Proxy-*",   "Max-Forwards",
    "X-Varnish",      "X-NginX-Proxy", "X-Proxy-*"};

bool is_named_by(std::string_view header, std::string_view pattern) {
  if (!pattern.ends_with('*')) return same_name(header, pattern);
  pattern.remove_suffix(1);
  return same_name(header.substr(0, pattern.size()), pattern);
}

/// How we spell the field's name; empty when it betrays nothing.
std::string_view foreign_header(const Field& f) {
  for (const std::string_view pattern : kForeignHeaders) {
    if (is_named_by(f.name, pattern)) return pattern;
  }
  const bool is_foreign_page = same_name(f.name, "Sec-Fetch-Site") && f.value != "none" && f.value != "same-origin";
  return is_foreign_page ? "Sec-Fetch-Site" : std::string_view();
}

}  // namespace

const char* name_of(ForeignSign::Kind kind) {
  constexpr std::array kNames{"peer", "version", "host", "header", "peer_uid"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::optional<ForeignSign> foreign_sign_of(const Head& head, const Peer& peer) {
  using Kind = ForeignSign::Kind;
  if (peer.kind != Peer::Kind::kUnix && !peer.is_loopback()) return ForeignSign{Kind::kPeer};
  if (head.version != 11) return ForeignSign{Kind::kVersion};
  if (count_fields(head, "Host") != 1 || !is_local_host(field(head, "Host"))) return ForeignSign{Kind::kHost};
  for (const Field& f : head.fields) {
    if (const std::string_view header = foreign_header(f); !header.empty()) return ForeignSign{Kind::kHeader, header};
  }
  return std::nullopt;
}

}  // namespace shmetrics::exporter
