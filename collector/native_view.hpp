// How a family of native histograms shows its cells: bucket by bucket, and as a classic histogram with few bounds, for
// formats and servers that know nothing else.
//
// Pure. Threads: any. Failure: std::bad_alloc alone. Lifetime: values.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "shm/native_window.hpp"

namespace shmetrics::collector {

/// The cells are the zero bucket, then a bucket a key. The last of them has no upper end: it also holds what is above
/// its border.
struct NativeView {
  std::int32_t schema = 0;
  std::int32_t low_key = 0;  // the zero bucket reaches up to the border of this key
  std::uint32_t cells = 0;
  std::uint32_t first_cell = 0;  // from the series' first one

  double zero_threshold() const { return shm::native_border(schema, low_key); }
  std::int32_t key(std::uint32_t cell) const { return low_key + static_cast<std::int32_t>(cell); }
};

/// At most so many, with the window's two ends.
inline constexpr std::size_t kMostClassicBounds = 22;
/// The window's ends and, between them, powers of two: all of them, or every second, fourth, ... so that at most 20 are
/// shown. All are borders of native buckets, so the classic buckets are exact.
std::vector<double> classic_bounds(const shm::NativeWindow& window);
/// Of each cell: its bucket among these bounds.
std::vector<std::uint8_t> classic_buckets(const shm::NativeWindow& window, std::span<const double> bounds);

/// One view for all these windows. No count that was shown before a new window came goes down with it:
/// docs/merge-rules.md, "Native histograms". `first_cell` is left alone.
NativeView common_view(std::span<const shm::NativeWindow> windows);
/// Of each cell of the window: its cell in the view.
std::vector<std::uint16_t> cells_in(const NativeView& view, const shm::NativeWindow& window);

/// Buckets as Prometheus' data model has them: stretches of neighbours, and for each bucket how many more it has than
/// the bucket before it.
struct NativeSpans {
  struct Span {
    std::int32_t offset = 0;  // key of its first bucket, or how many buckets lie between it and the span before
    std::uint32_t length = 0;
  };
  std::vector<Span> spans;
  std::vector<std::int64_t> deltas;
};
/// Of all cells but the zero bucket. A gap of one or two empty buckets costs less than another span.
NativeSpans native_spans(const NativeView& view, std::span<const std::uint64_t> cells);

}  // namespace shmetrics::collector
