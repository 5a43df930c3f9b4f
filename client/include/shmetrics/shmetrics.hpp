// shmetrics: counters, gauges and histograms of prefork workers, in shared memory.
//
// What it is      Workers update cells of their own in a segment, a file that all of them map; shmetrics-exporter
// merges the cells and
//                 serves them to Prometheus. This header is all that a worker needs.
// Threads         Every function may be called from any thread, unless it says otherwise.
// Processes       Declare before fork or after it, and keep families and handles across it: they hold offsets, no
// pointers into the
//                 segment. A child counts in slots of its own from its first update on. Children made by raw clone() or
//                 _Fork() must not update, and no update may come from a signal handler that interrupts an update.
// Lifetime        Mappings live until the process ends; families and handles may be static and outlive every Registry.
// Cost            An update is a load, an add and a store. It never throws, allocates, locks, makes a system call,
// blocks or logs. A
//                 declaration, the first with() of a label set in a process, and a thread's first update may take a
//                 lock: with() waits at most 1 ms, a declaration 100 ms.
// Failure         Nothing here takes a worker down. What cannot be counted in its place is counted in an overflow
// series, or its
//                 loss is; the scrape shows both.
//
// Sources: https://prometheus.io/docs/instrumenting/writing_clientlibs/ for the verbs, .../docs/concepts/data_model/
// for names.
#pragma once

#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__GNUC__)
#define SHMETRICS_API __attribute__((visibility("default")))
#define SHMETRICS_FAST_TLS __attribute__((tls_model("initial-exec")))
#else
#error "shmetrics needs GCC or Clang on 64-bit Linux"
#endif

namespace shmetrics {

class Registry;

/// What went wrong, sorted by its remedy. Compare an error_code of this library with these; its message() has the
/// particulars.
enum class Errc {
  not_ready = 1,     ///< not there yet: try again later
  incompatible,      ///< another layout, machine or schema: restart the others, upgrade, or take another path
  full,              ///< space or a limit is used up: raise it
  damaged,           ///< not the bytes of a segment: remove the file
  invalid_argument,  ///< the caller's mistake: the message names the right spelling
  refused,           ///< permission, owner, kind of file or of file system
  io,                ///< the kernel said no for another reason
};
SHMETRICS_API std::error_condition make_error_condition(Errc code) noexcept;

/// What open() does with a segment that is already there.
enum class Start : std::uint32_t {
  attach,  ///< go on with its numbers
  fresh,  ///< put a new one in its place: for a master, before it forks. Who has the old one open goes on in it, unseen
};

/// How a segment is opened. Geometry and mode count when this process creates the file; an existing file keeps its own.
struct Options {
  std::string path;  ///< empty: $SHMETRICS_SEGMENT, then /dev/shm/shmetrics.seg
  Start start = Start::attach;
  std::uint32_t workers = 256;                ///< processes at once, 1 to 1,024
  std::uint32_t slots = 1024;                 ///< threads at once, 1 to 16,384
  std::uint32_t cells = 65536;                ///< 8-byte cells a slot, a multiple of 2,048 up to 16 Mi
  std::uint64_t directory_bytes = 16u << 20;  ///< names and labels, a multiple of 4,096 up to 1 GiB
  std::uint32_t mode = 0600;                  ///< permission bits of a new file; the umask plays no part
  std::optional<std::uint32_t> group;         ///< group id of a new file, and whose files this process accepts
  std::uint32_t series_per_family = 1000;     ///< label sets a family may have before they share its overflow series
};

/// How the processes' values of a gauge become one, in the words of client_python; docs/merge-rules.md.
enum class GaugeMode : std::uint32_t { livesum = 0 };

/// Upper bounds of buckets, +Inf not among them: it comes on top. 1 to 64 finite numbers, increasing.
using Buckets = std::vector<double>;
/// .005 .01 .025 .05 .1 .25 .5 1 2.5 5 10: seconds of a web request.
SHMETRICS_API Buckets default_buckets();
/// `count` bounds: start, start + width, ...; an empty list when that makes no valid bounds.
SHMETRICS_API Buckets linear_buckets(double start, double width, std::size_t count);
/// `count` bounds: start, start * factor, ...; an empty list when that makes no valid bounds.
SHMETRICS_API Buckets exponential_buckets(double start, double factor, std::size_t count);

/// No labels: `{}` or nothing in a declaration.
struct NoLabels {};

namespace detail {

inline constexpr std::uint32_t kMaxRegistries = 8;
inline constexpr std::uint32_t kInertCell = 0xffffffff;  // beyond every limit: updates end on the slow path, as no-ops
inline constexpr std::uint32_t kDroppedCell = 0xfffffffe;  // likewise, and the loss is counted

// A thread's slot of each segment. `limit` is 0 until a slot is claimed, after a fork, and for threads without a slot,
// so that every odd case is on the slow path.
struct ThreadSlot {
  std::atomic<std::uint64_t>* cells;
  std::uint32_t limit;
};
SHMETRICS_API extern constinit thread_local ThreadSlot thread_slots[kMaxRegistries] SHMETRICS_FAST_TLS;

enum class Refusal : std::uint32_t { nan = 2, infinite = 3, negative = 4 };
SHMETRICS_API void add_slow(std::uint32_t registry, std::uint32_t cell, std::uint64_t n) noexcept;
SHMETRICS_API void refuse(std::uint32_t registry, Refusal why) noexcept;

struct Attachment;   // a segment in this process; never freed
struct FamilyState;  // a family in this process; never freed

struct HandleParts {
  std::uint32_t registry = 0;
  std::uint32_t cell = kInertCell;
  const FamilyState* family = nullptr;
};
SHMETRICS_API HandleParts find_series(const FamilyState* family, std::span<const std::string_view> values) noexcept;
SHMETRICS_API HandleParts only_series(const FamilyState* family) noexcept;

}  // namespace detail

/// A count that only grows; a name in `_total`. One series: keep it, copy it, pass it by value, also across fork.
class Counter {
 public:
  /// Inert: updates do nothing.
  Counter() = default;

