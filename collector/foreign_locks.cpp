#include "collector/foreign_locks.hpp"

#include <fcntl.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "shm/layout.hpp"

namespace shmetrics::collector {

std::uint64_t count_foreign_locks(int file, std::uint32_t workers) {
  // The kernel names any one lock that a write lock would meet. What lies before and behind it is asked for anew.
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges{
      {shm::kLockBase, shm::kClaimLocks + 2 * std::uint64_t{workers}}};
  std::uint64_t found = 0;
  while (!ranges.empty()) {
    const auto [begin, end] = ranges.back();
    ranges.pop_back();
    struct flock request {};
    request.l_type = F_WRLCK;
    request.l_whence = SEEK_SET;
    request.l_start = static_cast<off_t>(begin);
    request.l_len = static_cast<off_t>(end - begin);
    if (begin >= end || fcntl(file, F_OFD_GETLK, &request) != 0 || request.l_type == F_UNLCK) continue;
    found += request.l_type == F_RDLCK;
    const auto first = static_cast<std::uint64_t>(request.l_start);
    const std::uint64_t last = request.l_len == 0 ? end : first + static_cast<std::uint64_t>(request.l_len);
    ranges.emplace_back(begin, std::min(first, end));
    ranges.emplace_back(std::max(last, begin), end);
  }
  return found;
}

}  // namespace shmetrics::collector
