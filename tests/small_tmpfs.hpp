// A tmpfs of a few pages for one test, in a mount namespace that only this process and its children see; gone with
// them.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

namespace shmetrics::tests {

class SmallTmpfs {
 public:
  explicit SmallTmpfs(std::uint64_t size_bytes = 1 << 20) {
    const std::string options = "mode=0777,size=" + std::to_string(size_bytes);
    if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      refuse("a mount namespace");
    } else if (mkdtemp(path_.data()) == nullptr) {
      refuse("a folder in /tmp");
    } else if (mount("tmpfs", path_.c_str(), "tmpfs", 0, options.c_str()) != 0) {
      refuse("a tmpfs");
    } else {
      is_mounted_ = true;
    }
  }
  ~SmallTmpfs() {
    if (is_mounted_) umount2(path_.c_str(), MNT_DETACH);
    rmdir(path_.c_str());
  }
  SmallTmpfs(const SmallTmpfs&) = delete;
  SmallTmpfs& operator=(const SmallTmpfs&) = delete;

  /// Why there is none, for GTEST_SKIP; empty when there is one.
  const std::string& refusal() const { return refusal_; }
  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

  std::uint64_t free_bytes() const {
    struct statvfs room {};
    return statvfs(path_.c_str(), &room) == 0 ? room.f_bavail * room.f_bsize : 0;
  }
  /// Takes every page but the last `spare` of them.
  void fill(std::uint64_t spare_pages = 0) const {
    const int file = open(ballast().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    const std::uint64_t bytes = free_bytes() - spare_pages * 4096;
    struct stat status {};
    fstat(file, &status);
    if (bytes > 0 && fallocate(file, 0, status.st_size, static_cast<off_t>(bytes)) != 0) std::abort();
    close(file);
  }
  void drain() const { unlink(ballast().c_str()); }
  bool remount_read_only() const {
    return mount(nullptr, path_.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0;
  }

 private:
  std::string ballast() const { return file("ballast"); }
  void refuse(const std::string& what) {
    refusal_ = "NOT TESTED: " + what + " is needed and not to be had: " + std::strerror(errno) + " (needs root)";
  }

  std::string path_ = "/tmp/shmetrics-tmpfs-XXXXXX";
  std::string refusal_;
  bool is_mounted_ = false;
};

}  // namespace shmetrics::tests
