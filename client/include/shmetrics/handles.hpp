// Handles to series: what a worker keeps and updates. Included by <shmetrics/shmetrics.hpp>, which says what holds for
// all of it: threads, processes, lifetime, cost, failure.
#pragma once

#if __cplusplus < 202002L
#error "shmetrics needs C++20"
#endif

#include <atomic>
#include <bit>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include <shmetrics/dlopened.h>

#if defined(SHMETRICS_STUB)
#define SHMETRICS_API inline  // <shmetrics/stub.hpp> has the bodies
#elif defined(__GNUC__) && defined(__linux__)
#define SHMETRICS_API __attribute__((visibility("default")))
#else
#error "shmetrics needs GCC or Clang on 64-bit Linux; SHMETRICS_STUB makes it compile elsewhere, and do nothing"
#endif

namespace shmetrics {

namespace detail {

inline constexpr std::uint32_t kMaxRegistries = 8;
inline constexpr std::uint32_t kInertCell = 0xffffffff;  // beyond every limit: updates end on the slow path, as no-ops
inline constexpr std::uint32_t kDroppedCells = 0xffff0000;  // likewise; the last byte is the tally that counts the loss

// A thread's slot of each segment. `limit` is 0 until a slot is claimed, after a fork, and for threads without a slot,
// so that every odd case is on the slow path.
struct ThreadSlot {
  std::atomic<std::uint64_t>* cells;
  std::uint32_t limit;
};
#if defined(SHMETRICS_STUB)
inline constinit thread_local ThreadSlot thread_slots[kMaxRegistries] = {};
#else
SHMETRICS_API extern constinit thread_local ThreadSlot thread_slots[kMaxRegistries] SHMETRICS_TLS;
#endif

enum class Refusal : std::uint32_t { nan = 5, infinite = 6, negative = 7 };  // as in the segment's tallies
SHMETRICS_API void add_slow(std::uint32_t registry, std::uint32_t cell, std::uint64_t n) noexcept;
SHMETRICS_API void add_slow(std::uint32_t registry, std::uint32_t cell, double n) noexcept;
SHMETRICS_API void refuse_increment(std::uint32_t registry, std::uint32_t cell, double n) noexcept;
SHMETRICS_API void refuse(std::uint32_t registry, std::uint32_t cell, Refusal why) noexcept;

struct Attachment;   // a segment in this process; never freed
struct FamilyState;  // a family in this process; never freed
struct CApi;         // <shmetrics/shmetrics.h>

struct HandleParts {
  std::uint32_t registry = 0;
  std::uint32_t cell = kInertCell;
  const FamilyState* family = nullptr;
};
SHMETRICS_API HandleParts find_series(const FamilyState* family, std::span<const std::string_view> values) noexcept;
SHMETRICS_API HandleParts only_series(const FamilyState* family) noexcept;

}  // namespace detail

/// Which trace an update was made in: an increment or observation that was counted, as an example of others. For
/// families with FamilyOptions::exemplars; docs/exemplars.md. Labels without a value are left out. An exemplar that
/// cannot be kept is counted in shmetrics_exemplars_dropped_total; the update counts.
struct Exemplar {
  std::string_view trace_id = {};  ///< as the tracing system shows it, so mostly 32 hexadecimal digits
  std::string_view span_id = {};
  /// Others. Names and values of all labels have room for 96 bytes, with two more for each label.
  std::span<const std::pair<std::string_view, std::string_view>> labels = {};
};

namespace detail {

SHMETRICS_API void keep_exemplar(const HandleParts& series, std::uint32_t bucket, double value,
                                 const Exemplar& exemplar) noexcept;

}  // namespace detail

/// A count that only grows; a name in `_total`. One series: keep it, copy it, pass it by value, also across fork.
class Counter {
 public:
  /// Inert: updates do nothing.
  Counter() = default;

  /// Adds n. Negative n is refused and counted in shmetrics_values_refused_total; floating point does not compile.
  template <std::floating_point Number>
  void inc(Number) const noexcept {
    static_assert(sizeof(Number) == 0, "a counter counts whole numbers: declare it by float_counter() for fractions");
  }
  template <std::integral Number = int>
  void inc(Number n = 1) const noexcept {
    if constexpr (std::is_signed_v<Number>) {
      if (n < 0) [[unlikely]]
        return detail::refuse(series_.registry, series_.cell, detail::Refusal::negative);
    }
    detail::ThreadSlot& slot = detail::thread_slots[series_.registry];
    if (series_.cell >= slot.limit) [[unlikely]]
      return detail::add_slow(series_.registry, series_.cell, static_cast<std::uint64_t>(n));
    // The thread is the cell's only writer: a load and a store lose nothing, and no reader sees half of the sum.
    std::atomic<std::uint64_t>& cell = slot.cells[series_.cell];
    cell.store(cell.load(std::memory_order_relaxed) + static_cast<std::uint64_t>(n), std::memory_order_relaxed);
  }

