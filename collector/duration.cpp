#include "collector/duration.hpp"

#include <cmath>
#include <cstdlib>
#include <string>

namespace shmetrics::collector {
namespace {

constexpr double kLongestMs = 24 * 3600e3;

/// In milliseconds, 0 when there is no such unit.
double unit_ms(std::string_view unit) {
  if (unit == "h") return 3600e3;
  if (unit == "m") return 60e3;
  if (unit == "s") return 1e3;
  if (unit == "ms") return 1;
  if (unit == "us") return 1e-3;
  return unit == "ns" ? 1e-6 : 0;
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  double total_ms = 0;
  while (!text.empty()) {
    // Digits and a point alone: strtod would take a sign, an exponent and `inf` too; libc++ 16 lacks from_chars for it.
    const std::size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
    const std::size_t end = std::min(text.find_first_of("0123456789.", digits), text.size());
    const std::string written(text.substr(0, digits));
    char* stop = nullptr;
    const double number = std::strtod(written.c_str(), &stop);
    const double unit = unit_ms(text.substr(digits, end - digits));
    if (digits == 0 || *stop != '\0' || unit == 0) return std::nullopt;
    total_ms += number * unit;
    text.remove_prefix(end);
  }
  if (!(total_ms >= 1 && total_ms <= kLongestMs)) return std::nullopt;
  return std::chrono::milliseconds(std::llround(total_ms));
}

}  // namespace shmetrics::collector