  /// Adds n. Negative n is refused and counted in shmetrics_values_refused_total; floating point does not compile.
  template <std::integral Number = int>
  void inc(Number n = 1) const noexcept {
    if constexpr (std::is_signed_v<Number>) {
      if (n < 0) [[unlikely]]
        return detail::refuse(registry_, detail::Refusal::negative);
    }
    detail::ThreadSlot& slot = detail::thread_slots[registry_];
    if (cell_ >= slot.limit) [[unlikely]]
      return detail::add_slow(registry_, cell_, static_cast<std::uint64_t>(n));
    std::atomic<std::uint64_t>& cell = slot.cells[cell_];
    // The thread is the cell's only writer: a plain add, and no reader sees half of it.
    cell.store(cell.load(std::memory_order_relaxed) + static_cast<std::uint64_t>(n), std::memory_order_relaxed);
  }

  explicit Counter(const detail::HandleParts& parts) : registry_(parts.registry), cell_(parts.cell) {}

 private:
  std::uint32_t registry_ = 0;
  std::uint32_t cell_ = detail::kInertCell;
};

/// A value that goes up and down. Threads of one process share it: the last set() wins, inc() and dec() add up.
class Gauge {
 public:
  Gauge() = default;

  SHMETRICS_API void set(double value) const noexcept;
  void inc(double n = 1) const noexcept { add(n); }
  void dec(double n = 1) const noexcept { add(-n); }

  explicit Gauge(const detail::HandleParts& parts) : registry_(parts.registry), cell_(parts.cell) {}

 private:
  friend class InFlight;
  SHMETRICS_API bool add(double n) const noexcept;  // false: dropped, and counted as such

  std::uint32_t registry_ = 0;
  std::uint32_t cell_ = detail::kInertCell;
};

/// Observations in buckets, with their sum and count. An observation is all-or-nothing, also under kill -9.
class Histogram {
 public:
  Histogram() = default;

  /// Counts `value`, in the family's unit (seconds for durations). NaN is refused and counted; infinities count.
  SHMETRICS_API void observe(double value) const noexcept;

  explicit Histogram(const detail::HandleParts& parts)
      : registry_(parts.registry), cell_(parts.cell), family_(parts.family) {}

 private:
  std::uint32_t registry_ = 0;
  std::uint32_t cell_ = detail::kInertCell;
  const detail::FamilyState* family_ = nullptr;
};

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

/// Adds 1 to a gauge for the length of its scope.
class [[nodiscard]] InFlight {
 public:
  explicit InFlight(Gauge gauge) : gauge_(gauge), is_counted_(gauge_.add(1)) {}
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;
  ~InFlight() {
    if (is_counted_) gauge_.dec();  // what was dropped on the way up must not be taken off on the way down
  }

 private:
  Gauge gauge_;
  bool is_counted_;
};

/// A declared family with N labels; its children are its series. Cheap to copy.
template <typename Metric, std::size_t N>
class Family {
 public:
  /// Inert: with() gives inert handles.
  Family() = default;

  /// The series with these label values, in the order of the label names. Known to the process: one hash, one compare.
  /// Else it is looked up or registered, within 1 ms. A value over 1,024 bytes or not UTF-8, or a set past the family's
  /// limits, shares the overflow series, whose every label reads `__overflow__` (a gauge: an inert handle whose updates
  /// are counted as dropped).
  template <typename... Values>
  requires(sizeof...(Values) == N && (std::convertible_to<const Values&, std::string_view> && ...)) Metric
      with(const Values&... values)
  const noexcept {
    const std::string_view views[] = {std::string_view(values)...};
    return Metric(detail::find_series(state_, views));
  }
  /// The same for a number of values known at run time; a wrong number gives an inert handle.
  Metric with(std::span<const std::string_view> values) const noexcept {
    return Metric(detail::find_series(state_, values));
  }

