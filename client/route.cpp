#include <algorithm>

#include <shmetrics/shmetrics.hpp>

namespace shmetrics {
namespace {

constexpr std::string_view kPlaceholder = ":id";
constexpr std::size_t kFewestHexDigits = 16;  // below, a word such as `feedface` would be an id
constexpr std::size_t kUuidBytes = 36;
constexpr std::size_t kUlidBytes = 26;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_hex_digit(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool is_uuid(std::string_view part) {
  if (part.size() != kUuidBytes) return false;
  for (std::size_t i = 0; i < part.size(); ++i) {
    const bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (is_dash ? part[i] != '-' : !is_hex_digit(part[i])) return false;
  }
  return true;
}

// Crockford's base 32 in either case; the first digit holds two bits of time, so it is at most 7.
bool is_ulid(std::string_view part) {
  if (part.size() != kUlidBytes || part[0] < '0' || part[0] > '7') return false;
  return std::all_of(part.begin(), part.end(), [](char c) {
    const char upper = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    return is_digit(c) ||
           (upper >= 'A' && upper <= 'Z' && upper != 'I' && upper != 'L' && upper != 'O' && upper != 'U');
  });
}

bool is_email_like(std::string_view part) {
  auto at = part.find('@');
  std::size_t width = 1;
  if (at == part.npos) {
    at = part.find("%40");
    width = 3;
  }
  if (at == part.npos || at == 0) return false;
  const std::string_view host = part.substr(at + width);
  const auto dot = host.rfind('.');
  return dot != host.npos && dot > 0 && dot + 1 < host.size();
}

bool is_id(std::string_view part) {
  if (part.empty()) return false;
  if (std::all_of(part.begin(), part.end(), is_digit)) return true;
  if (part.size() >= kFewestHexDigits && std::all_of(part.begin(), part.end(), is_hex_digit)) return true;
  return is_uuid(part) || is_ulid(part) || is_email_like(part);
}

}  // namespace

Route normalize_route(std::string_view path) {
  path = path.substr(0, std::min(path.find_first_of("?#"), path.size()));
  std::string rewritten;
  std::size_t copied = 0;  // of path, into rewritten
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    if (is_id(path.substr(begin, end - begin))) {
      rewritten.append(path.substr(copied, begin - copied)).append(kPlaceholder);
      copied = end;
    }
    begin = end + 1;
  }
  if (copied == 0) return Route(path);
  return Route(std::move(rewritten.append(path.substr(copied))));
}

}  // namespace shmetrics
