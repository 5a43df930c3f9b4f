// What a segment held at one moment, as plain values that own what they say: for tables, JSON and whatever else is not
// the text format. The text format has a way of its own (Scraper::render), which is faster.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace shmetrics::collector {

enum class WorkerState { kLive, kDead, kReleased, kUnused };
std::string_view state_name(WorkerState state);  // live dead released unused

/// An entry of the worker table. Of an entry that is not live, the rest speaks of its last owner.
struct WorkerRow {
  std::uint32_t worker = 0;
  WorkerState state = WorkerState::kUnused;
  std::uint64_t pid = 0;  // a label for people: of the owner's own pid namespace, and maybe long reused
  std::string program;    // printable text
  std::uint64_t started_unix_ns = 0;
  std::uint64_t adopted = 0;
  std::uint64_t deaths = 0;
  std::uint64_t slots = 0;  // thread slots that its present owner has
};

/// Bucket: upper bound, and how many observations up to it; the last bound is +Inf.
struct Distribution {
  std::vector<std::pair<double, std::uint64_t>> buckets;  // empty for a summary
  double sum = 0;
  std::uint64_t count = 0;
};

struct Series {
  std::vector<std::pair<std::string, std::string>> labels;  // with `worker` in the modes that have a series per worker
  std::variant<std::uint64_t, double, Distribution> value;
};

/// One schema of a family that has several.
struct Generation {
  std::uint32_t entry = 0;  // of the directory
  std::vector<std::string> labels;
  std::vector<double> bounds;
  std::string mode;                // of a gauge, else empty
  std::string_view cell_kind;      // unsigned double
  std::uint64_t series_count = 0;  // label sets that it knows
};

struct Family {
  std::string name;
  std::string type;  // counter gauge histogram summary info
  std::string help;
  std::string unit;
  std::string mode;  // of a gauge, else empty
  std::vector<std::string> labels;
  std::vector<Generation> generations;  // the oldest first; none when there is only one
  std::vector<Series> series;           // in the order of the text format; only those that it shows
};

/// RFC 3339, UTC; empty for a time that no calendar holds.
std::string time_text(std::uint64_t unix_seconds);

struct CatalogFamily;
struct Totals;
/// The family with its totals, as the text format would show it.
Family describe(const CatalogFamily& family, const Totals& totals);

}  // namespace shmetrics::collector
