#include "tools/top_frame.hpp"

#include <algorithm>
#include <array>
#include <boost/algorithm/string/predicate.hpp>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <sstream>
#include <utility>

#include "collector/text_format.hpp"
#include "tools/printable.hpp"
#include "tools/reasons.hpp"

namespace shmetrics::tools {
namespace {

constexpr std::size_t kRateWidth = 9, kValueWidth = 11, kTimeWidth = 9;
constexpr std::size_t kNumbersWidth = kRateWidth + kValueWidth + 2 * kTimeWidth + 2;
constexpr std::string_view kBold = "\x1b[1m", kRed = "\x1b[1;31m", kPlain = "\x1b[0m";

using std::to_string;

std::string printed(const char* format, double value) {
  std::array<char, 32> text;
  return {text.data(), static_cast<std::size_t>(std::snprintf(text.data(), text.size(), format, value))};
}

// Digits that a glance takes in; `dump` has all of them.
std::string rate_text(std::optional<double> rate) {
  if (!rate) return "-";
  if (!std::isfinite(*rate)) return "+Inf";
  if (*rate == 0) return "0";
  return printed(*rate >= 1e7 || *rate < 0.01 ? "%.3g" : *rate >= 1000 ? "%.0f" : *rate >= 10 ? "%.1f" : "%.2f", *rate);
}

std::string value_text(double value) {
  if (std::abs(value) < 1e12 && value == std::floor(value)) {
    return (std::signbit(value) && value != 0 ? "-" : "") + to_string(static_cast<std::uint64_t>(std::abs(value)));
  }
  if (std::isfinite(value)) return printed("%.6g", value);
  std::string text;
  collector::append_number(text, value);
  return text;
}

// By the last word of the family's name, which is its unit: `20.5us`, `1.5MiB`.
std::string measured(const std::string& family, double value) {
  using Scale = std::pair<double, const char*>;
  static constexpr Scale kTimes[] = {{86400, "d"}, {3600, "h"},  {60, "min"}, {1, "s"},
                                     {1e-3, "ms"}, {1e-6, "us"}, {1e-9, "ns"}};
  static constexpr Scale kBytes[] = {{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}, {1, "B"}};
  const auto scaled = [&](const auto& scales) {
    for (const auto& [unit, name] : scales) {
      if (std::abs(value) >= unit) return printed("%.3g", value / unit) + name;
    }
    return printed("%.3g", value);
  };
  if (!std::isfinite(value)) return value_text(value);
  if (family.ends_with("_seconds")) return scaled(kTimes);
  if (family.ends_with("_bytes")) return scaled(kBytes);
  return printed("%.4g", value);
}

std::string interval_text(std::chrono::milliseconds interval) {
  const auto count = interval.count();
  return count % 1000 == 0 ? to_string(count / 1000) + "s" : to_string(count) + "ms";
}

std::string right(const std::string& text, std::size_t width) {
  return std::string(text.size() < width ? width - text.size() : 0, ' ') + text;
}

std::string numbers(const std::string& family, bool is_gauge, const RateRow& row) {
  const std::string p95 =
      row.p95 ? (row.p95->is_at_most ? "<=" : "") + measured(family, row.p95->value) : std::string();
  return right(is_gauge ? "" : rate_text(row.rate), kRateWidth) + right(value_text(row.value), kValueWidth) +
         right(row.mean ? measured(family, *row.mean) : "", kTimeWidth) + right(p95, kTimeWidth) + "  ";
}

// Lines that may be coloured, but never in the middle: what is clipped holds no escape.
class Lines {
 public:
  explicit Lines(const FrameOptions& options) : options_(options) {}

  void add(std::string_view text, std::string_view colour = {}) {
    if (room() == 0) return;
    if (options_.columns > 0) text = clip(text, options_.columns);
    std::string& line = lines_.emplace_back();
    if (!options_.has_colours || colour.empty()) {
      line = text;
    } else {
      line.append(colour).append(text).append(kPlain);
    }
  }
  /// How many rows are left.
  std::size_t room() const {
    return options_.rows == 0 ? SIZE_MAX : options_.rows - std::min(options_.rows, lines_.size());
  }
  std::vector<std::string> take() { return std::move(lines_); }

