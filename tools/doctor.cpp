#include "tools/doctor.hpp"

#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "collector/check.hpp"
#include "collector/scraper.hpp"
#include "tools/exit_code.hpp"
#include "tools/printable.hpp"
#include "tools/reasons.hpp"

namespace shmetrics::tools {
namespace {

using collector::ReasonCount;
using collector::SegmentStatus;

constexpr std::uint64_t kLittleRoomBytes = 1 << 20;  // a new worker's first pages, and some series

constexpr std::size_t kMostOthers = 5;

class Report {
 public:
  explicit Report(std::string& out) : out_(out) {}
  void ok(const std::string& text) { add("ok       ", text); }
  void note(const std::string& text) { add("note     ", text); }
  void problem(const std::string& text) {
    add("problem  ", text);
    has_problem_ = true;
  }
  bool has_problem() const { return has_problem_; }

 private:
  void add(const char* kind, const std::string& text) { out_ += kind + printable(text) + "\n"; }

  std::string& out_;
  bool has_problem_ = false;
};

std::string user_name(uid_t uid) {
  const passwd* user = getpwuid(uid);
  return user != nullptr ? user->pw_name : "uid " + std::to_string(uid);
}

std::string group_name(gid_t gid) {
  const group* found = getgrgid(gid);
  return found != nullptr ? found->gr_name : "gid " + std::to_string(gid);
}

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

// A program that counts elsewhere is the usual reason: other segments of this machine.
void report_other_segments(const std::string& path, Report& report) {
  const std::string own = folder_of(path) + "/*.seg";
  glob_t found{};
  glob(own.c_str(), 0, nullptr, &found);
  if (own != "/dev/shm/*.seg") glob("/dev/shm/shmetrics*.seg", GLOB_APPEND, nullptr, &found);
  std::size_t left = kMostOthers;
  for (std::size_t i = 0; i < found.gl_pathc && left > 0; ++i) {
    struct stat file {};
    if (found.gl_pathv[i] == path || stat(found.gl_pathv[i], &file) != 0) continue;
    report.note(std::string("here is another one: ") + found.gl_pathv[i] + ", of " + user_name(file.st_uid));
    --left;
  }
  globfree(&found);
}

void report_room(const std::string& path, Report& report) {
  struct statvfs room {};
  if (statvfs(path.c_str(), &room) != 0) return;
  const std::uint64_t free_bytes = room.f_bavail * room.f_frsize;
  if (free_bytes < kLittleRoomBytes) {
    report.problem("its file system has " + std::to_string(free_bytes / 1024) +
                   " KiB left, and without room new workers and new series get no memory: remove files, or mount -o "
                   "remount,size=");
  } else {
    report.ok("its file system has " + std::to_string(free_bytes >> 20) + " MiB left");
  }
}

void report_missing(const std::string& path, const std::string& why, Report& report) {
  report.problem(why);
  report_room(folder_of(path), report);
  report.note(
      "the application uses $SHMETRICS_SEGMENT, else /dev/shm/shmetrics-UID.seg, UID being its own (root: "
      "/dev/shm/shmetrics.seg), unless it names a path itself");
  report_other_segments(path, report);
}

void report_file(const std::string& path, Report& report) {
  struct stat file {};
  if (stat(path.c_str(), &file) != 0) return;
  const std::string owner = user_name(file.st_uid), shared_by = group_name(file.st_gid);
  std::string who = "it belongs to " + owner + "; an exporter of " + owner;
  if (file.st_uid != 0) who += " or root";
  who += " may read it";
  if ((file.st_mode & S_IRGRP) != 0) who += ", and one in group " + shared_by + " with --segment.owner " + owner;
  report.ok(who);
  if ((file.st_mode & (S_IROTH | S_IWOTH)) != 0) {
    report.problem("every user of this machine may open it: chmod o-rw " + path);
  }
  report_room(path, report);
}

void report_workers(const SegmentStatus& status, Report& report) {
  const std::string live = std::to_string(status.workers_live);
  if (status.workers_live > 0) {
    report.ok(live + (status.workers_live == 1 ? " worker is alive" : " workers are alive"));
  } else {
    report.problem(
        "no worker is alive: start the application; if it runs, it has counted nothing yet, counts in another "
        "segment, or may not open this one: its stderr says so");
  }
  if (status.workers_dead > 0 || status.worker_deaths > 0) {
    report.note("killed or crashed: " + std::to_string(status.workers_dead) + " now, " +
                std::to_string(status.worker_deaths) + " before; nothing that they counted is lost");
  }
  if (status.workers_live + status.workers_dead > 0 && status.workers_unused + status.workers_released == 0) {
    report.problem(
        "every worker entry is taken, so gauges of new processes are dropped: raise `workers`, and make the "
        "segment anew");
  }
  if (status.slots_free == 0) {
    report.problem("every slot is taken, so new threads count slowly: raise `slots`, and make the segment anew");
  }
}

void report_losses(const SegmentStatus& status, Report& report) {
  const auto each = [&](const std::string& what, const std::vector<ReasonCount>& counts) {
    for (const auto& [reason, count] : counts) {
      if (count == 0) continue;
      report.problem(what + ", " + std::string(reason) + ": " + std::to_string(count) + "; " + remedy(reason));
    }
  };
  each("declarations refused", status.declarations_refused);
  each("updates dropped", status.updates_dropped);
  each("values refused", status.values_refused);
  for (const collector::FamilyOverflow& overflow : status.series_overflow) {
    each("label sets of " + overflow.family + " in __overflow__", {overflow.refused});
  }
}

// The segment does not say which exporter reads it, nor the exporter's tokens.
constexpr char kAskTheExporter[] =
    "\nThe segment is one half. Ask the exporter too, with its own address and one of its tokens:\n"
    "  curl -fsS http://localhost:5000/-/healthy\n"
    "  curl -fsS -H \"Authorization: Bearer $METRICS_TOKEN\" http://localhost:5000/api/metrics | grep segment_up\n";

}  // namespace

int doctor(const std::string& path, std::string& out) {
  using Verdict = collector::CheckReport::Verdict;
  out += path + "\n";
  Report report(out);
  const collector::CheckReport checked = collector::check_segment(path);
  if (checked.verdict == Verdict::kNoAnswer) {
    if (access(path.c_str(), F_OK) != 0) {
      report_missing(path, checked.findings.front(), report);
    } else {
      report.problem(checked.findings.front());
    }
    return kNoAnswer;
  }
  if (checked.verdict == Verdict::kSound) report.ok("it is a segment, and sound");
  for (const std::string& finding : checked.findings) report.problem(finding);
  report_file(path, report);
  for (const std::string& warning : checked.warnings) report.note(warning);
  collector::Scraper scraper(path);
  const SegmentStatus status = scraper.read();
  if (!status.up) {
    if (std::ranges::find(checked.findings, status.problem) == checked.findings.end()) report.problem(status.problem);
  } else {
    if (!status.notice.empty()) report.note(status.notice);
    report_workers(status, report);
    report.ok("families: " + std::to_string(status.families) + ", series: " + std::to_string(status.series) +
              "; shmetrics dump shows them");
    report_losses(status, report);
  }
  out += kAskTheExporter;
  return report.has_problem() ? kDamaged : kFine;
}

}  // namespace shmetrics::tools
