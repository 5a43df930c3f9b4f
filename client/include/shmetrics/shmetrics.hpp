// shmetrics: counters, gauges and histograms of prefork workers, in shared memory.
//
// What it is.  Workers update cells of their own in a segment, a file that all of them map; shmetrics-exporter merges
// the cells and serves them to Prometheus. This header is all that a worker needs.
//
// Threads.  Every function may be called from any thread, unless it says otherwise.
//
// Processes.  Declare before fork or after it, and keep families and handles across it: they hold offsets, no pointers
// into the segment. A child counts in slots of its own from its first update on. Children made by raw clone() or
// _Fork() must not update, and no update may come from a signal handler that interrupts an update.
//
// Lifetime.  Mappings live until the process ends; families and handles may be static and outlive every Registry.
//
// Cost.  An update is a load, an add and a store. It never throws, allocates, locks, makes a system call, blocks or
// logs. A declaration, the first with() of a label set in a process, a thread's first update and the first of a gauge
// may take a lock of this process. A thread's first update does not wait for it; the others wait at most 100 ms.
// Nothing waits for another process.
//
// Failure.  Nothing here takes a worker down. An update without its own series goes to an overflow series; failing that
// it is dropped and counted. The scrape shows both, with the reason. with() tries again what failed for want of memory.
//
// Elsewhere than on Linux.  With SHMETRICS_STUB defined, in every file of the program, all of this compiles to
// functions that do nothing and succeed; there is no segment, and no library to link.
//
// Sources: prometheus.io/docs/instrumenting/writing_clientlibs for the verbs, .../docs/concepts/data_model for names.
#pragma once

#if __cplusplus < 202002L
#error "shmetrics needs C++20"
#endif

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include <shmetrics/buckets.hpp>
#include <shmetrics/handles.hpp>
#include <shmetrics/labels.hpp>
#include <shmetrics/route.hpp>

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
  /// Replace the file by an empty one. Only for a master, before it forks: processes that have the old file open go on
  /// counting in it, and nobody scrapes that any more.
  fresh,
};

/// How a segment is opened. Geometry and mode count when this process creates the file; an existing file keeps its own.
struct Options {
  /// Empty: $SHMETRICS_SEGMENT, then /dev/shm/shmetrics-UID.seg of the effective user, /dev/shm/shmetrics.seg of root.
  /// In a set-uid program the environment is ignored, and that is said.
  std::string path;
  Start start = Start::attach;
  std::uint32_t workers = 256;                ///< processes at once, 1 to 1,024
  std::uint32_t slots = 1024;                 ///< threads at once, 1 to 16,384
  std::uint32_t cells = 65536;                ///< 8-byte cells a slot, a multiple of 2,048 up to 16 Mi
  std::uint64_t directory_bytes = 16u << 20;  ///< names and labels, a multiple of 4,096 up to 1 GiB
  /// Permission bits of a new file; the umask plays no part. 0: $SHMETRICS_MODE, an octal number, then 0600.
  std::uint32_t mode = 0;
  /// Group id of a new file, and whose files this process accepts. None: $SHMETRICS_GROUP, a name or a number.
  std::optional<std::uint32_t> group = std::nullopt;
  std::uint32_t series_per_family = 1000;  ///< label sets a family may have before they share its overflow series
  /// Mistakes are said on stderr, one line a cause and process. True, or $SHMETRICS_QUIET=1: they are not.
  bool quiet = false;
  /// Takes such a line, without a line feed, instead of stderr. Called by the thread that made the mistake, which may
  /// be in the middle of an update: it must not use shmetrics.
  void (*on_error)(const char* line) = nullptr;
};

/// How the processes' values of a gauge become one, in the words of client_python; docs/merge-rules.md.
enum class GaugeMode : std::uint32_t {
  // Of living workers only: a worker's value is gone when it is.
  livesum,         ///< their sum; 0 without any
  livemin,         ///< the least
  livemax,         ///< the greatest
  liveall,         ///< a series each, label `worker` = number of the worker's entry
  livemostrecent,  ///< the one that was set last
  // Of dead workers too.
  sum,         ///< goes on over deaths: inc() in one worker and dec() in another stay exact
  min,         ///< the least of the values that workers have, or had when they ended
  max,         ///< the greatest, likewise
  mostrecent,  ///< the one that was set last
  all,         ///< a series for each worker entry, label `worker`, until another worker takes the entry over
  // Of no worker.
  shared,  ///< one value of all processes: set() in one and inc() in another; some ns slower than a worker's own
};

