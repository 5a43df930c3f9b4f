// What can be found where a segment should be, and what every program says to it.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <shmetrics/shmetrics.hpp>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "shm/segment.hpp"

namespace shmetrics::tests {

inline constexpr shm::Geometry kSmallGeometry{
    .workers = 4, .thread_slots = 4, .cells = 2 * shm::kGrowthCells, .directory_bytes = 16384};

inline Options small_options(const std::string& path) {
  Options options;
  options.path = path;
  options.workers = kSmallGeometry.workers;
  options.slots = kSmallGeometry.thread_slots;
  options.cells = kSmallGeometry.cells;
  options.directory_bytes = kSmallGeometry.directory_bytes;
  return options;
}

inline void make_segment(const std::string& path) {
  shm::open_or_create(path, {.geometry = kSmallGeometry, .mode = 0600, .group = {}});
}

inline void punch(const std::string& path, std::uint64_t offset, std::uint64_t bytes) {
  const shm::Descriptor file(open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                static_cast<off_t>(bytes)) != 0) {
    throw std::runtime_error("punch " + path);
  }
}

struct FileState {
  const char* name;
  void (*make)(const std::string& path);  // at a path where nothing is
  const char* worker_says;                // part of its error; null: it opens
  const char* reader_says;                // part of the problem; null: it is read
  int check_code;                         // of `shmetrics check`
  bool is_replaced_by_worker = false;
};

inline void make_link(const std::string& path, const std::string& target) {
  std::filesystem::create_symlink(target, path);
}

inline void make_socket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  const shm::Descriptor end(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (bind(end.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) throw std::runtime_error("bind");
}

inline std::vector<FileState> file_states() {
  using Path = const std::string&;
  return {
      {"nothing", [](Path) {}, nullptr, "no segment at", 2},
      {"no bytes", [](Path path) { std::ofstream(path).close(); }, nullptr, "is empty", 2, true},
      {"one byte", [](Path path) { std::ofstream(path) << 'x'; }, "is not a segment", "is not a segment", 2},
      {"a text", [](Path path) { std::ofstream(path) << std::string(8192, 'x'); }, "is not a segment",
       "is not a segment", 2},
      {"a FIFO", [](Path path) { mkfifo(path.c_str(), 0600); }, "not a regular file", "not a regular file", 2},
      {"a directory", [](Path path) { std::filesystem::create_directory(path); }, "is a directory",
       "not a regular file", 2},
      {"a socket", make_socket, "not a regular file", "not a regular file", 2},
      {"a link to a segment",
       [](Path path) {
         if (!std::filesystem::exists(path + ".target")) make_segment(path + ".target");
         make_link(path, path + ".target");
       },
       "is a symbolic link", "is a symbolic link", 2},
      {"a link to nothing", [](Path path) { make_link(path, path + ".nothing"); }, "is a symbolic link",
       "is a symbolic link", 2},
      {"a link to itself", [](Path path) { make_link(path, path); }, "is a symbolic link", "is a symbolic link", 2},
      {"a segment cut short",
       [](Path path) {
         make_segment(path);
         std::filesystem::resize_file(path, kSmallGeometry.file_bytes() - 1);
       },
       "was truncated", "was truncated", 1},
      {"a segment that was made longer",
       [](Path path) {
         make_segment(path);
         std::filesystem::resize_file(path, kSmallGeometry.file_bytes() + 4097);
       },
       nullptr, nullptr, 0},
      {"a segment without its header",
       [](Path path) {
         make_segment(path);
         punch(path, 0, shm::kPageBytes);
       },
       "is not a segment", "is not a segment", 2},
      {"a segment without its tables",
       [](Path path) {
         make_segment(path);
         punch(path, shm::kPageBytes, kSmallGeometry.directory() - shm::kPageBytes);
       },
       "spill slot", nullptr, 1},
  };
}

/// Lengths at which something begins or ends, and their neighbours.
inline std::set<std::uint64_t> telling_lengths() {
  const shm::Geometry& shape = kSmallGeometry;
  std::set<std::uint64_t> lengths{0, 1, 7, 8, 9, 12, 16, 24, 32, 63, 64, 90, 104, 105};
  for (const std::uint64_t border :
       {std::uint64_t{sizeof(shm::Header)}, shape.slot_table(), shape.directory(), shape.directory() + 64,
        shape.directory() + shm::kPageBytes, shape.spill_cells(), shape.spill_cells() + shm::kGrowthCells * 8,
        shape.gauge_spill_cells(), shape.process_slot(0), shape.process_slot(3), shape.thread_slot(0),
        shape.thread_slot(1), shape.thread_slot(3), shape.file_bytes() - shm::kPageBytes, shape.file_bytes()}) {
    for (const int step : {-8, -1, 0, 1, 8}) lengths.insert(border + static_cast<std::uint64_t>(step));
  }
  return lengths;
}

}  // namespace shmetrics::tests
