#include "exporter/byte_size.hpp"

#include <charconv>

#include "exporter/request/head.hpp"

namespace shmetrics::exporter {

std::optional<std::uint64_t> parse_byte_size(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number == 0) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  int shift = 0;
  for (const auto& [unit, bits] : {std::pair{"k", 10}, {"M", 20}, {"G", 30}}) {
    if (same_name(text, unit) || same_name(text, std::string(unit) + "iB")) shift = bits;
  }
  if (shift == 0 && !text.empty()) return std::nullopt;
  if (number > (std::uint64_t{INT64_MAX} >> shift)) return std::nullopt;
  return number << shift;
}

}  // namespace shmetrics::exporter
