#include "shm/native_window.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace shmetrics::shm {
namespace {

constexpr double kLeastNormal = std::numeric_limits<double>::min();
constexpr double kLargest = std::numeric_limits<double>::max();

// Numbers from 1 to below 2, in 2^-127.
__extension__ using Wide = unsigned __int128;

constexpr Wide wide(std::uint64_t high, std::uint64_t low) {
  return Wide{high} << 64 | low;
}

// The product must be below 2. A few of the last bits are lost.
constexpr Wide product(Wide a, Wide b) {
  constexpr Wide kLow = UINT64_MAX;
  return ((a >> 64) * (b >> 64) + ((a >> 64) * (b & kLow) >> 64) + ((a & kLow) * (b >> 64) >> 64)) << 1;
}

// 2^(1/2), 2^(1/4), ... 2^(1/256)
constexpr Wide kRoots[] = {wide(0xb504f333f9de6484, 0x597d89b3754abe9f), wide(0x9837f0518db8a96f, 0x46ad23182e42f6f6),
                           wide(0x8b95c1e3ea8bd6e6, 0xfbe4628758a53c90), wide(0x85aac367cc487b14, 0xc5c95b8c2154c1b2),
                           wide(0x82cd8698ac2ba1d7, 0x3e2a475b46520bff), wide(0x8164d1f3bc030773, 0x7be56527bd14def5),
                           wide(0x80b1ed4fd999ab6c, 0x25335719b6e6fd20), wide(0x8058d7d2d5e5f6b0, 0x94d589f608ee4aa2)};
static_assert(std::size(kRoots) == kMaxNativeSchema);

constexpr std::uint64_t kFraction = (std::uint64_t{1} << detail::kFractionBits) - 1;

// Of 2^(step/256), rounded to the nearest.
constexpr std::uint64_t fraction_of_border(std::int32_t step) {
  Wide border = Wide{1} << 127;
  for (std::size_t root = 0; root < std::size(kRoots); ++root) {
    if ((step >> (kMaxNativeSchema - 1 - static_cast<std::int32_t>(root)) & 1) != 0) {
      border = product(border, kRoots[root]);
    }
  }
  constexpr int kDropped = 127 - detail::kFractionBits;
  return static_cast<std::uint64_t>((border + (Wide{1} << (kDropped - 1))) >> kDropped) & kFraction;
}

constexpr detail::NativeBorders make_native_borders() {
  constexpr int kLowBits = detail::kFractionBits - detail::kGuessBits;
  detail::NativeBorders made;
  for (std::int32_t step = 0; step < detail::kFinest; ++step) {
    made.fractions[static_cast<std::size_t>(step)] = fraction_of_border(step);
  }
  made.fractions.back() = UINT64_MAX;
  for (std::size_t high = 0; high < made.guesses.size(); ++high) {
    const auto above = std::lower_bound(made.fractions.begin(), made.fractions.end(), std::uint64_t{high} << kLowBits);
    made.guesses[high] = static_cast<std::uint16_t>(above - made.fractions.begin());
  }
  return made;
}

}  // namespace

constinit const detail::NativeBorders detail::native_borders = make_native_borders();

double native_border(std::int32_t schema, std::int32_t key) noexcept {
  const std::int32_t finest = key * (1 << (kMaxNativeSchema - schema));
  const std::int32_t exponent = finest >> kMaxNativeSchema;
  const auto step = static_cast<std::size_t>(finest & (detail::kFinest - 1));
  const double power =
      std::bit_cast<double>(std::uint64_t{1023} << detail::kFractionBits | detail::native_borders.fractions[step]);
  return std::min(std::ldexp(power, exponent), kLargest);
}

std::int32_t native_schema(double factor) noexcept {
  std::int32_t schema = kMinNativeSchema;
  while (schema < kMaxNativeSchema && native_border(schema, 1) > factor) ++schema;
  return schema;
}

std::optional<NativeWindow> NativeWindow::of(std::span<const double> bounds) noexcept {
  if (bounds.size() != kNativeBounds) return std::nullopt;
  const double low = bounds[1], high = bounds[2];
  if (!(bounds[0] >= kMinNativeSchema && bounds[0] <= kMaxNativeSchema && low >= kLeastNormal && high > low &&
        high <= kLargest)) {
    return std::nullopt;
  }
  NativeWindow window;
  window.schema = static_cast<std::int32_t>(bounds[0]);
  window.low_key = native_key(window.schema, low);
  window.high_key = native_key(window.schema, high);
  const auto same = window.bounds();
  if (!std::equal(same.begin(), same.end(), bounds.begin())) return std::nullopt;
  return window;
}

std::array<double, kNativeBounds> NativeWindow::bounds() const noexcept {
  return {static_cast<double>(schema), native_border(schema, low_key), native_border(schema, high_key)};
}

std::uint32_t NativeWindow::cell_of(double value) const noexcept {
  if (std::isinf(value)) return bound_count();
  const std::int32_t key = value < kLeastNormal ? low_key : native_key(schema, value);
  return static_cast<std::uint32_t>(std::clamp(key, low_key, high_key + 1) - low_key);
}

std::array<double, kNativeBounds> native_bounds(double low, double high, double factor) noexcept {
  std::array<double, kNativeBounds> bounds{std::numeric_limits<double>::quiet_NaN(), low, high};
  if (!(factor > 1 && factor <= kLargest)) return bounds;
  const std::int32_t schema = native_schema(factor);
  bounds[0] = schema;
  if (low >= kLeastNormal && low <= kLargest) {
    const std::int32_t key = native_key(schema, low);
    bounds[1] = native_border(schema, native_border(schema, key) > low ? key - 1 : key);
  }
  if (high >= kLeastNormal && high <= kLargest) bounds[2] = native_border(schema, native_key(schema, high));
  return bounds;
}

std::string native_refusal(std::span<const double> bounds, std::uint32_t most_bounds) {
  if (bounds.size() != kNativeBounds) return "a native histogram has 3 bounds";
  if (!(bounds[0] >= kMinNativeSchema && bounds[0] <= kMaxNativeSchema))
    return "the factor of native buckets must be above 1, such as 1.1";
  if (!(bounds[1] >= kLeastNormal && bounds[1] <= kLargest))
    return "low of native buckets must be the least value that matters, above 0";
  if (!(bounds[2] > bounds[1] && bounds[2] <= kLargest)) return "high of native buckets must be above low, and finite";
  const auto window = NativeWindow::of(bounds);
  if (!window) return "native buckets must begin and end at borders of their schema";
  if (window->bound_count() <= most_bounds) return {};
  std::int32_t schema = window->schema;
  const auto bound_count = [&] {
    const std::int32_t steps = window->schema - schema;
    return coarser_native_key(window->high_key, steps) - (window->low_key >> steps) + 1;
  };
  while (schema > kMinNativeSchema && bound_count() > static_cast<std::int32_t>(most_bounds)) --schema;
  char factor[32];
  std::snprintf(factor, sizeof factor, "%.5g", std::ceil(native_border(schema, 1) * 1e4) / 1e4);
  return "native buckets that need " + std::to_string(window->bound_count()) + " bounds, at most " +
         std::to_string(most_bounds) + ": take the factor " + factor + ", or narrow low and high";
}

}  // namespace shmetrics::shm