  /// The same, and keeps where it was made as the newest example.
  template <std::integral Number>
  void inc(Number n, const Exemplar& exemplar) const noexcept {
    inc(n);
    if (n >= Number{0}) detail::keep_exemplar(series_, 0, static_cast<double>(n), exemplar);
  }

  explicit Counter(const detail::HandleParts& series) : series_(series) {}

 private:
  detail::HandleParts series_;
};

/// A count that only grows, in fractions: seconds spent, money earned. A name in `_total`.
class FloatCounter {
 public:
  FloatCounter() = default;

  /// Adds n. Negative, NaN and infinite n are refused and counted in shmetrics_values_refused_total. A sum beyond the
  /// largest double is shown as that, and counted with the infinite ones.
  void inc(double n = 1) const noexcept {
    if (!(n >= 0 && n <= std::numeric_limits<double>::max())) [[unlikely]] {
      return detail::refuse_increment(series_.registry, series_.cell, n);
    }
    detail::ThreadSlot& slot = detail::thread_slots[series_.registry];
    if (series_.cell >= slot.limit) [[unlikely]]
      return detail::add_slow(series_.registry, series_.cell, n);
    std::atomic<std::uint64_t>& cell = slot.cells[series_.cell];
    const double sum = std::bit_cast<double>(cell.load(std::memory_order_relaxed)) + n;
    cell.store(std::bit_cast<std::uint64_t>(sum), std::memory_order_relaxed);
  }

  /// The same, and keeps where it was made as the newest example.
  void inc(double n, const Exemplar& exemplar) const noexcept {
    inc(n);
    if (n >= 0 && n <= std::numeric_limits<double>::max()) {
      detail::keep_exemplar(series_, 0, n, exemplar);
    }
  }

  explicit FloatCounter(const detail::HandleParts& series) : series_(series) {}

 private:
  detail::HandleParts series_;
};

/// A value that goes up and down. Threads of one process share it, in the mode shared all processes: the last set()
/// wins, inc() and dec() add up.
class Gauge {
 public:
  Gauge() = default;

  SHMETRICS_API void set(double value) const noexcept;
  void inc(double n = 1) const noexcept { add(n); }
  void dec(double n = 1) const noexcept { add(-n); }
  /// Sets it to the seconds since 1970, as _timestamp_seconds metrics have it.
  SHMETRICS_API void set_to_current_time() const noexcept;
  /// This process shows no value any more, until it sets one. If no other worker shows one, the series is gone from the
  /// next scrape; in the modes livesum and sum it is 0 instead. In the mode shared no process shows one any more.
  SHMETRICS_API void unset() const noexcept;

  explicit Gauge(const detail::HandleParts& series) : series_(series) {}

 private:
  friend class InFlight;
  friend struct detail::CApi;
  SHMETRICS_API bool add(double n) const noexcept;  // false: dropped, and counted as such

  detail::HandleParts series_;
};

/// Observations in buckets, with their sum and count. An observation is all-or-nothing, also under kill -9.
class Histogram {
 public:
  Histogram() = default;

  /// Counts `value`, in the family's unit (seconds for durations). NaN is refused and counted; infinities count.
  SHMETRICS_API void observe(double value) const noexcept;
  /// The same, and keeps where it was made as the newest example of its bucket.
  SHMETRICS_API void observe(double value, const Exemplar& exemplar) const noexcept;

  explicit Histogram(const detail::HandleParts& series) : series_(series) {}

 private:
  detail::HandleParts series_;
};

/// The sum and count of observations, without buckets and without quantiles: their mean, by rate(_sum) / rate(_count).
class Summary {
 public:
  Summary() = default;

  /// Counts `value`, in the family's unit. NaN is refused and counted. All-or-nothing, also under kill -9.
  SHMETRICS_API void observe(double value) const noexcept;

  explicit Summary(const detail::HandleParts& series) : series_(series) {}

 private:
  detail::HandleParts series_;
};

static_assert(std::is_trivially_copyable_v<FloatCounter> && std::is_trivially_copyable_v<Summary>);
static_assert(std::is_trivially_copyable_v<Counter> && std::is_trivially_copyable_v<Gauge> &&
              std::is_trivially_copyable_v<Histogram>);

/// Observes the seconds from its making to the end of its scope, by the monotonic clock.
template <typename Observer>
class [[nodiscard]] Timer {
 public:
  explicit Timer(Observer observer) : observer_(observer), start_(std::chrono::steady_clock::now()) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { observer_.observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count()); }

 private:
  Observer observer_;
  std::chrono::steady_clock::time_point start_;
};

/// Adds 1 to a gauge for the length of its scope. Do not fork within: the copy in the child would subtract 1 that only
/// the parent added.
class [[nodiscard]] InFlight {
 public:
  explicit InFlight(Gauge gauge) : gauge_(gauge), is_counted_(gauge_.add(1)) {}
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;
  ~InFlight() {
    if (is_counted_) gauge_.dec();  // a dropped inc() must not be followed by a dec()
  }

 private:
  Gauge gauge_;
  bool is_counted_;
};

}  // namespace shmetrics
