#include "tests/faults/shift.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <numeric>

#include "collector/check.hpp"
#include "collector/plain_family.hpp"
#include "tests/forked.hpp"

namespace shmetrics::tests {
namespace {

// What docs/architecture.md states under Waiting, times what a busy machine and the sanitizers add.
constexpr std::int64_t kGenerous = 50;
constexpr std::int64_t kLongestDeclaration_ns = 100'000'000 * kGenerous;
constexpr std::int64_t kLongestWith_ns = kLongestDeclaration_ns;

/// Sum over all series of a family.
double total(const Scrape& scrape, const std::string& name) {
  double sum = 0;
  for (const auto& [series, value] : scrape.values) {
    if (series == name || series.starts_with(name + "{")) sum += value;
  }
  return sum;
}

double value_or(const Scrape& scrape, const std::string& series, double otherwise) {
  return scrape.has(series) ? scrape[series] : otherwise;
}

}  // namespace

void check_waits(const Ledger& ledger) {
  EXPECT_LT(ledger.longest_open_ns, kLongestDeclaration_ns);
  EXPECT_LT(ledger.longest_declaration_ns, kLongestDeclaration_ns);
  EXPECT_LT(ledger.longest_with_ns, kLongestWith_ns);
  EXPECT_LT(ledger.longest_update_ns, kLongestDeclaration_ns) << "a process's first gauge waits as a declaration does";
}

void Waits::note(const Ledger& ledger) {
  declaration_ns = std::max({declaration_ns, ledger.longest_declaration_ns.load(), ledger.longest_open_ns.load()});
  with_ns = std::max(with_ns, ledger.longest_with_ns.load());
}

void Waits::print() const {
  std::printf("longest wait to open or declare %.1f ms, in with() %.1f ms\n",
              static_cast<double>(declaration_ns) * 1e-6, static_cast<double>(with_ns) * 1e-6);
}

const char* name_of(Ground ground) {
  switch (ground) {
    case Ground::kNothing:
      return "Nothing";
    case Ground::kEmptyFile:
      return "EmptyFile";
    case Ground::kKilledWorker:
      return "KilledWorker";
  }
  return "";
}

Shift::Shift(Ground ground) : options_(day_options(folder_.file("a.seg"))) {
  scraper_ = std::make_unique<collector::Scraper>(options_.path);
  if (ground == Ground::kEmptyFile) std::ofstream(options_.path).close();
  if (ground == Ground::kKilledWorker) {
    // The main thread's last: everything is declared and set.
    constexpr int kObservationsOfMain = 3 + 32;
    EXPECT_TRUE(start_and_lose(
        {static_cast<std::size_t>(shm::Failpoint::observe_sequence_odd), kObservationsOfMain, Strike::kKill}));
  }
}

Shift::~Shift() {
  for (Ledger* ledger : ledgers_) munmap(ledger, sizeof(Ledger));
}

Ledger& Shift::open_ledger() {
  ledgers_.push_back(&shared<Ledger>());
  return *ledgers_.back();
}

pid_t Shift::start(const Failure& failure) {
  Ledger& ledger = open_ledger();
  return forked([&] {
    arm(ledger.passes, failure);
    spend_day(options_, days(), ledger);
    return 0;
  });
}

bool Shift::start_and_lose(const Failure& failure) {
  const int code = wait_for(start(failure));
  if (code == -SIGKILL) {
    note_kill();
    return true;
  }
  EXPECT_EQ(code, 0);
  return false;
}

void Shift::start_and_finish() {
  ASSERT_EQ(wait_for(start()), 0);
  const Ledger& day = ledger();
  EXPECT_TRUE(day.is_complete) << "some declaration was refused";
  // Three and thirty-two by the first thread, one by the second in a slot of its own: they found slots, and room.
  EXPECT_EQ(day.passes[static_cast<std::size_t>(shm::Failpoint::observe_sequence_even)], 36u);
  EXPECT_EQ(day.passes[static_cast<std::size_t>(shm::Failpoint::observe_spill_sum_added)], 1u);
  check_waits(day);
}

void Shift::check(int live, int under_way) {
  const auto nothing_done = [](const Ledger* ledger) {
    return std::all_of(std::begin(ledger->acknowledged), std::end(ledger->acknowledged),
                       [](const auto& count) { return count == 0; });
  };
  std::error_code missing;
  if (std::filesystem::file_size(options_.path, missing) == 0 || missing) {
    EXPECT_TRUE(std::all_of(ledgers_.begin(), ledgers_.end(), nothing_done)) << "no segment";
    return;
  }
  const collector::CheckReport report = collector::check_segment(options_.path);
  EXPECT_EQ(report.verdict, collector::CheckReport::Verdict::kSound)
      << (report.findings.empty() ? "" : report.findings.front());
  const Scrape seen = scrape(*scraper_);
  ASSERT_TRUE(seen.status.up) << seen.status.problem;
  EXPECT_EQ(seen.status.quarantined_families + seen.status.quarantined_series + seen.status.quarantined_slots +
                seen.status.quarantined_workers,
            0u);
  check_counts(seen, kills_ + under_way);
  check_histograms(seen);
  check_exemplars();
  check_gauges(seen, live);
  check_nothing_went_down(seen);
}

void Shift::check_counts(const Scrape& scrape, int spare) const {
  constexpr const char* kNames[kKinds] = {"hits_total", "cost_total", "duration_seconds_count", "wide_count",
                                          "balance"};
  double acknowledged_in_all = 0;
  double shown_in_all = 0;
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    double acknowledged = 0;
    for (const Ledger* ledger : ledgers_) acknowledged += static_cast<double>(ledger->acknowledged[kind]);
    const double shown = total(scrape, kNames[kind]);
    EXPECT_LE(shown, acknowledged + spare) << kNames[kind];
    // A gauge of a process without an entry has no place, but its loss is counted.
    if (kind == kBalance) acknowledged -= std::min(acknowledged, static_cast<double>(dropped_of(scrape.status)));
    EXPECT_GE(shown, acknowledged) << kNames[kind];
    acknowledged_in_all += acknowledged;
    shown_in_all += shown;
  }
  EXPECT_LE(shown_in_all, acknowledged_in_all + spare + static_cast<double>(dropped_of(scrape.status)));
}

