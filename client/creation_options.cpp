#include "client/creation_options.hpp"

#include <grp.h>
#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <optional>
#include <string_view>
#include <vector>

namespace shmetrics::detail {
namespace {

using shm::variable;

[[noreturn]] void refuse_variable(const char* name, std::string_view needs) {
  throw shm::Error(shm::Fault::kInvalidArgument,
                   std::string(name) + "=" + std::string(variable(name)) + " is not " + std::string(needs));
}

template <typename Number>
std::optional<Number> number_of(std::string_view text, int base) {
  Number number{};
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return problem == std::errc() && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

// 0: nobody asked for one.
mode_t wanted_mode(const Options& options) {
  constexpr char kName[] = "SHMETRICS_MODE";
  if (options.mode != 0 || variable(kName).empty()) return options.mode;
  const auto mode = number_of<mode_t>(variable(kName), 8);
  if (!mode || *mode == 0 || *mode > 0777) refuse_variable(kName, "an octal mode such as 0660");
  return *mode;
}

std::optional<gid_t> wanted_group(const Options& options) {
  constexpr char kName[] = "SHMETRICS_GROUP";
  if (options.group || variable(kName).empty()) return options.group;
  if (const auto id = number_of<gid_t>(variable(kName), 10)) return id;
  group entry{};
  group* found = nullptr;
  std::vector<char> room(16384);
  const std::string name(variable(kName));
  // A group of many members may need more room than any limit says.
  while (getgrnam_r(name.c_str(), &entry, room.data(), room.size(), &found) == ERANGE) room.resize(room.size() * 2);
  if (found == nullptr) refuse_variable(kName, "a group of this machine");
  return found->gr_gid;
}

}  // namespace

shm::CreationOptions creation_options(const Options& options) {
  shm::CreationOptions creation;
  creation.geometry = {options.workers, options.slots, options.cells, options.directory_bytes};
  if (const mode_t mode = wanted_mode(options); mode != 0) creation.mode = mode;
  creation.group = wanted_group(options);
  return creation;
}

std::string narrower_mode(const std::string& path, int fd, const Options& options) {
  const mode_t wanted = wanted_mode(options);
  struct stat status;
  if (fstat(fd, &status) != 0 || (wanted & ~status.st_mode & 0777) == 0) return {};
  char modes[2][16];
  std::snprintf(modes[0], sizeof modes[0], "%04o", status.st_mode & 0777);
  std::snprintf(modes[1], sizeof modes[1], "%04o", wanted);
  return path + " is there with mode " + modes[0] + ", and " + modes[1] + " was asked for: chmod " + modes[1] + " it";
}

bool is_quiet(const Options& options) {
  return options.quiet || variable("SHMETRICS_QUIET") == "1";
}

}  // namespace shmetrics::detail
