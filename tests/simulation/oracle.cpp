#include "tests/simulation/oracle.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <sstream>

#include "collector/check.hpp"
#include "tests/scrape.hpp"

namespace shmetrics::simulation {
namespace {

const char* const kNames[kKinds] = {"sim_hits_total", "sim_cost_total", "sim_latency", "sim_size", "sim_level"};

template <typename... Parts>
std::string sentence(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

/// Observations in the spill of which a look that took from `before` to `now` may show the bucket without the sum, or
/// the sum without the bucket: those that were under way or began meanwhile, and those in which an actor was killed.
std::uint64_t halves(const Stage& before, const Stage& now) {
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < std::size(now.actors); ++i) {
    const Actor &was = before.actors[i], &is = now.actors[i];
    if (was.slot != 0 && is.slot != 0) continue;
    count += was.observing + is.started[kLatency] - was.started[kLatency] + is.started[kSize] - was.started[kSize];
  }
  return count;
}

}  // namespace

void Oracle::add(const collector::PlainFamily& family) {
  for (const collector::PlainSeries& series : family.series) {
    if (const auto* count = std::get_if<std::uint64_t>(&series.value)) {
      if (family.name == kNames[kHits]) shown_[kHits] += static_cast<double>(*count);
    } else if (const auto* value = std::get_if<double>(&series.value)) {
      if (family.name == kNames[kCost]) shown_[kCost] += *value / kCostStep;
      if (family.name == kNames[kLevel]) shown_[kLevel] += *value;
      if (family.name == "sim_alive") alive_ = *value;
      if (family.name == "sim_peak") peak_ = *value;
    } else {
      const auto& observed = std::get<collector::Distribution>(series.value);
      const bool is_latency = family.name == kNames[kLatency] || family.name == "sim_native";
      shown_[is_latency ? kLatency : kSize] += static_cast<double>(observed.count);
      double expected = static_cast<double>(observed.count) * kSizeStep;
      if (is_latency) {
        expected = 0;
        double below = 0;
        for (std::size_t bucket = 0; bucket < observed.buckets.size(); ++bucket) {
          const auto upto = static_cast<double>(observed.buckets[bucket].second);
          expected += (upto - below) * static_cast<double>(bucket + 1);
          below = upto;
        }
      }
      (is_latency ? latency_skew_ : size_skew_) += std::abs(observed.sum - expected);
      judge_exemplars(series);
    }
  }
}

void Oracle::judge_exemplars(const collector::PlainSeries& series) {
  for (const collector::PlainExemplar& exemplar : series.exemplars) {
    const auto& labels = exemplar.labels;
    const bool is_whole = labels.size() == 2 && labels[0].second == labels[1].second &&
                          labels[0].second.starts_with(std::to_string(static_cast<int>(exemplar.value)));
    if (!is_whole) mixed_ = sentence("an exemplar of ", exemplar.value, " has other labels");
  }
  exemplars_ += series.exemplars.size();
}

std::string Oracle::look() {
  const Stage& now = stage();
  Sums acknowledged, started;
  const auto sum = [&](auto member, Sums& to) {
    for (const Actor& actor : now.actors) {
      for (int kind = 0; kind < kKinds; ++kind) to.of[kind] += (actor.*member)[kind];
    }
  };
  static Stage& before = *new Stage{};
  std::memcpy(static_cast<void*>(&before), &now, sizeof now);
  sum(&Actor::acknowledged, acknowledged);
  status_ = scraper_.read();
  sum(&Actor::started, started);
  if (!status_.up) {
    const bool is_honest = status_.problem.find("yet") != std::string::npos ||  // nobody has made it
                           status_.ran_out;                                     // of a fast clock
    return is_honest ? "" : status_.problem;
  }
  for (double& value : shown_) value = 0;
  alive_ = latency_skew_ = size_skew_ = 0;
  peak_ = -1;
  const auto is_ours = [](const auto& names) { return names.front().starts_with("sim_"); };
  for (const collector::PlainFamily& family : plain_families(scraper_.view(), is_ours)) add(family);
  ++scrapes_;
  std::string problem = judge(before, acknowledged, started);
  if (problem.empty()) problem = judge_gauges(before);
  return problem;
}

std::string Oracle::judge(const Stage& before, const Sums& acknowledged, const Sums& started) {
  if (status_.quarantined_families + status_.quarantined_series + status_.quarantined_slots +
          status_.quarantined_workers >
      0) {
    return "something is quarantined";
  }
  for (const int kind : {kHits, kCost, kLatency, kSize}) {
    const auto least = static_cast<double>(acknowledged.of[kind]);
    const auto most = static_cast<double>(started.of[kind]);
    if (shown_[kind] < least || shown_[kind] > most) {
      return sentence(kNames[kind], " is ", shown_[kind], ", acknowledged ", least, ", started ", most);
    }
    if (shown_[kind] < highest_[kind]) {
      return sentence(kNames[kind], " went from ", highest_[kind], " down to ", shown_[kind]);
    }
    highest_[kind] = shown_[kind];
  }
  if (!mixed_.empty()) return mixed_;
  if (shown_[kLevel] > static_cast<double>(started.of[kLevel])) return sentence("sim_level is ", shown_[kLevel]);
  const bool is_torn = status_.torn_reads != torn_reads_;  // its sums may be ahead of its counts
  torn_reads_ = status_.torn_reads;
  if (is_torn) return {};
  const auto allowed = static_cast<double>(halves(before, stage()));
  if (latency_skew_ > 3 * allowed || size_skew_ > kSizeStep * allowed) {
    return sentence("sums are off by ", latency_skew_, " and ", size_skew_, " with ", allowed,
                    " observations under way");
  }
  return {};
}

std::string Oracle::judge_gauges(const Stage& before) {
  const Stage& now = stage();
  const auto bits = static_cast<std::uint64_t>(alive_);
  std::uint64_t peak_acknowledged = 0, peak_started = 0;
  for (std::uint32_t i = 0; i < now.process_count; ++i) {
    const Process& process = now.processes[i];
    const bool could_live = (before.processes[i].is_alive || i >= before.process_count) && process.is_mark_started;
    if ((bits >> i & 1) != 0 && !could_live) return sentence("the gauge of dead worker ", i, " is shown as live");
    peak_acknowledged = std::max(peak_acknowledged, before.processes[i].peak_acknowledged);
    peak_started = std::max(peak_started, process.peak_started);
  }
  if (static_cast<double>(peak_started) < peak_) return sentence("sim_peak is ", peak_, ", started ", peak_started);
  if (tests::dropped_of(status_) > 0) return {};  // a gauge without an entry is dropped, which is counted
  if (peak_ < static_cast<double>(peak_acknowledged) && peak_acknowledged > 0) {
    return sentence("sim_peak is ", peak_, ", acknowledged ", peak_acknowledged);
  }
  if (peak_ < highest_peak_) return sentence("sim_peak went from ", highest_peak_, " down to ", peak_);
  highest_peak_ = peak_;
  return {};
}

std::string Oracle::look_at_the_end() {
  std::string problem = look_and_check();
  if (problem.empty() && alive_ != 0) return sentence("sim_alive is ", alive_, " and nobody is alive");
  return problem;
}

std::string Oracle::look_and_check() {
  if (std::string problem = look(); !problem.empty() || !status_.up) return problem;
  const collector::CheckReport report = collector::check_segment(stage().path);
  if (report.verdict != collector::CheckReport::Verdict::kSound) return "check: " + report.findings.at(0);
  return {};
}

std::string judge_slots() {
  const Stage& now = stage();
  std::map<std::uint64_t, std::size_t> owners;
  for (std::uint32_t i = 0; i < now.actor_count; ++i) {
    const Actor& actor = now.actors[i];
    if (actor.phase != Phase::kReady || actor.slot == 0 || !now.processes[actor.process].is_alive) continue;
    const auto [owner, is_new] = owners.emplace(actor.slot, i);
    if (!is_new) return sentence("actors ", owner->second, " and ", i, " count in one slot");
  }
  return {};
}

}  // namespace shmetrics::simulation
