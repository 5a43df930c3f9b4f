// shmetrics_normalize_route(): what a route is, in C.
#include <algorithm>
#include <cstring>
#include <new>

#include "client/c/c_api.hpp"

namespace shmetrics::detail {
namespace {

std::size_t write_text(std::string_view text, char* out, std::size_t capacity) {
  if (capacity == 0) return text.size();
  const std::size_t written = std::min(text.size(), capacity - 1);
  std::memcpy(out, text.data(), written);
  out[written] = 0;
  return text.size();
}

}  // namespace
}  // namespace shmetrics::detail

using namespace shmetrics;

size_t shmetrics_normalize_route(const char* path, size_t size, char* route, size_t capacity) {
  const std::string_view given = path == nullptr ? std::string_view() : std::string_view(path, size);
  try {
    const Route normalized = normalize_route(given);
    return detail::write_text(normalized.view(), route, capacity);
  } catch (const std::bad_alloc&) {
    return detail::write_text(given, route, capacity);
  }
}
