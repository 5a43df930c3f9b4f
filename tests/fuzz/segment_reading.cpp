#include "tests/fuzz/segment_reading.hpp"

#include <chrono>

#include "collector/check.hpp"
#include "collector/json.hpp"
#include "collector/openmetrics.hpp"
#include "collector/protobuf.hpp"
#include "collector/render.hpp"
#include "collector/snapshot.hpp"
#include "tests/fuzz/oracle.hpp"

namespace shmetrics::fuzz {
namespace {

using collector::FamilyGroups;
using collector::Scraper;
using collector::SegmentStatus;
using Clock = std::chrono::steady_clock;

// Beyond the reader's own limit: what is done with the copy, with sanitizers and beside other work of the machine.
constexpr auto kSlack = std::chrono::seconds(20);
constexpr std::int64_t kNowSeconds = 1'700'000'000;
constexpr std::chrono::system_clock::time_point kNow{std::chrono::seconds(kNowSeconds)};

class Stopwatch {
 public:
  explicit Stopwatch(const char* what) : what_(what) {}
  ~Stopwatch() { demand(Clock::now() - begin_ < collector::kMostReadTime + kSlack, "takes bounded time", what_); }
  Stopwatch(const Stopwatch&) = delete;

 private:
  const char* what_;
  Clock::time_point begin_ = Clock::now();
};

std::string openmetrics_of(const FamilyGroups& groups) {
  std::string text;
  collector::TextOutput output(text);
  groups.for_each({}, [&](auto parts) { render_openmetrics(parts, collector::Created::kNo, output); });
  collector::end_openmetrics(text);
  return text;
}

std::string protobuf_of(const FamilyGroups& groups) {
  std::string out;
  collector::TextOutput output(out);
  groups.for_each({}, [&](auto parts) { render_protobuf(parts, kNow, output); });
  return out;
}

/// Most damage shows in few places: an output that was judged just now is not judged again.
template <typename Judge>
void judge_once(const std::string& output, std::string& last, Judge judge) {
  if (output == last) return;
  judge(output);
  last = output;
}

}  // namespace

std::string read_and_demand(Scraper& scraper) {
  const Stopwatch watch("read and render");
  static std::string last_text, last_openmetrics, last_protobuf, last_json;
  std::string text;
  const SegmentStatus status = scraper.scrape(text);
  demand(status.up || text.empty(), "a segment that is not up shows nothing", text);
  demand(status.up == status.problem.empty(), "not being up has its reason", status.problem);
  demand(status.problem.find('\n') == std::string::npos, "a problem is one line", status.problem);
  judge_once(text, last_text, demand_text);
  judge_once(openmetrics_of(FamilyGroups(scraper.view())), last_openmetrics, demand_openmetrics);
  judge_once(protobuf_of(FamilyGroups(scraper.view())), last_protobuf,
             [&text](const std::string& scrape) { demand_protobuf(scrape, text, kNowSeconds); });
  std::string json;
  collector::TextOutput output(json, collector::TextOutput::kUnlimited);
  collector::render_json(scraper, status, {}, output);
  judge_once(json, last_json, demand_json);
  return text;
}

void group_and_demand(const std::string& path) {
  const Stopwatch watch("two segments");
  Scraper one(path, "one"), two(path, "two \\ \" \n");
  one.read();
  two.read();
  const collector::ScrapedSegment views[] = {one.view(), two.view()};
  const FamilyGroups groups(views);
  std::string text;
  collector::TextOutput output(text);
  groups.for_each({}, [&](auto parts) { render_text(parts, output); });
  demand_text(text);
  demand_openmetrics(openmetrics_of(groups));
  demand_protobuf(protobuf_of(groups), text, kNowSeconds);
}

void check_and_demand(const std::string& path) {
  const Stopwatch watch("check");
  const collector::CheckReport report = collector::check_segment(path);
  demand(report.findings.size() <= collector::kMaxFindings + 1, "findings are bounded");
  const bool is_sound = report.verdict == collector::CheckReport::Verdict::kSound;
  demand(is_sound == report.findings.empty(), "a verdict has its findings");
  for (const std::string& finding : report.findings) {
    demand(finding.find('\n') == std::string::npos, "a finding is one line", finding);
  }
}

}  // namespace shmetrics::fuzz
