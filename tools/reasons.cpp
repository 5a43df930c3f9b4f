#include "tools/reasons.hpp"

#include <utility>

namespace shmetrics::tools {
namespace {

constexpr std::pair<std::string_view, std::string_view> kRemedies[] = {
    {"rule", "a name, label, bound or help breaks a rule: the application's stderr names it"},
    {"other_type", "live workers have the name as another type: stop all workers and start them, or take another name"},
    {"schemas", "a name has had 16 schemas: find what makes up labels or bounds, then make the segment anew"},
    {"same_process", "one process declares a name with two schemas: the application's stderr names it"},
    {"newer_release", "a newer release wrote the name: upgrade this program, or make the segment anew"},
    {"series_limit", "use a label with fewer values, such as a route for a path, or raise `series_limit`"},
    {"cells", "the slots have no cell left: raise `cells`, and make the segment anew"},
    {"directory", "it is used up or damaged: raise `directory_bytes` or `cells`, and make the segment anew"},
    {"invalid_value", "a label value is too long or not UTF-8, or the number of values is wrong: correct the program"},
    {"no_entry", "gauges of processes without a worker entry: raise `workers`, or see Dropped privileges"},
    {"refused_family", "their declaration was refused"},
    {"no_memory", "no room on the segment's file system: make room"},
    {"busy", "the processor is overloaded; it is tried again"},
    {"nan", "the program computes such values: correct it"},
    {"infinite", "the program computes such values: correct it"},
    {"negative", "counters take no negative value: correct the program"},
};

}  // namespace

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

std::string remedy(std::string_view reason) {
  for (const auto& [name, what] : kRemedies) {
    if (name == reason) return std::string(what);
  }
  return {};
}

}  // namespace shmetrics::tools