  /// Why the family is inert, in one line; no error when it works.
  const std::error_code& error() const noexcept { return error_; }
  explicit operator bool() const noexcept { return state_ != nullptr; }

 private:
  friend class Registry;
  Family(const detail::FamilyState* state, std::error_code error) : state_(state), error_(error) {}

  const detail::FamilyState* state_ = nullptr;
  std::error_code error_;
};

/// A family without labels is its own single series.
template <typename Metric>
class Family<Metric, 0> : public Metric {
 public:
  Family() = default;
  const std::error_code& error() const noexcept { return error_; }
  explicit operator bool() const noexcept { return !error_ && usable_; }

 private:
  friend class Registry;
  Family(const detail::FamilyState* state, std::error_code error)
      : Metric(detail::only_series(state)), error_(error), usable_(state != nullptr) {}

  std::error_code error_;
  bool usable_ = false;
};

/// A segment, opened. Cheap to copy; the mapping outlives it.
class Registry {
 public:
  /// An inert registry: everything declared in it is inert.
  Registry() = default;

  /// Opens the segment, or creates it. At most 8 segments a process. Throws std::system_error.
  [[nodiscard]] SHMETRICS_API static Registry open(const Options& options = {});
  /// The same without exceptions: on error the registry is inert and updates of its metrics do nothing.
  [[nodiscard]] SHMETRICS_API static Registry open(const Options& options, std::error_code& error) noexcept;

  /// Declares a family, or finds it: names as Prometheus will show them, help required. With another type, label names,
  /// bounds or mode than before, or a name that breaks a rule, the family is inert and its error() says what to do.
  template <std::size_t N>
  Family<Counter, N> counter(std::string_view name, std::string_view help, const std::string_view (&labels)[N]) const {
    return labelled<Counter, N>(Kind::counter, name, help, labels);
  }
  Family<Counter, 0> counter(std::string_view name, std::string_view help, NoLabels = {}) const {
    return unlabelled<Counter>(Kind::counter, name, help);
  }

  template <std::size_t N>
  Family<Gauge, N> gauge(std::string_view name, std::string_view help, const std::string_view (&labels)[N],
                         GaugeMode mode = GaugeMode::livesum) const {
    return labelled<Gauge, N>(Kind::gauge, name, help, labels, mode);
  }
  Family<Gauge, 0> gauge(std::string_view name, std::string_view help, NoLabels = {},
                         GaugeMode mode = GaugeMode::livesum) const {
    return unlabelled<Gauge>(Kind::gauge, name, help, mode);
  }

  template <std::size_t N>
  Family<Histogram, N> histogram(std::string_view name, std::string_view help, const std::string_view (&labels)[N],
                                 const Buckets& bounds = default_buckets()) const {
    return labelled<Histogram, N>(Kind::histogram, name, help, labels, GaugeMode::livesum, bounds);
  }
  Family<Histogram, 0> histogram(std::string_view name, std::string_view help, NoLabels = {},
                                 const Buckets& bounds = default_buckets()) const {
    return unlabelled<Histogram>(Kind::histogram, name, help, GaugeMode::livesum, bounds);
  }

  /// The file in use; empty when inert.
  SHMETRICS_API const std::string& path() const;
  const std::error_code& error() const noexcept { return error_; }
  explicit operator bool() const noexcept { return attachment_ != nullptr; }

 private:
  enum class Kind : std::uint32_t { counter, gauge, histogram };
  SHMETRICS_API const detail::FamilyState* declare(Kind kind, std::string_view name, std::string_view help,
                                                   std::span<const std::string_view> labels, GaugeMode mode,
                                                   std::span<const double> bounds,
                                                   std::error_code& error) const noexcept;
  template <typename Metric, std::size_t N>
  Family<Metric, N> labelled(Kind kind, std::string_view name, std::string_view help,
                             std::span<const std::string_view> labels, GaugeMode mode = GaugeMode::livesum,
                             std::span<const double> bounds = {}) const {
    std::error_code error;
    const detail::FamilyState* state = declare(kind, name, help, labels, mode, bounds, error);
    return {state, error};
  }
  template <typename Metric>
  Family<Metric, 0> unlabelled(Kind kind, std::string_view name, std::string_view help,
                               GaugeMode mode = GaugeMode::livesum, std::span<const double> bounds = {}) const {
    return labelled<Metric, 0>(kind, name, help, {}, mode, bounds);
  }

  detail::Attachment* attachment_ = nullptr;
  std::error_code error_;
};

}  // namespace shmetrics

template <>
struct std::is_error_condition_enum<shmetrics::Errc> : std::true_type {};
