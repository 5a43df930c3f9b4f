// The bytes are a segment's file, from its first byte on; what its header promises beyond them is a hole. The mutator
// seals headers and records again, half of the time: a checksum keeps the fuzzer out, but nobody who knows the format.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>

#include "shm/directory.hpp"
#include "shm/segment.hpp"
#include "tests/fuzz/oracle.hpp"
#include "tests/fuzz/segment_reading.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace {

using namespace shmetrics;

constexpr std::uint64_t kMostFileBytes = std::uint64_t{1} << 30;

class File {
 public:
  File() : fd_(open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) {
    fuzz::demand(fd_ >= 0, "the file can be made", path_);
  }
  ~File() {
    close(fd_);
    unlink(path_.c_str());
  }
  const std::string& path() const { return path_; }

  void hold(std::span<const std::uint8_t> bytes) const {
    std::uint64_t promised = 0;
    if (bytes.size() >= sizeof(shm::Header)) {
      std::memcpy(&promised, bytes.data() + offsetof(shm::Header, file_bytes), sizeof promised);
    }
    fuzz::demand(ftruncate(fd_, 0) == 0 && pwrite(fd_, bytes.data(), bytes.size(), 0) >= 0, "the file can be written");
    if (promised > bytes.size() && promised <= kMostFileBytes) {
      fuzz::demand(ftruncate(fd_, static_cast<off_t>(promised)) == 0, "the file can grow");
    }
  }

 private:
  std::string path_ = "/dev/shm/shmetrics-fuzz-" + std::to_string(getpid()) + ".seg";
  int fd_;
};

void seal_header(std::span<std::uint8_t> bytes) {
  constexpr std::size_t kFrom = offsetof(shm::Header, file_bytes);
  const std::uint64_t checksum = XXH3_64bits(bytes.data() + kFrom, sizeof(shm::Header) - kFrom);
  std::memcpy(bytes.data() + offsetof(shm::Header, checksum), &checksum, sizeof checksum);
}

void seal_records(std::span<std::uint8_t> bytes) {
  shm::Header header;
  std::memcpy(&header, bytes.data(), sizeof header);
  const shm::Geometry shape{header.workers, header.thread_slots, header.cells, header.directory_bytes};
  if (!shape.within_caps() || shape.directory() + shape.heap() > bytes.size()) return;
  const std::span directory = std::as_writable_bytes(bytes.subspan(shape.directory()));
  for (std::uint32_t i = 0; i < shape.index_entries(); ++i) {
    std::uint64_t word = 0;
    std::memcpy(&word, &directory[sizeof(shm::DirectoryHead) + i * sizeof word], sizeof word);
    const auto entry = shm::IndexEntry::of(word);
    if (word == 0) return;
    if (!entry.is_valid(shape) || entry.end() > directory.size()) continue;
    const std::span record = directory.subspan(entry.offset, entry.length);
    const std::uint64_t checksum = shm::record_checksum(record);
    std::memcpy(&record[offsetof(shm::RecordHead, checksum)], &checksum, sizeof checksum);
  }
}

}  // namespace

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  size = LLVMFuzzerMutate(data, size, max_size);
  const std::span bytes(data, size);
  if (size < sizeof(shm::Header)) return size;
  if (seed % 2 == 0) seal_records(bytes);
  if (seed % 16 != 1) seal_header(bytes);
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const File file;
  file.hold({data, size});
  collector::Scraper scraper(file.path());
  fuzz::read_and_demand(scraper);
  fuzz::check_and_demand(file.path());
  return 0;
}