 private:
  const FrameOptions& options_;
  std::vector<std::string> lines_;
};

void add_header(Lines& lines, const collector::SegmentStatus& status, const FrameOptions& options) {
  lines.add(printable(options.path) + "  " + collector::time_text(options.unix_seconds) + "  every " +
                interval_text(options.interval),
            kBold);
  if (!status.up) return lines.add("no segment: " + printable(status.problem), kRed);
  const auto percent = [](std::uint64_t used, std::uint64_t limit) {
    return to_string(used * 100 / std::max<std::uint64_t>(limit, 1)) + " %";
  };
  const std::uint64_t drops = sum(status.updates_dropped);
  const std::uint64_t slots = status.slots_used + status.slots_free;
  lines.add("workers " + to_string(status.workers_live) + " live, " + to_string(status.workers_dead) +
                " dead   slots " + to_string(status.slots_used) + " of " + to_string(slots) + "   cells " +
                percent(status.cells_used, status.cells_limit) + "   deaths " + to_string(status.worker_deaths) +
                "   drops " + to_string(drops),
            drops > 0 || status.workers_dead > 0 ? kRed : "");
  if (sum(status.declarations_refused) > 0) {
    lines.add("declarations refused: " + listed(status.declarations_refused), kRed);
  }
  if (!status.notice.empty()) lines.add(printable(status.notice), kRed);
}

struct Row {
  std::string numbers, text;
  bool is_head;
};

std::size_t length(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

// A family in a row, and its series below; one that has no labels is its own single series. Where the labels of one do
// not fit, the values matter more than the names.
std::vector<Row> rows_of(const std::vector<FamilyRates>& families, const std::string& filter, std::size_t width) {
  std::istringstream typed(filter);
  const std::vector<std::string> words{std::istream_iterator<std::string>(typed), {}};
  std::vector<Row> rows;
  for (const FamilyRates& family : families) {
    std::vector<const RateRow*> found;
    for (const RateRow& row : family.series) {
      const std::string text = family.name + " " + row.labels;
      if (std::ranges::all_of(words, [&](const auto& word) { return boost::algorithm::icontains(text, word); })) {
        found.push_back(&row);
      }
    }
    if (found.empty()) continue;
    const auto of = [&](const RateRow& row) { return numbers(family.name, family.is_gauge, row); };
    if (found.size() == 1 && found.front()->labels.empty()) {
      rows.push_back({of(*found.front()), family.name, true});
      continue;
    }
    const bool has_total = !family.is_gauge && found.size() == family.series.size();
    rows.push_back({has_total ? of(family.total) : std::string(kNumbersWidth, ' '), family.name, true});
    const bool fits = std::ranges::all_of(found, [width](auto* row) { return 2 + length(row->labels) <= width; });
    for (const RateRow* row : found) {
      const bool is_short = !fits && !row->short_labels.empty();
      rows.push_back({of(*row), "  " + (is_short ? row->short_labels : row->labels), false});
    }
  }
  return rows;
}

}  // namespace

std::string_view clip(std::string_view text, std::size_t columns) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool begins = (static_cast<unsigned char>(text[i]) & 0xc0) != 0x80;
    if (begins && columns-- == 0) return text.substr(0, i);
  }
  return text;
}

std::string squeeze(std::string_view text, std::size_t columns) {
  const std::size_t whole = length(text);
  if (whole <= columns) return std::string(text);
  if (columns < 3) return std::string(clip(text, columns));
  const std::size_t end = (columns - 1) / 2, begin = columns - 1 - end;
  return std::string(clip(text, begin)) + "~" + std::string(text.substr(clip(text, whole - end).size()));
}

Frame frame(const collector::SegmentStatus& status, const std::vector<FamilyRates>& families,
            const FrameOptions& options) {
  Lines lines(options);
  add_header(lines, status, options);
  Frame made;
  if (status.up) {
    const std::size_t width = options.columns == 0              ? SIZE_MAX
                              : options.columns > kNumbersWidth ? options.columns - kNumbersWidth
                                                                : 0;
    const std::vector<Row> rows = rows_of(families, options.filter, width);
    if (!rows.empty()) {
      lines.add("");
      lines.add(right("RATE/S", kRateWidth) + right("VALUE", kValueWidth) + right("MEAN", kTimeWidth) +
                    right("P95", kTimeWidth) + "  FAMILIES, AND THEIR SERIES",
                kBold);
    }
    const std::size_t room = lines.room() - std::min<std::size_t>(lines.room(), options.hint.empty() ? 0 : 1);
    made.rows = rows.size();
    made.shown = std::min(room, rows.size());
    const std::size_t first = std::min(options.first, rows.size() - made.shown);
    for (std::size_t i = first; i < first + made.shown; ++i) {
      lines.add(rows[i].numbers + squeeze(rows[i].text, width), rows[i].is_head ? kBold : "");
    }
  }
  if (!options.hint.empty()) lines.add(options.hint);
  made.lines = lines.take();
  return made;
}

}  // namespace shmetrics::tools
