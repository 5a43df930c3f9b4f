#include "exporter/scrape/read_turns.hpp"

#include <algorithm>

namespace shmetrics::exporter {
namespace {

using collector::SegmentStatus;
using Clock = std::chrono::steady_clock;

struct Turn {
  FollowedSegment* segment;
  SegmentStatus* status;
};

class Turns {
 public:
  Turns(const std::list<FollowedSegment>& segments, const ReadBudget& budget)
      : budget_(budget), deadline_(Clock::now() + budget.time) {
    for (const FollowedSegment& segment : segments) held_bytes_ += segment.scraper.held_bytes();
  }

  /// `waiting` still have their turn, this one included.
  void take(const Turn& turn, std::size_t waiting) {
    collector::Scraper& scraper = turn.segment->scraper;
    const auto now = Clock::now();
    const std::uint64_t held = scraper.held_bytes();
    const std::uint64_t left = budget_.held_bytes - std::min(budget_.held_bytes, held_bytes_);
    *turn.status = scraper.read({.deadline = now + std::max(deadline_ - now, Clock::duration::zero()) / waiting,
                                 .held_bytes = held + left / waiting,
                                 .text_bytes = budget_.text_bytes,
                                 .is_stopped = budget_.is_stopped});
    held_bytes_ += scraper.held_bytes() - held;
  }

 private:
  const ReadBudget& budget_;
  Clock::time_point deadline_;
  std::uint64_t held_bytes_ = 0;
};

void put_off(FollowedSegment& segment, SegmentStatus& status) {
  segment.pause = std::clamp<std::chrono::seconds>(2 * segment.pause, std::chrono::seconds(1), kMostPause);
  segment.read_again = Clock::now() + segment.pause;
  status.problem += "; others would wait for it, so it is read less often";
  segment.put_off_for = status.problem;
}

}  // namespace

std::vector<SegmentStatus> read_in_turn(std::list<FollowedSegment>& segments, const ReadBudget& budget) {
  std::vector<SegmentStatus> statuses(segments.size());
  const bool is_alone = std::ranges::count(segments, false, &FollowedSegment::is_removed) == 1;
  std::vector<Turn> quick, slow;
  auto status = statuses.begin();
  for (FollowedSegment& segment : segments) {
    const Turn turn{&segment, &*status++};
    if (segment.is_removed) {
      turn.status->segment = segment.scraper.segment();
      turn.status->problem =
          segment.scraper.path() +
          " was removed while its workers live: restart the application, with the master that forks them";
    } else if (segment.pause.count() == 0 || is_alone) {
      quick.push_back(turn);
    } else if (Clock::now() >= segment.read_again) {
      slow.push_back(turn);
    } else {
      turn.status->segment = segment.scraper.segment();
      turn.status->problem = segment.put_off_for;
    }
  }
  Turns turns(segments, budget);
  std::size_t waiting = quick.size() + slow.size();
  for (const Turn& turn : quick) {
    turns.take(turn, waiting--);
    if (turn.status->ran_out && !is_alone) slow.push_back(turn);
  }
  waiting = slow.size();
  for (const Turn& turn : slow) {
    turns.take(turn, waiting--);
    if (turn.status->ran_out) {
      put_off(*turn.segment, *turn.status);
    } else {
      turn.segment->pause = {};
    }
  }
  return statuses;
}

}  // namespace shmetrics::exporter
