#include "tools/reasons.hpp"

namespace shmetrics::tools {

std::uint64_t sum(std::span<const collector::ReasonCount> counts) {
  std::uint64_t total = 0;
  for (const collector::ReasonCount& counted : counts) total += counted.count;
  return total;
}

std::string listed(std::span<const collector::ReasonCount> counts) {
  std::string text;
  for (const auto& [reason, count] : counts) {
    if (count > 0) text.append(text.empty() ? "" : ", ").append(reason).append(" ").append(std::to_string(count));
  }
  return text;
}

}  // namespace shmetrics::tools
