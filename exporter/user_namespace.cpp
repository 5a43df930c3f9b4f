#include "exporter/user_namespace.hpp"

#include <cstdint>
#include <fstream>
#include <limits>

namespace shmetrics::exporter {

std::optional<uid_t> stand_in_for_others() {
  std::uint32_t inside = 1, outside = 1, count = 0;
  std::ifstream("/proc/self/uid_map") >> inside >> outside >> count;
  if (inside == 0 && count == std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  uid_t overflow = 65534;
  std::ifstream("/proc/sys/kernel/overflowuid") >> overflow;
  return overflow;
}

}  // namespace shmetrics::exporter