/// Which rules the names of a family must obey.
enum class Naming : std::uint8_t {
  strict,   ///< names that read alike everywhere: a counter in `_total`, a gauge not, and a help
  lenient,  ///< names as other libraries allow them, for programs that move over: no rule above holds
};

/// What few families need; the last argument of a declaration.
struct FamilyOptions {
  std::uint32_t series_limit = 0;  ///< label sets before they share the overflow series; 0: Options::series_per_family
  std::string_view unit = {};      ///< for OpenMetrics, such as "seconds"; the name (without `_total`) must end in it
  Naming naming = Naming::strict;  ///< lenient: a counter without `_total`, a gauge in `_total`, `process_*`, no help
  /// Of a counter or histogram: each series has 16 cells more, and each of its buckets, for the newest Exemplar.
  bool exemplars = false;
};

/// A declared family with N labels (or kRuntimeLabels); its children are its series. Cheap to copy.
template <typename Metric, std::size_t N>
class Family {
 public:
  /// Inert: with() gives inert handles.
  Family() = default;

  /// The series with these label values, in the order of the label names. If the process knows it: one hash, one
  /// compare. If not, the series is registered; see Cost. A value that is over 1,024 bytes or not UTF-8, or a set past
  /// the family's limits, shares the overflow series, whose labels all read `__overflow__`. A gauge has no such series:
  /// its handle is inert, and its updates are counted as dropped.
  template <typename... Values>
  requires(!(std::convertible_to<const Values&, std::span<const std::string_view>> || ...)) Metric
      with(const Values&... values)
  const noexcept {
    static_assert((LabelValue<Values> && ...), "with() takes label values: strings, integers or bools");
    static_assert(sizeof...(Values) > 0 && (sizeof...(Values) == N || N == kRuntimeLabels),
                  "with() takes one value for each label of the family");
    if constexpr ((LabelValue<Values> && ...)) return found(detail::label_text(values)...);
  }
  /// The same for a number of values known at run time. If it is wrong, the handle's updates are dropped and counted,
  /// and the label set is counted as invalid.
  Metric with(std::span<const std::string_view> values) const noexcept {
    return Metric(detail::find_series(state_, values));
  }

  /// Why the family was inert when it was declared, in one line; no error when it works. What was not refused for good
  /// is tried again by with(), at most once a second, and by the next declaration.
  const std::error_code& error() const noexcept { return error_; }
  explicit operator bool() const noexcept { return state_ != nullptr && !error_; }

 private:
  friend class Registry;
  Family(const detail::FamilyState* state, std::error_code error) : state_(state), error_(error) {}
  template <typename... Texts>
  Metric found(const Texts&... texts) const noexcept {
    const std::string_view views[] = {texts...};
    return Metric(detail::find_series(state_, views));
  }

  const detail::FamilyState* state_ = nullptr;
  std::error_code error_;
};

/// A family without labels is its own single series.
template <typename Metric>
class Family<Metric, 0> : public Metric {
 public:
  Family() = default;
  /// Why it was inert when it was declared. It stays so: only the next declaration tries again.
  const std::error_code& error() const noexcept { return error_; }
  explicit operator bool() const noexcept { return !error_ && usable_; }

 private:
  friend class Registry;
  Family(const detail::FamilyState* state, std::error_code error)
      : Metric(detail::only_series(state)), error_(error), usable_(state != nullptr) {}

  std::error_code error_;
  bool usable_ = false;
};

/// The segment of default Options, opened at first use. Never throws: while it cannot be opened the registry is inert
/// and says why; a later call tries again, at most once a second.
[[nodiscard]] SHMETRICS_API Registry default_registry() noexcept;

/// Says that this process ends in order, in all its segments: call it right before `_exit`. exit(), quick_exit() and a
/// return from main do it by themselves; a worker that ends otherwise counts as a death. A signal handler may call
/// it. Counters, histograms and summaries go on counting after it; gauges are those of a worker that has ended.
SHMETRICS_API void release_worker() noexcept;

/// A segment, opened. Cheap to copy; the mapping outlives it.
class Registry {
 public:
  /// An inert registry: everything declared in it is inert.
  Registry() = default;

