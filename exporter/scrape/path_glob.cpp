#include "exporter/scrape/path_glob.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

namespace shmetrics::exporter {
namespace {

namespace fs = std::filesystem;

/// Names in `directory` ("" is the working directory) that match one part of a pattern.
std::vector<std::string> matching_names(const std::string& directory, const std::string& part, std::size_t& budget,
                                        bool& is_cut) {
  std::vector<std::string> names;
  std::error_code error;
  auto entry = fs::directory_iterator(directory.empty() ? "." : directory, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    if (budget == 0) {
      is_cut = true;
      break;
    }
    --budget;
    std::string name = entry->path().filename();
    if (fnmatch(part.c_str(), name.c_str(), FNM_PERIOD) == 0) names.push_back(std::move(name));
  }
  return names;
}

bool exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

}  // namespace

GlobResult expand_glob(const std::string& pattern, std::size_t max_entries) {
  GlobResult result;
  std::vector<std::string> bases{""};  // matches of the parts so far, each with the slashes that follow it
  for (std::size_t at = 0; at < pattern.size();) {
    const std::size_t slash = std::min(pattern.find('/', at), pattern.size());
    const std::size_t next = std::min(pattern.find_first_not_of('/', slash), pattern.size());
    const std::string part = pattern.substr(at, slash - at), slashes = pattern.substr(slash, next - slash);
    std::vector<std::string> longer;
    for (const std::string& base : bases) {
      if (part.find_first_of("*?[") == part.npos) {
        longer.emplace_back(base).append(part).append(slashes);
        continue;
      }
      for (const std::string& name : matching_names(base, part, max_entries, result.is_cut)) {
        longer.emplace_back(base).append(name).append(slashes);
      }
    }
    bases = std::move(longer);
    at = next;
  }
  std::erase_if(bases, [](const std::string& path) { return !exists(path); });
  std::sort(bases.begin(), bases.end());
  result.paths = std::move(bases);
  return result;
}

}  // namespace shmetrics::exporter
