// One segment and the workers that come to it one after the other, some of them to a bad end; and what must hold of it
// at any time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "collector/scraper.hpp"
#include "tests/faults/worker_day.hpp"
#include "tests/scrape.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics::tests {

/// What the workers find at the path.
enum class Ground {
  kNothing,       // they create the segment
  kEmptyFile,     // they replace it
  kKilledWorker,  // a segment with an entry to adopt, and in it a slot whose owner was killed while it observed
};
inline constexpr Ground kGrounds[] = {Ground::kNothing, Ground::kEmptyFile, Ground::kKilledWorker};
const char* name_of(Ground ground);

/// Nobody waited longer than stated.
void check_waits(const Ledger& ledger);

/// The longest over many days, to be printed.
struct Waits {
  std::int64_t declaration_ns = 0, with_ns = 0;
  void note(const Ledger& ledger);
  void print() const;
};

class Shift {
 public:
  explicit Shift(Ground ground);
  ~Shift();
  Shift(const Shift&) = delete;
  Shift& operator=(const Shift&) = delete;

  /// Forks a worker that spends the next day.
  pid_t start(const Failure& failure = {});
  /// The same for a worker that `failure` must kill. False: it ended before it came there.
  bool start_and_lose(const Failure& failure);
  /// The same for one that must be able to do all of its work, as if nothing had happened.
  void start_and_finish();

  /// A further ledger, for a day that the caller arranges. Its number is the count of ledgers.
  Ledger& open_ledger();
  Ledger& ledger() { return *ledgers_.back(); }
  Ledger& ledger(int number) { return *ledgers_[static_cast<std::size_t>(number) - 1]; }
  int days() const { return static_cast<int>(ledgers_.size()); }
  const Options& options() const { return options_; }

  /// The segment is sound; acknowledged <= exposed <= acknowledged + kills + under_way; nothing went down since the
  /// last look. `under_way`: updates of stopped workers.
  void check(int live = 0, int under_way = 0);
  /// Nothing lies beside the segment.
  void check_folder() const;

  void note_kill() { ++kills_; }
  /// A day begins before the one before has ended: the highest number need not be the most recent.
  void let_days_overlap() { in_turn_ = false; }

 private:
  void check_counts(const Scrape& scrape, int spare) const;
  void check_histograms(const Scrape& scrape) const;
  void check_exemplars() const;
  void check_gauges(const Scrape& scrape, int live) const;
  void check_nothing_went_down(const Scrape& scrape);

  TemporaryFolder folder_;
  Options options_;
  std::vector<Ledger*> ledgers_;
  int kills_ = 0;
  bool in_turn_ = true;
  std::unique_ptr<collector::Scraper> scraper_;
  std::map<std::string, double> highest_;
};

}  // namespace shmetrics::tests
