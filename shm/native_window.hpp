// The buckets of a native histogram. Their borders are the powers of 2^(2^-schema). A family names two of them: its
// zero bucket holds all values up to the lower border, and one cell holds all values above the higher border.
//
// Bucket `key` of a schema holds the values above border key - 1, up to and including border `key`. A border is the
// double that is nearest to the power, and at most the largest double.
//
// Source: Prometheus, "Native Histograms", exponential buckets. Borders of client_golang are products of doubles,
// and differ from these by up to 4 units of the last place.
//
// Pure. Threads: any. Failure: none; native_refusal() may throw std::bad_alloc. Lifetime: values.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>

namespace shmetrics::shm {

inline constexpr std::int32_t kMinNativeSchema = -4;
inline constexpr std::int32_t kMaxNativeSchema = 8;  // the finest: 256 buckets from a power of two to the next
inline constexpr std::size_t kNativeBounds = 3;      // what a record keeps of them: schema, low border, high border

namespace detail {

inline constexpr int kFractionBits = 52;
inline constexpr std::int32_t kFinest = 1 << kMaxNativeSchema;  // buckets from a power of two to the next
inline constexpr int kGuessBits = kMaxNativeSchema + 1;

struct NativeBorders {
  // Fractions of the borders from 1 on, below 2; and one that nothing is above.
  std::array<std::uint64_t, kFinest + 1> fractions{};
  // By the highest bits of a fraction: how many borders are below all numbers that begin so. Another border may lie
  // among those numbers, but never two.
  std::array<std::uint16_t, 1 << kGuessBits> guesses{};
};
extern const NativeBorders native_borders;

}  // namespace detail

/// Bucket of a positive normal number in the finest schema, from its bits.
inline std::int32_t finest_native_key(std::uint64_t bits) noexcept {
  constexpr std::uint64_t kFraction = (std::uint64_t{1} << detail::kFractionBits) - 1;
  constexpr std::int32_t kExponentOfOne = 1023;
  const auto exponent = static_cast<std::int32_t>(bits >> detail::kFractionBits) - kExponentOfOne;
  const std::uint64_t fraction = bits & kFraction;
  const std::int32_t guess = detail::native_borders.guesses[fraction >> (detail::kFractionBits - detail::kGuessBits)];
  const bool is_above = fraction > detail::native_borders.fractions[static_cast<std::size_t>(guess)];
  return exponent * detail::kFinest + guess + static_cast<std::int32_t>(is_above);
}

/// The bucket that holds it when 2^steps buckets become one.
constexpr std::int32_t coarser_native_key(std::int32_t key, std::int32_t steps) noexcept {
  return (key + ((1 << steps) - 1)) >> steps;
}

inline std::int32_t native_key(std::int32_t schema, double value) noexcept {
  return coarser_native_key(finest_native_key(std::bit_cast<std::uint64_t>(value)), kMaxNativeSchema - schema);
}

/// The upper border of a bucket.
double native_border(std::int32_t schema, std::int32_t key) noexcept;

/// The coarsest schema whose buckets are at most that factor wide, as far as there is one.
std::int32_t native_schema(double factor) noexcept;

/// What a family's record keeps. It counts in cells of
///   [0]        up to the low border
///   [i]        the bucket of key low_key + i
///   [last]     above the high border
struct NativeWindow {
  std::int32_t schema = 0;
  std::int32_t low_key = 0;
  std::int32_t high_key = 0;

  /// Nothing: these are not what a record of a native histogram has.
  static std::optional<NativeWindow> of(std::span<const double> bounds) noexcept;
  std::array<double, kNativeBounds> bounds() const noexcept;
  /// Finite ones, from the low border to the high one. There is one cell more.
  std::uint32_t bound_count() const noexcept { return static_cast<std::uint32_t>(high_key - low_key) + 1; }
  double bound(std::uint32_t index) const noexcept {
    return native_border(schema, low_key + static_cast<std::int32_t>(index));
  }
  /// Cell of a number that is neither negative nor NaN.
  std::uint32_t cell_of(double value) const noexcept;
  /// Schemas between its own and that of whole octaves, each of which has an exemplar; a coarser window has one a
  /// bucket.
  std::int32_t octave_steps() const noexcept { return schema > 0 ? schema : 0; }
  /// The number of a cell's exemplar.
  std::uint32_t exemplar_of(std::uint32_t cell) const noexcept {
    const auto octave = [steps = octave_steps()](std::int32_t key) { return coarser_native_key(key, steps); };
    return static_cast<std::uint32_t>(octave(low_key + static_cast<std::int32_t>(cell)) - octave(low_key));
  }
  bool operator==(const NativeWindow&) const = default;
};

/// The bounds of the smallest window around these. What makes none stays in them, so that native_refusal() can tell.
std::array<double, kNativeBounds> native_bounds(double low, double high, double factor) noexcept;
/// Why there is no such window, in a line that says what to do; empty when there is one.
std::string native_refusal(std::span<const double> bounds, std::uint32_t most_bounds);

}  // namespace shmetrics::shm
