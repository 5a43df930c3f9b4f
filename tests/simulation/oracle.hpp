// Holds what a segment shows against what the actors have started and what has come back to them.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "collector/plain_family.hpp"
#include "collector/scraper.hpp"
#include "tests/simulation/stage.hpp"

namespace shmetrics::simulation {

inline constexpr double kCostStep = 0.25;
inline constexpr double kSizeStep = 8;

class Oracle {
 public:
  explicit Oracle(const std::string& path) : scraper_(path) {}

  /// Reads the segment, in steps if the caller is an actor, and says what is wrong; nothing: all is well, or there is
  /// no segment yet.
  std::string look();
  /// And holds its bytes against the rules of docs/segment-format.md. By the scheduler.
  std::string look_and_check();
  /// When nobody is left: also what holds only then.
  std::string look_at_the_end();

  std::uint64_t scrapes() const { return scrapes_; }
  std::uint64_t torn_reads() const { return torn_reads_; }
  std::uint64_t exemplars() const { return exemplars_; }
  /// What was shown last, by kind, in updates.
  double shown(Kind kind) const { return shown_[kind]; }

 private:
  struct Sums {
    std::uint64_t of[kKinds] = {};
  };
  std::string judge(const Stage& before, const Sums& acknowledged, const Sums& started);
  std::string judge_gauges(const Stage& before);
  void add(const collector::PlainFamily& family);
  void judge_exemplars(const collector::PlainSeries& series);

  collector::Scraper scraper_;
  collector::SegmentStatus status_;
  double shown_[kKinds] = {};
  double highest_[kKinds] = {};
  double alive_ = 0, peak_ = -1, highest_peak_ = -1;
  std::string mixed_;                        // an exemplar that nobody gave
  double latency_skew_ = 0, size_skew_ = 0;  // sum less what the buckets say
  std::uint64_t scrapes_ = 0;
  std::uint64_t torn_reads_ = 0;
  std::uint64_t exemplars_ = 0;  // that were judged
};

/// No two living actors count in one slot. By the scheduler.
std::string judge_slots();

}  // namespace shmetrics::simulation
