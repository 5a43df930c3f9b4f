#include "tools/top_frame.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <utility>

#include "collector/text_format.hpp"
#include "tools/printable.hpp"
#include "tools/reasons.hpp"

namespace shmetrics::tools {
namespace {

constexpr int kNumberWidth = 12;
constexpr std::string_view kBold = "\x1b[1m", kRed = "\x1b[1;31m", kPlain = "\x1b[0m";

using std::to_string;

// Digits that a glance takes in; `dump` has all of them.
std::string rate_text(std::optional<double> rate) {
  if (!rate) return "-";
  if (!std::isfinite(*rate)) return "+Inf";
  if (*rate == 0) return "0";
  std::array<char, 32> text;
  const char* format = *rate >= 1e12 || *rate < 0.01 ? "%.3g" : *rate >= 1000 ? "%.0f" : *rate >= 10 ? "%.1f" : "%.2f";
  return {text.data(), static_cast<std::size_t>(std::snprintf(text.data(), text.size(), format, *rate))};
}

std::string value_text(double value) {
  if (std::abs(value) < 1e15 && value == std::floor(value)) {
    return (std::signbit(value) && value != 0 ? "-" : "") + to_string(static_cast<std::uint64_t>(std::abs(value)));
  }
  std::string text;
  if (!std::isfinite(value)) {
    collector::append_number(text, value);
    return text;
  }
  std::array<char, 32> digits;
  text.assign(digits.data(), static_cast<std::size_t>(std::snprintf(digits.data(), digits.size(), "%.6g", value)));
  return text;
}

std::string interval_text(std::chrono::milliseconds interval) {
  const auto count = interval.count();
  return count % 1000 == 0 ? to_string(count / 1000) + "s" : to_string(count) + "ms";
}

std::string right(const std::string& text) {
  return std::string(text.size() < kNumberWidth ? kNumberWidth - text.size() : 0, ' ') + text;
}

// Lines that may be coloured, but never in the middle: what is clipped holds no escape.
class Lines {
 public:
  explicit Lines(const FrameOptions& options) : options_(options) {}

  void add(std::string_view text, std::string_view colour = {}) {
    if (options_.rows > 0 && lines_.size() >= options_.rows) return;
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

}  // namespace

std::string_view clip(std::string_view text, std::size_t columns) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool begins = (static_cast<unsigned char>(text[i]) & 0xc0) != 0x80;
    if (begins && columns-- == 0) return text.substr(0, i);
  }
  return text;
}

std::vector<std::string> frame(const collector::SegmentStatus& status, const Rates& rates,
                               const FrameOptions& options) {
  constexpr std::size_t kTitles = 2;  // an empty line, and the names of the columns
  Lines lines(options);
  add_header(lines, status, options);
  if (!status.up) return lines.take();

  std::size_t moving = rates.moving.size(), gauges = rates.gauges.size();
  const std::size_t titles = (moving > 0 ? kTitles : 0) + (gauges > 0 ? kTitles : 0);
  const std::size_t room = lines.room() - std::min(lines.room(), titles);
  if (room < moving + gauges) {
    gauges = std::min(gauges, std::max(room / 3, room - std::min(room, moving)));
    moving = std::min(moving, room - gauges);
  }
  const bool has_p99 = std::ranges::any_of(rates.moving, [](const RateRow& row) { return row.p99.has_value(); });
  if (moving > 0) {
    lines.add("");
    lines.add(right("RATE/S") + right("TOTAL") + right("MEAN") + (has_p99 ? right("P99") : "") +
                  "  COUNTER, HISTOGRAM, SUMMARY",
              kBold);
  }
  for (std::size_t i = 0; i < moving; ++i) {
    const RateRow& row = rates.moving[i];
    lines.add(right(rate_text(row.rate)) + right(value_text(row.value)) + right(row.mean ? value_text(*row.mean) : "") +
              (has_p99 ? right(row.p99 ? value_text(*row.p99) : "") : "") + "  " + row.series);
  }
  if (gauges > 0) {
    lines.add("");
    lines.add(right("VALUE") + "  GAUGE", kBold);
  }
  for (std::size_t i = 0; i < gauges; ++i) {
    lines.add(right(value_text(rates.gauges[i].value)) + "  " + rates.gauges[i].series);
  }
  return lines.take();
}

}  // namespace shmetrics::tools
