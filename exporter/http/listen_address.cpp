#include "exporter/http/listen_address.hpp"

#include <sys/un.h>

#include <charconv>
#include <stdexcept>

namespace shmetrics::exporter {
namespace {

constexpr std::string_view kUnix = "unix:";

bool is_port(std::string_view text) {
  unsigned value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc{} && stop == end && value <= 65535;
}

[[noreturn]] void refuse(std::string_view text, const char* reason) {
  throw std::invalid_argument("--web.listen-address " + std::string(text) + ": " + reason +
                              "; give :PORT, HOST:PORT, [::1]:PORT or unix:/PATH");
}

ListenAddress parse_unix(std::string_view text) {
  const std::string_view path = text.substr(kUnix.size());
  if (!path.starts_with('/')) refuse(text, "the path of a unix socket begins with a slash");
  if (path.size() >= sizeof(sockaddr_un::sun_path)) refuse(text, "the path of a unix socket has at most 107 bytes");
  return {.text = std::string(text), .path = std::string(path), .host = {}, .port = {}};
}

}  // namespace

ListenAddress parse_listen_address(std::string_view text) {
  if (text.starts_with(kUnix)) return parse_unix(text);
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    refuse(text, is_port(text) ? "the colon before the port is missing" : "the port is missing");
  }
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (!is_port(port)) refuse(text, "a port is a number up to 65535");
  if (host.starts_with('[') && host.ends_with(']') && host.size() > 2) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find_first_of(":[]/ ") != std::string_view::npos) {
    refuse(text, "this is no host; IPv6 goes in brackets");
  }
  return {.text = std::string(text), .path = {}, .host = std::string(host), .port = std::string(port)};
}

}  // namespace shmetrics::exporter
