// Owns one file descriptor. Boost.Interprocess maps it: mapped_region takes any type with get_mapping_handle().
//
// Threads: one thread at a time. Failure: none; closing is not checked. Lifetime: closes with the object.
#pragma once

#include <unistd.h>

#include <boost/interprocess/mapped_region.hpp>
#include <utility>

namespace shmetrics::shm {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~Descriptor() { reset(); }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  int release() noexcept { return std::exchange(fd_, -1); }
  void reset(int fd = -1) noexcept {
    if (const int old = std::exchange(fd_, fd); old >= 0) ::close(old);
  }

  boost::interprocess::mapping_handle_t get_mapping_handle() const noexcept { return {fd_, false}; }

 private:
  int fd_ = -1;
};

}  // namespace shmetrics::shm
