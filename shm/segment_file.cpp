#include "shm/segment_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace shmetrics::shm {

std::string_view variable(const char* name) noexcept {
  const char* const value = secure_getenv(name);
  return value == nullptr ? "" : value;
}

bool is_ignored_variable(const char* name) noexcept {
  return std::getenv(name) != nullptr && secure_getenv(name) == nullptr;
}

std::string default_path() {
  if (const auto path = variable(kPathVariable); !path.empty()) return std::string(path);
  const uid_t user = geteuid();
  return user == 0 ? "/dev/shm/shmetrics.seg" : "/dev/shm/shmetrics-" + std::to_string(user) + ".seg";
}

std::optional<FileId> file_id(int fd) noexcept {
  struct stat status;
  if (fstat(fd, &status) != 0) return std::nullopt;
  return FileId{status.st_dev, status.st_ino};
}

std::optional<FileId> file_id(const std::string& path) noexcept {
  struct stat status;
  if (lstat(path.c_str(), &status) != 0) return std::nullopt;
  return FileId{status.st_dev, status.st_ino};
}

Descriptor reopen(int kept, const char* path, FileId id) noexcept {
  char self[32];
  std::snprintf(self, sizeof self, "/proc/self/fd/%d", kept);
  if (kept >= 0 && file_id(kept) == id) {
    Descriptor file = above_stderr(Descriptor(open(self, O_RDWR | O_NONBLOCK | O_CLOEXEC)));
    if (file && file_id(file.get()) == id) return file;
  }
  Descriptor file = above_stderr(Descriptor(open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)));
  if (file && file_id(file.get()) != id) file.reset();
  return file;
}

Descriptor above_stderr(Descriptor file) noexcept {
  if (!file || file.get() > STDERR_FILENO) return file;
  return Descriptor(fcntl(file.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
}

}  // namespace shmetrics::shm
