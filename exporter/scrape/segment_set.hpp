// The segments that the exporter follows: the fixed ones always, those of a glob while their files are there. A file of
// a glob that is removed while its workers live is not up until they have ended: its updates are lost, and an alert has
// to see that.
//
// Every followed segment has a name of its own, so no series can be there twice. Rules for globs, applied at each
// refresh(): only regular files match; a file that is followed under another path already is passed over; a file whose
// name (its stem) is taken is left out and said once. A fixed segment has its name before any match, a match that is
// followed keeps its name while its file is there, and of newcomers the oldest file gets it, as the file system tells;
// of equals the first by path. So a name never changes hands while its holder is there, nor by a restart. No more than
// kMaxSegments are followed in all.
//
// Threads: one thread. Failure: std::bad_alloc alone; a file that cannot be followed is logged. Lifetime: a segment is
// valid until a refresh() finds it gone.
#pragma once

#include <chrono>
#include <list>
#include <map>
#include <string>
#include <vector>

#include "collector/scraper.hpp"
#include "exporter/scrape/segment_log.hpp"
#include "exporter/scrape/segment_owner.hpp"
#include "exporter/scrape/segment_spec.hpp"

namespace shmetrics::exporter {

struct FollowedSegment {
  FollowedSegment(const std::string& path, const std::string& name, collector::Admission admission = {})
      : scraper(path, name, std::move(admission)) {}
  collector::Scraper scraper;
  SegmentLog log;
  std::string id;  // of the segment that was last up, and how old that is
  collector::Seniority seniority;
  bool is_removed = false;  // a match of a glob whose file has gone, but not its workers
  // Of one that needed more than its share (read_turns.hpp); no pause: it did not.
  std::chrono::seconds pause{0};
  std::chrono::steady_clock::time_point read_again;
  std::string put_off_for;
};

class SegmentSet {
 public:
  explicit SegmentSet(std::vector<SegmentSpec> specs, SegmentOwners owners = {},
                      std::size_t max_segments = kMaxSegments);

  /// Looks for files that have come and gone, and logs what cannot be followed.
  void refresh();

  /// In the order of the command line; those of one glob by path, removed ones last. Kept by refresh() unless they have
  /// gone.
  std::list<FollowedSegment>& segments() { return segments_; }

 private:
  struct File;
  struct Plan;
  std::vector<File> find_files(Plan& plan) const;
  void keep_followed(std::vector<std::string>& paths) const;
  void give_names(const std::vector<File>& files, Plan& plan) const;
  void follow(const Plan& plan);
  void say_what_is_left_out(const Plan& plan);
  bool is_news(const std::string& complaint);

  void add(std::list<FollowedSegment>& to, const std::string& path, const std::string& name) const;

  std::vector<SegmentSpec> specs_;
  SegmentOwners owners_;
  std::size_t max_segments_;
  bool has_glob_;
  std::list<FollowedSegment> segments_;
  std::map<std::string, bool> said_;  // complaint -> whether it holds at this refresh
};

}  // namespace shmetrics::exporter
