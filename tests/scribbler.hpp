// A process that writes random words at random places of a live segment, as a broken or hostile worker could: through
// a writable mapping of its own, wherever the file has memory.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "shm/layout.hpp"
#include "tests/forked.hpp"
#include "tests/shared_memory.hpp"

namespace shmetrics::tests {

class WritableMapping {
 public:
  explicit WritableMapping(const std::string& path) : fd_(open(path.c_str(), O_RDWR | O_CLOEXEC)) {
    struct stat status {};
    if (fd_ < 0 || fstat(fd_, &status) != 0) throw std::runtime_error("open " + path);
    bytes_ = static_cast<std::uint64_t>(status.st_size);
    void* base = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    if (base == MAP_FAILED) throw std::runtime_error("map " + path);
    words_ = static_cast<std::atomic<std::uint64_t>*>(base);
  }
  ~WritableMapping() {
    munmap(words_, bytes_);
    close(fd_);
  }
  WritableMapping(const WritableMapping&) = delete;
  WritableMapping& operator=(const WritableMapping&) = delete;

  std::atomic<std::uint64_t>& word(std::uint64_t offset) const { return words_[offset / 8]; }
  /// Pages that have memory, from byte `from` on.
  std::vector<std::uint64_t> pages(std::uint64_t from) const {
    std::vector<std::uint64_t> found;
    for (off_t data = lseek(fd_, static_cast<off_t>(from), SEEK_DATA); data >= 0;) {
      const off_t hole = lseek(fd_, data, SEEK_HOLE);
      for (; data < hole; data += shm::kPageBytes) found.push_back(static_cast<std::uint64_t>(data));
      data = lseek(fd_, hole, SEEK_DATA);
    }
    return found;
  }

 private:
  int fd_;
  std::uint64_t bytes_ = 0;
  std::atomic<std::uint64_t>* words_ = nullptr;
};

inline std::uint64_t random_word(std::mt19937_64& random) {
  switch (random() % 5) {
    case 0:
      return random();
    case 1:
      return random() % 5000;
    case 2:
      return random() % 8 * shm::kGrowthCells;
    case 3:
      return ~(random() % 3);
    default:
      return std::uint64_t{1} << random() % 64;
  }
}

/// Scribbles until `end` is set; from time to time all is put back, so that there is always something to break.
/// `spared_bytes`: of the file's front, which stay as they are.
inline int scribble(const std::string& path, std::uint64_t spared_bytes, const std::atomic<bool>& end, unsigned seed) {
  const WritableMapping segment(path);
  std::mt19937_64 random(seed);
  std::vector<std::pair<std::uint64_t, std::uint64_t>> before;
  while (!end) {
    const std::vector<std::uint64_t> pages = segment.pages(spared_bytes);
    for (int i = 0; i < 60 && !pages.empty(); ++i) {
      // The front of a page is where tables, slots and the directory begin.
      const std::uint64_t in_page = random() % (random() % 2 == 0 ? 256 : shm::kPageBytes) / 8 * 8;
      const std::uint64_t at = pages[random() % pages.size()] + in_page;
      before.emplace_back(at, segment.word(at).exchange(random_word(random)));
      const timespec pause{0, 20'000};
      nanosleep(&pause, nullptr);
    }
    for (; !before.empty(); before.pop_back()) segment.word(before.back().first).store(before.back().second);
  }
  return 0;
}

}  // namespace shmetrics::tests
