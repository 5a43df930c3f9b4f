// Where to listen, as --web.listen-address says it. Pure.
//
// Threads: any. Failure: std::invalid_argument with one line. Lifetime: values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace shmetrics::exporter {

struct ListenAddress {
  std::string text;  // as given, for messages
  std::string path;  // of a unix socket; empty for TCP
  std::string host;  // name or number without brackets; empty means every interface, IPv4 and IPv6
  std::string port;  // decimal; "0" lets the kernel choose

  bool is_unix() const { return !path.empty(); }
};

/// `:port`, `host:port`, `[v6]:port` or `unix:/path`. Throws std::invalid_argument with a line that shows the forms.
ListenAddress parse_listen_address(std::string_view text);

}  // namespace shmetrics::exporter
