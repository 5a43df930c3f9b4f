#include "collector/mapped_segment.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "shm/lock_byte.hpp"

namespace shmetrics::collector {

MappedSegment::MappedSegment(shm::OpenedSegment opened, const std::string& path, MissingPages missing)
    : opened_(std::move(opened)),
      region_(shm::map(opened_.file, boost::interprocess::read_only, 0, opened_.geometry.file_bytes(), path)),
      missing_(missing) {}

void MappedSegment::copy(std::uint64_t offset, std::span<std::uint64_t> to) const {
  const shm::SharedWord* from = words(offset);
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = from[i].load_relaxed();
}

std::uint64_t MappedSegment::find_hole(std::uint64_t offset, std::uint64_t bytes) const {
  const off_t hole = lseek(fd(), static_cast<off_t>(offset), SEEK_HOLE);
  if (hole < 0) return errno == ENXIO ? 0 : bytes;           // beyond the end; or a file system that does not tell
  data_begin_ = offset / shm::kPageBytes * shm::kPageBytes;  // a page is data as a whole
  data_end_ = static_cast<std::uint64_t>(hole);
  if (data_end_ == offset) next_data(offset, geometry().file_bytes());
  return std::min<std::uint64_t>(data_end_ - offset, bytes);
}

std::uint64_t MappedSegment::next_data(std::uint64_t offset, std::uint64_t end) const {
  if (offset >= end) return end;
  if (offset >= data_begin_ && offset < data_end_) return offset;
  if (offset < hole_begin_ || offset >= hole_end_) {
    const off_t data = lseek(fd(), static_cast<off_t>(offset), SEEK_DATA);
    hole_begin_ = offset;
    hole_end_ = data < 0 ? geometry().file_bytes() : std::max(static_cast<std::uint64_t>(data), offset);
  }
  return std::min(hole_end_, end);
}

bool MappedSegment::has_its_size() const {
  struct stat status;
  return fstat(fd(), &status) == 0 && static_cast<std::uint64_t>(status.st_size) >= geometry().file_bytes();
}

const shm::SharedWord* MappedSegment::backed(std::uint64_t offset, std::uint64_t count,
                                             std::vector<std::uint64_t>& room) const {
  const std::uint64_t bytes = count * 8;
  if (data_bytes(offset, bytes) == bytes) return words(offset);
  room.assign(count, 0);
  const std::uint64_t end = offset + bytes;
  for (std::uint64_t at = next_data(offset, end); at < end; at = next_data(at, end)) {
    const std::uint64_t length = data_bytes(at, end - at);
    copy(at, std::span(room).subspan((at - offset) / 8, length / 8));
    at += std::max<std::uint64_t>(length, shm::kPageBytes);
  }
  return reinterpret_cast<const shm::SharedWord*>(room.data());
}

bool MappedSegment::is_unchanged(const std::string& path) const {
  struct stat status;
  if (fstat(fd(), &status) != 0) throw shm::from_errno(errno, "fstat " + path);
  if (static_cast<std::uint64_t>(status.st_size) < geometry().file_bytes()) {
    throw shm::Error(shm::Fault::kDamaged, path + " has " + std::to_string(status.st_size) +
                                               " bytes, its header says " + std::to_string(geometry().file_bytes()) +
                                               ": it was truncated; if no worker uses it, remove it");
  }
  std::uint64_t now[sizeof(shm::Header) / 8];
  const SigbusGuard guarded = guard();
  copy(0, now);
  return !guarded.is_damaged() && std::memcmp(now, &opened_.header, sizeof now) == 0;
}

std::uint64_t MappedSegment::birth_unix_ns() const {
  struct statx status {};
  const bool is_told =
      statx(fd(), "", AT_EMPTY_PATH, STATX_BTIME, &status) == 0 && (status.stx_mask & STATX_BTIME) != 0;
  return is_told ? static_cast<std::uint64_t>(status.stx_btime.tv_sec) * 1'000'000'000 + status.stx_btime.tv_nsec : 0;
}

bool MappedSegment::has_workers() const {
  return shm::probe(fd(), shm::kClaimLocks, 2 * std::uint64_t{geometry().workers}) != shm::Held::kNo;
}

}  // namespace shmetrics::collector