void Shift::check_histograms(const Scrape& scrape) const {
  // A kill between the two words of the spill leaves a bucket without its sum.
  double cut = 0;
  for (const Ledger* ledger : ledgers_) {
    cut += static_cast<double>(ledger->passes[static_cast<std::size_t>(shm::Failpoint::observe_spill_bucket_added)] -
                               ledger->passes[static_cast<std::size_t>(shm::Failpoint::observe_spill_sum_added)]);
  }
  const double count = total(scrape, "duration_seconds_count");
  EXPECT_EQ(total(scrape, "duration_seconds_sum"), count - cut);
  EXPECT_EQ(value_or(scrape, "duration_seconds_bucket{le=\"0.5\"}", 0), 0);
  EXPECT_EQ(value_or(scrape, "duration_seconds_bucket{le=\"2\"}", 0), count);
  EXPECT_EQ(value_or(scrape, "duration_seconds_bucket{le=\"+Inf\"}", 0), count);
  EXPECT_EQ(total(scrape, "wide_sum"), total(scrape, "wide_count"));
}

// Of a worker that was killed in the middle of one, the older one of another is shown, or none; never a mixture.
void Shift::check_exemplars() const {
  for (const collector::PlainFamily& family : plain_families(scraper_->view())) {
    for (const collector::PlainSeries& series : family.series) {
      for (const collector::PlainExemplar& exemplar : series.exemplars) {
        EXPECT_EQ(exemplar.value, 1) << family.name;
        ASSERT_EQ(exemplar.labels.size(), 2u) << family.name;
        EXPECT_EQ(exemplar.labels[0].second, exemplar.labels[1].second) << family.name;
      }
    }
  }
}

void Shift::check_gauges(const Scrape& scrape, int live) const {
  int lowest = 0, highest = 0, newest = 0;
  for (const Ledger* ledger : ledgers_) {
    lowest = std::min(lowest, ledger->lowest_set.load());
    highest = std::max(highest, ledger->highest_set.load());
    if (ledger->newest_set != 0) newest = ledger->newest_set;
  }
  EXPECT_LE(value_or(scrape, "active", 0), live) << "live gauges of the dead";
  EXPECT_LE(value_or(scrape, "day_info{version=\"1\"}", 0), live);
  // One that was set and not acknowledged may count already.
  if (dropped_of(scrape.status) > 0) return;
  EXPECT_LE(lowest == 0 ? 0 : scrape["lowest"], lowest);
  EXPECT_GE(highest == 0 ? 0 : scrape["highest"], highest);
  EXPECT_GE(newest == 0 ? 0 : scrape["newest"], in_turn_ ? newest : std::min(newest, 1));
  EXPECT_GE(value_or(scrape, "lowest", 0), -days());
  EXPECT_LE(value_or(scrape, "highest", 0), days());
  EXPECT_LE(value_or(scrape, "newest", 0), days());
}

void Shift::check_nothing_went_down(const Scrape& scrape) {
  for (const auto& [series, value] : scrape.values) {
    if (series.find("_total") == series.npos && series.find("_count") == series.npos &&
        series.find("_sum") == series.npos && series.find("_bucket") == series.npos) {
      continue;
    }
    EXPECT_GE(value, highest_[series]) << series;
    highest_[series] = value;
  }
}

void Shift::check_folder() const {
  for (const auto& entry : std::filesystem::directory_iterator(folder_.file(""))) {
    EXPECT_EQ(entry.path(), options_.path) << "left behind";
  }
}

}  // namespace shmetrics::tests
