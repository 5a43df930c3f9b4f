#include "exporter/access/config_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace shmetrics::exporter {
namespace {

struct OpenFile {
  explicit OpenFile(const std::string& path) : fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~OpenFile() {
    if (fd >= 0) close(fd);
  }
  OpenFile(const OpenFile&) = delete;
  int fd;
};

struct SecretBlock {
  char bytes[16384];
  ~SecretBlock() { OPENSSL_cleanse(bytes, sizeof bytes); }
};

std::int64_t ns_of(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

std::string read_config_file(const std::string& path, const std::string& what) {
  const auto refuse = [&](const std::string& reason) {
    throw std::runtime_error(fmt::format("{} {}: {}", what, path, reason));
  };
  const OpenFile file(path);
  struct stat found {};
  if (file.fd < 0 || fstat(file.fd, &found) != 0) {
    refuse(fmt::format("cannot read it ({}); create it, or make it readable for this user", std::strerror(errno)));
  }
  // A pipe or a terminal could be read once only, and a reload would find it empty.
  if (!S_ISREG(found.st_mode)) refuse("not a regular file; give the path of one");
  std::string text;
  // What it would grow out of may hold a key, and so may the block: both are overwritten.
  text.reserve(std::min(static_cast<std::size_t>(found.st_size), kMaxConfigFileBytes) + 1);
  while (text.size() <= kMaxConfigFileBytes) {
    SecretBlock block;
    const ssize_t size = read(file.fd, block.bytes, sizeof block.bytes);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) refuse(fmt::format("cannot read it ({})", std::strerror(errno)));
    if (size == 0) return text;
    text.append(block.bytes, static_cast<std::size_t>(size));
  }
  refuse(fmt::format("longer than {} bytes; give the right file", kMaxConfigFileBytes));
  return {};
}

FileStamp stamp_of(const std::string& path) {
  struct stat found {};
  if (stat(path.c_str(), &found) != 0) return {};
  return {found.st_dev, found.st_ino, found.st_size, ns_of(found.st_mtim), ns_of(found.st_ctim), found.st_mode};
}

}  // namespace shmetrics::exporter
