#include "exporter/scrape/segment_owner.hpp"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <stdexcept>

namespace shmetrics::exporter {
namespace {

std::optional<std::uint32_t> number_in(const std::string& text) {
  std::uint32_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stop == end ? std::optional(number) : std::nullopt;
}

template <typename Value>
bool has(const std::vector<Value>& values, Value value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

/// The owner of the folder, if nobody else can make files there.
std::optional<uid_t> lone_writer(const std::filesystem::path& folder) {
  struct stat status;
  if (stat(folder.empty() ? "." : folder.c_str(), &status) != 0) return std::nullopt;
  return (status.st_mode & (S_IWGRP | S_IWOTH)) == 0 ? std::optional(status.st_uid) : std::nullopt;
}

}  // namespace

std::string SegmentOwners::refusal(int file, const std::string& path) const {
  struct stat status;
  if (fstat(file, &status) != 0) return path + ": its owner cannot be told";
  if (has(users, status.st_uid) || has(groups, status.st_gid)) return {};
  if (status.st_uid != stands_for_others) {
    if (status.st_uid == geteuid() || status.st_uid == 0) return {};
    if (lone_writer(std::filesystem::path(path).parent_path()) == status.st_uid) return {};
  }
  const std::string uid = std::to_string(status.st_uid), gid = std::to_string(status.st_gid);
  // Who stands for others is believed by nobody, not by itself either.
  const char* run_it = status.st_uid == stands_for_others ? "" : "run it as that user, or ";
  return path + " belongs to user " + uid + " and group " + gid + ", whom this exporter does not know: " + run_it +
         "pass --segment.owner=" + uid + " or --segment.group=" + gid;
}

uid_t parse_user(const std::string& text) {
  if (const auto number = number_in(text)) return *number;
  if (const passwd* entry = getpwnam(text.c_str())) return entry->pw_uid;
  throw std::invalid_argument("--segment.owner " + text + ": there is no such user");
}

gid_t parse_group(const std::string& text) {
  if (const auto number = number_in(text)) return *number;
  if (const group* entry = getgrnam(text.c_str())) return entry->gr_gid;
  throw std::invalid_argument("--segment.group " + text + ": there is no such group");
}

}  // namespace shmetrics::exporter
