#include "collector/native_view.hpp"

#include <algorithm>
#include <cmath>

#include "shm/layout.hpp"

namespace shmetrics::collector {
namespace {

constexpr int kMostPowers = static_cast<int>(kMostClassicBounds) - 2;

// The greatest power of two that is not above.
int power_below(double border) {
  return std::ilogb(border);
}
int power_above(double border) {
  const int below = power_below(border);
  return std::ldexp(1.0, below) < border ? below + 1 : below;
}

// To a multiple of a power of two.
int round_up(int power, int step) {
  return (power + step - 1) & -step;
}

}  // namespace

std::vector<double> classic_bounds(const shm::NativeWindow& window) {
  std::vector<double> bounds = {window.bound(0)};
  const int low = power_below(window.bound(0)) + 1;
  const int high = power_above(window.bound(window.bound_count() - 1)) - 1;
  int step = 1 << std::max(0, -window.schema);
  const auto first = [&] { return round_up(low, step); };
  while (high >= first() && (high - first()) / step + 1 > kMostPowers) step *= 2;
  for (int power = first(); power <= high; power += step) bounds.push_back(std::ldexp(1.0, power));
  bounds.push_back(window.bound(window.bound_count() - 1));
  return bounds;
}

std::vector<std::uint8_t> classic_buckets(const shm::NativeWindow& window, std::span<const double> bounds) {
  std::vector<std::uint8_t> buckets;
  std::uint8_t bucket = 0;
  for (std::uint32_t cell = 0; cell < window.bound_count(); ++cell) {
    while (bucket < bounds.size() && bounds[bucket] < window.bound(cell)) ++bucket;
    buckets.push_back(bucket);
  }
  buckets.push_back(static_cast<std::uint8_t>(bounds.size()));
  return buckets;
}

NativeView common_view(std::span<const shm::NativeWindow> windows) {
  NativeView view;
  view.schema = shm::kMaxNativeSchema;
  for (const auto& window : windows) view.schema = std::min(view.schema, window.schema);
  std::int32_t low = INT32_MIN, last = INT32_MIN;
  for (const auto& window : windows) {
    const std::int32_t steps = window.schema - view.schema;
    low = std::max(low, shm::coarser_native_key(window.low_key, steps));
    last = std::max(last, shm::coarser_native_key(window.high_key + 1, steps));
  }
  view.low_key = low;
  // No more than the window with the highest end has: it does not begin above `low`.
  view.cells = static_cast<std::uint32_t>(last - low) + 1;
  return view;
}

std::vector<std::uint16_t> cells_in(const NativeView& view, const shm::NativeWindow& window) {
  std::vector<std::uint16_t> cells;
  for (std::int32_t key = window.low_key; key <= window.high_key + 1; ++key) {
    const std::int32_t coarser = shm::coarser_native_key(key, window.schema - view.schema);
    cells.push_back(static_cast<std::uint16_t>(std::max(coarser, view.low_key) - view.low_key));
  }
  return cells;
}

NativeSpans native_spans(const NativeView& view, std::span<const std::uint64_t> cells) {
  constexpr std::int32_t kFilledGap = 2;
  NativeSpans found;
  std::int32_t next = 0;  // the key behind the last bucket
  std::uint64_t before = 0;
  const auto add = [&](std::uint64_t count) {
    found.deltas.push_back(static_cast<std::int64_t>(count - before));
    before = count;
    ++found.spans.back().length;
    ++next;
  };
  for (std::uint32_t cell = 1; cell < cells.size(); ++cell) {
    if (cells[cell] == 0) continue;
    const std::int32_t gap = view.key(cell) - next;
    if (found.spans.empty() || gap > kFilledGap) {
      found.spans.push_back({gap, 0});
      next = view.key(cell);
    }
    while (next < view.key(cell)) add(0);
    add(cells[cell]);
  }
  return found;
}

}  // namespace shmetrics::collector
