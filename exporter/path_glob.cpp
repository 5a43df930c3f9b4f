#include "exporter/path_glob.hpp"

#include <dirent.h>
#include <fnmatch.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <string_view>

namespace shmetrics::exporter {
namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};

/// Names in `directory` ("" is the working directory) that match one part of a pattern.
std::vector<std::string> matching_names(const std::string& directory, const std::string& part, std::size_t& budget,
                                        bool& is_cut) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, CloseDirectory> stream(opendir(directory.empty() ? "." : directory.c_str()));
  if (stream == nullptr) return names;
  while (const dirent* entry = readdir(stream.get())) {
    if (budget == 0) {
      is_cut = true;
      break;
    }
    --budget;
    const std::string_view name = entry->d_name;
    if (name != "." && name != ".." && fnmatch(part.c_str(), entry->d_name, FNM_PERIOD) == 0) names.emplace_back(name);
  }
  return names;
}

bool exists(const std::string& path) {
  struct stat status;
  return lstat(path.c_str(), &status) == 0;
}

}  // namespace

GlobResult expand_glob(const std::string& pattern, std::size_t max_entries) {
  GlobResult result;
  std::vector<std::string> bases{""};  // what the parts so far match, each with the slashes that follow it
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
