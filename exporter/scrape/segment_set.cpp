#include "exporter/scrape/segment_set.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "exporter/scrape/path_glob.hpp"

namespace shmetrics::exporter {

struct SegmentSet::File {
  std::string name, path;
  bool is_fixed = false;
  std::int64_t born = 0;  // nanoseconds; of matches alone
};

struct SegmentSet::Plan {
  std::vector<File> followed;
  std::map<std::string, std::string> holders;  // name -> the path that has it
  std::vector<File> of_taken_name, of_no_name;
  std::size_t too_many = 0;
  std::vector<std::string> empty_globs, cut_globs;
};

namespace {

struct FileIdentity {
  std::uint64_t device = 0, inode = 0;
  std::int64_t born = 0;  // nanoseconds; of a file system that does not tell: as late as can be
  bool operator<(const FileIdentity& other) const {
    return std::tie(device, inode) < std::tie(other.device, other.inode);
  }
};

/// Nothing if it is no regular file. A link is none, because the collector does not follow links either.
std::optional<FileIdentity> identity_of(const std::string& path) {
  struct statx status {};
  const unsigned wanted = STATX_TYPE | STATX_INO | STATX_BTIME;
  if (statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, wanted, &status) != 0) return std::nullopt;
  if (!S_ISREG(status.stx_mode)) return std::nullopt;
  const bool is_told = (status.stx_mask & STATX_BTIME) != 0;
  const std::int64_t born = status.stx_btime.tv_sec * 1'000'000'000 + status.stx_btime.tv_nsec;
  return FileIdentity{makedev(status.stx_dev_major, status.stx_dev_minor), status.stx_ino, is_told ? born : INT64_MAX};
}

}  // namespace

SegmentSet::SegmentSet(std::vector<SegmentSpec> specs, SegmentOwners owners, std::size_t max_segments)
    : specs_(std::move(specs)),
      owners_(std::move(owners)),
      max_segments_(max_segments),
      has_glob_(std::any_of(specs_.begin(), specs_.end(), [](const SegmentSpec& spec) { return spec.is_glob; })) {
  for (const SegmentSpec& spec : specs_) {
    if (!spec.is_glob) add(segments_, spec.path, spec.name);
  }
}

void SegmentSet::add(std::list<FollowedSegment>& to, const std::string& path, const std::string& name) const {
  to.emplace_back(path, name, [owners = owners_, path](int file) { return owners.refusal(file, path); });
}

void SegmentSet::refresh() {
  if (!has_glob_) return;
  Plan plan;
  give_names(find_files(plan), plan);
  follow(plan);
  say_what_is_left_out(plan);
}

std::vector<SegmentSet::File> SegmentSet::find_files(Plan& plan) const {
  // A fixed file must not come again as a match: neither by its path, whose file may be replaced at this moment, nor by
  // another directory. So both sets are needed.
  std::set<std::string> paths;
  std::set<FileIdentity> identities;
  for (const SegmentSpec& spec : specs_) {
    if (spec.is_glob) continue;
    paths.insert(spec.path);
    if (const auto identity = identity_of(spec.path)) identities.insert(*identity);
  }
  std::vector<File> files;
  for (const SegmentSpec& spec : specs_) {
    if (!spec.is_glob) {
      files.push_back({spec.name, spec.path, true});
      continue;
    }
    bool has_match = false;
    GlobResult found = expand_glob(spec.path);
    if (found.is_cut) keep_followed(found.paths);
    for (const std::string& path : found.paths) {
      const auto identity = identity_of(path);
      if (!identity) continue;
      has_match = true;
      const bool is_new = identities.insert(*identity).second && paths.insert(path).second;
      if (is_new) files.push_back({name_of_file(path), path, false, identity->born});
    }
    if (!has_match) plan.empty_globs.push_back(spec.path);
    if (found.is_cut) plan.cut_globs.push_back(spec.path);
  }
  return files;
}

// Whoever may fill the directory must not push out those who are there.
void SegmentSet::keep_followed(std::vector<std::string>& paths) const {
  for (const FollowedSegment& segment : segments_) paths.push_back(segment.scraper.path());
  std::ranges::sort(paths);
}