  /// Opens the segment, or creates it. At most 8 segments a process. Throws std::system_error.
  [[nodiscard]] SHMETRICS_API static Registry open(const Options& options = {});
  /// The same without exceptions: on error the registry is inert and updates of its metrics do nothing.
  [[nodiscard]] SHMETRICS_API static Registry open(const Options& options, std::error_code& error) noexcept;
  /// The segment at this path, with default Options.
  [[nodiscard]] static Registry open(detail::Text auto const& path) { return open(at(detail::label_text(path))); }
  [[nodiscard]] static Registry open(detail::Text auto const& path, std::error_code& error) {
    return open(at(detail::label_text(path)), error);
  }

  /// Declares a family, or finds it: names as Prometheus will show them, help required. Other label names, bounds or
  /// mode than another process has declared are fine, and the values add up (docs/merge-rules.md). With another type
  /// than living workers have, another schema than this process has, or a name that breaks a rule, the family is inert:
  /// its error() says what to do, and its updates are counted as dropped. Labels: a braced list of names, `{}` or
  /// nothing, or RuntimeLabels.
  template <std::size_t N>
  Family<Counter, N> counter(std::string_view name, std::string_view help, const std::string_view (&labels)[N],
                             FamilyOptions options = {}) const {
    return declared<Counter, N>({Kind::counter, name, help, labels}, options);
  }
  Family<Counter, kRuntimeLabels> counter(std::string_view name, std::string_view help, RuntimeLabels labels,
                                          FamilyOptions options = {}) const {
    return declared<Counter, kRuntimeLabels>({Kind::counter, name, help, labels.names}, options);
  }
  Family<Counter, 0> counter(std::string_view name, std::string_view help, NoLabels = {},
                             FamilyOptions options = {}) const {
    return declared<Counter, 0>({Kind::counter, name, help, {}}, options);
  }

  template <std::size_t N>
  Family<FloatCounter, N> float_counter(std::string_view name, std::string_view help,
                                        const std::string_view (&labels)[N], FamilyOptions options = {}) const {
    return declared<FloatCounter, N>({Kind::float_counter, name, help, labels}, options);
  }
  Family<FloatCounter, kRuntimeLabels> float_counter(std::string_view name, std::string_view help, RuntimeLabels labels,
                                                     FamilyOptions options = {}) const {
    return declared<FloatCounter, kRuntimeLabels>({Kind::float_counter, name, help, labels.names}, options);
  }
  Family<FloatCounter, 0> float_counter(std::string_view name, std::string_view help, NoLabels = {},
                                        FamilyOptions options = {}) const {
    return declared<FloatCounter, 0>({Kind::float_counter, name, help, {}}, options);
  }

  template <std::size_t N>
  Family<Gauge, N> gauge(std::string_view name, std::string_view help, const std::string_view (&labels)[N],
                         GaugeMode mode = GaugeMode::livesum, FamilyOptions options = {}) const {
    return declared<Gauge, N>({Kind::gauge, name, help, labels, mode}, options);
  }
  Family<Gauge, kRuntimeLabels> gauge(std::string_view name, std::string_view help, RuntimeLabels labels,
                                      GaugeMode mode = GaugeMode::livesum, FamilyOptions options = {}) const {
    return declared<Gauge, kRuntimeLabels>({Kind::gauge, name, help, labels.names, mode}, options);
  }
  Family<Gauge, 0> gauge(std::string_view name, std::string_view help, NoLabels = {},
                         GaugeMode mode = GaugeMode::livesum, FamilyOptions options = {}) const {
    return declared<Gauge, 0>({Kind::gauge, name, help, {}, mode}, options);
  }
  Family<Gauge, 0> gauge(std::string_view name, std::string_view help, GaugeMode mode,
                         FamilyOptions options = {}) const {
    return gauge(name, help, NoLabels{}, mode, options);
  }

  template <std::size_t N>
  Family<Histogram, N> histogram(std::string_view name, std::string_view help, const std::string_view (&labels)[N],
                                 const Buckets& bounds = default_buckets(), FamilyOptions options = {}) const {
    return declared<Histogram, N>({Kind::histogram, name, help, labels, GaugeMode::livesum, bounds}, options);
  }
  Family<Histogram, kRuntimeLabels> histogram(std::string_view name, std::string_view help, RuntimeLabels labels,
                                              const Buckets& bounds = default_buckets(),
                                              FamilyOptions options = {}) const {
    return declared<Histogram, kRuntimeLabels>({Kind::histogram, name, help, labels.names, GaugeMode::livesum, bounds},
                                               options);
  }
  Family<Histogram, 0> histogram(std::string_view name, std::string_view help, NoLabels = {},
                                 const Buckets& bounds = default_buckets(), FamilyOptions options = {}) const {
    return declared<Histogram, 0>({Kind::histogram, name, help, {}, GaugeMode::livesum, bounds}, options);
  }
  template <std::size_t M>
  Family<Histogram, 0> histogram(std::string_view name, std::string_view help, const double (&bounds)[M],
                                 FamilyOptions options = {}) const {
    return histogram(name, help, NoLabels{}, Buckets(bounds, bounds + M), options);
  }
  Family<Histogram, 0> histogram(std::string_view name, std::string_view help, std::same_as<Buckets> auto const& bounds,
                                 FamilyOptions options = {}) const {
    return histogram(name, help, NoLabels{}, bounds, options);
  }

