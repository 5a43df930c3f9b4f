#include "tools/interval.hpp"

#include <charconv>
#include <cstdint>
#include <utility>

namespace shmetrics::tools {

std::optional<std::chrono::milliseconds> parse_interval(std::string_view text) {
  static constexpr std::pair<std::string_view, std::int64_t> kUnits[] = {
      {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}};
  std::uint32_t count = 0;  // 32 bits, so that no unit can overflow it
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  for (const auto& [unit, milliseconds] : kUnits) {
    if (text != unit) continue;
    const std::chrono::milliseconds interval(count * milliseconds);
    if (interval >= kLeastInterval && interval <= kMostInterval) return interval;
  }
  return std::nullopt;
}

}  // namespace shmetrics::tools