void SegmentSet::give_names(const std::vector<File>& files, Plan& plan) const {
  std::set<std::string> known;
  for (const FollowedSegment& segment : segments_) known.insert(segment.scraper.path());
  const auto rank = [&known](const File& file) { return file.is_fixed ? 0 : known.contains(file.path) ? 1 : 2; };
  std::vector<File> by_age = files;
  std::stable_sort(by_age.begin(), by_age.end(), [](const File& a, const File& b) { return a.born < b.born; });
  for (int turn = 0; turn < 3; ++turn) {
    for (const File& file : by_age) {
      if (rank(file) != turn) continue;
      if (!file.is_fixed && file.name.empty()) {
        plan.of_no_name.push_back(file);
      } else if (plan.holders.contains(file.name)) {
        plan.of_taken_name.push_back(file);
      } else if (plan.holders.size() >= max_segments_) {
        ++plan.too_many;
      } else {
        plan.holders.emplace(file.name, file.path);
      }
    }
  }
  for (const File& file : files) {
    const auto holder = plan.holders.find(file.name);
    if (holder != plan.holders.end() && holder->second == file.path) plan.followed.push_back(file);
  }
}

void SegmentSet::follow(const Plan& plan) {
  std::list<FollowedSegment> next;
  for (const File& file : plan.followed) {
    const auto old = std::find_if(segments_.begin(), segments_.end(), [&file](const FollowedSegment& segment) {
      return segment.scraper.path() == file.path && segment.scraper.segment() == file.name;
    });
    if (old == segments_.end()) {
      add(next, file.path, file.name);
    } else {
      old->is_removed = false;
      next.splice(next.end(), segments_, old);
    }
  }
  segments_.swap(next);
  while (!next.empty()) {
    FollowedSegment& gone = next.front();
    const bool is_name_free = !plan.holders.contains(gone.scraper.segment());
    if (is_name_free && segments_.size() < max_segments_ && gone.scraper.has_workers()) {
      gone.is_removed = true;
      gone.scraper.hide();
      segments_.splice(segments_.end(), next, next.begin());
      continue;
    }
    log_segment(LogLevel::kInfo, "the segment is gone", gone.scraper.segment(), gone.scraper.path());
    next.pop_front();
  }
}

bool SegmentSet::is_news(const std::string& complaint) {
  const auto [said, is_new] = said_.insert_or_assign(complaint, true);
  return is_new;
}

void SegmentSet::say_what_is_left_out(const Plan& plan) {
  constexpr const char* kLeftOut = "a segment is left out";
  for (auto& [complaint, holds] : said_) holds = false;
  for (const File& file : plan.of_taken_name) {
    // One line a name: a pattern like /run/*/metrics.seg gives the same one to all that it matches.
    if (!is_news("name " + file.name)) continue;
    log_segment(LogLevel::kWarn, kLeftOut, file.name, file.path,
                plan.holders.at(file.name) + " has its name: give each file one with --segment NAME=PATH");
  }
  for (const File& file : plan.of_no_name) {
    if (!is_news("path " + file.path)) continue;
    log_segment(LogLevel::kWarn, kLeftOut, "", file.path,
                "its file name cannot be a label value: give it a name with --segment NAME=PATH");
  }
  if (plan.too_many > 0 && is_news("too many")) {
    log(LogLevel::kWarn, "segments are left out: too many files match",
        {{"left_out", std::to_string(plan.too_many)}, {"limit", std::to_string(max_segments_)}});
  }
  for (const std::string& glob : plan.empty_globs) {
    if (is_news("empty " + glob)) {
      log(LogLevel::kWarn, "no file matches yet, or this user may not read the folder", {{"segment", glob}});
    }
  }
  for (const std::string& glob : plan.cut_globs) {
    if (!is_news("cut " + glob)) continue;
    log(LogLevel::kWarn, "a glob looks at too many directory entries, some files may be left out: narrow it",
        {{"segment", glob}, {"limit", std::to_string(kMaxGlobEntries)}});
  }
  std::erase_if(said_, [](const auto& entry) { return !entry.second; });
}

}  // namespace shmetrics::exporter