  /// A histogram whose buckets grow by a factor, from low to high: docs/native-histograms.md. Values below 0 are
  /// refused and counted.
  template <std::size_t N>
  Family<Histogram, N> native_histogram(std::string_view name, std::string_view help,
                                        const std::string_view (&labels)[N], const NativeBuckets& buckets,
                                        FamilyOptions options = {}) const {
    return declared<Histogram, N>({Kind::histogram, name, help, labels, {}, {}, &buckets}, options);
  }
  Family<Histogram, kRuntimeLabels> native_histogram(std::string_view name, std::string_view help, RuntimeLabels labels,
                                                     const NativeBuckets& buckets, FamilyOptions options = {}) const {
    return declared<Histogram, kRuntimeLabels>({Kind::histogram, name, help, labels.names, {}, {}, &buckets}, options);
  }
  Family<Histogram, 0> native_histogram(std::string_view name, std::string_view help, NoLabels,
                                        const NativeBuckets& buckets, FamilyOptions options = {}) const {
    return declared<Histogram, 0>({Kind::histogram, name, help, {}, {}, {}, &buckets}, options);
  }

  template <std::size_t N>
  Family<Summary, N> summary(std::string_view name, std::string_view help, const std::string_view (&labels)[N],
                             FamilyOptions options = {}) const {
    return declared<Summary, N>({Kind::summary, name, help, labels}, options);
  }
  Family<Summary, kRuntimeLabels> summary(std::string_view name, std::string_view help, RuntimeLabels labels,
                                          FamilyOptions options = {}) const {
    return declared<Summary, kRuntimeLabels>({Kind::summary, name, help, labels.names}, options);
  }
  Family<Summary, 0> summary(std::string_view name, std::string_view help, NoLabels = {},
                             FamilyOptions options = {}) const {
    return declared<Summary, 0>({Kind::summary, name, help, {}}, options);
  }

  /// A constant 1 with labels that tell something about the program; a name in `_info`. Shown while a worker lives that
  /// declared it, or was forked from one that did, and has an entry. Returns why it is inert, or no error.
  SHMETRICS_API std::error_code info(
      std::string_view name, std::string_view help,
      std::initializer_list<std::pair<std::string_view, std::string_view>> labels) const noexcept;

  /// The file in use; empty when inert.
  SHMETRICS_API const std::string& path() const;
  const std::error_code& error() const noexcept { return error_; }
  explicit operator bool() const noexcept { return attachment_ != nullptr; }

 private:
  friend Registry default_registry() noexcept;
  friend struct detail::CApi;
  static Registry opened(const Options& options) noexcept;
  static Options at(std::string_view path) {
    Options options;
    options.path = path;
    return options;
  }
  enum class Kind : std::uint32_t { counter, float_counter, gauge, histogram, summary, info };
  struct Declaration {
    Kind kind;
    std::string_view name;
    std::string_view help;
    std::span<const std::string_view> labels;
    GaugeMode mode = GaugeMode::livesum;
    std::span<const double> bounds = {};
    const NativeBuckets* native = nullptr;
  };
  SHMETRICS_API const detail::FamilyState* declare(const Declaration& declaration, const FamilyOptions& options,
                                                   std::error_code& error) const noexcept;
  std::error_code declare_info(std::string_view name, std::string_view help, std::span<const std::string_view> names,
                               std::span<const std::string_view> values) const noexcept;
  template <typename Metric, std::size_t N>
  Family<Metric, N> declared(const Declaration& declaration, const FamilyOptions& options) const {
    std::error_code error;
    const detail::FamilyState* state = declare(declaration, options, error);
    return {state, error};
  }

  detail::Attachment* attachment_ = nullptr;
  std::error_code error_;
};

}  // namespace shmetrics

template <>
struct std::is_error_condition_enum<shmetrics::Errc> : std::true_type {};

#if defined(SHMETRICS_STUB)
#include <shmetrics/stub.hpp>
#endif
