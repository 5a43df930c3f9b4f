// The C API over the C++ one. The same attachments, families and slots: a program may use both.
#include "client/c/c_api.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>

#include "client/attachment.hpp"
#include "client/error.hpp"
#include "client/slow_path.hpp"
#include "shm/layout.hpp"
#include "shm/worker_entry.hpp"

namespace shmetrics::detail {
namespace {

static_assert(sizeof(shmetrics_thread_slot) == sizeof(ThreadSlot) && sizeof(void*) == 8);
static_assert(offsetof(shmetrics_thread_slot, cells) == offsetof(ThreadSlot, cells));
static_assert(offsetof(shmetrics_thread_slot, limit) == offsetof(ThreadSlot, limit));
static_assert(sizeof(::shmetrics_thread_slots) / sizeof(shmetrics_thread_slot) == kMaxRegistries);
static_assert(SHMETRICS_MAX_BOUNDS == shm::kMaxBounds);

// One number in C, in C++ and in the segment: they are cast into each other.
constexpr bool agree(auto in_c, auto in_cpp, auto in_shm) {
  return static_cast<int>(in_c) == static_cast<int>(in_cpp) && static_cast<int>(in_cpp) == static_cast<int>(in_shm);
}
static_assert(agree(SHMETRICS_LIVESUM, GaugeMode::livesum, shm::GaugeMode::kLivesum) &&
              agree(SHMETRICS_LIVEMIN, GaugeMode::livemin, shm::GaugeMode::kLivemin) &&
              agree(SHMETRICS_LIVEMAX, GaugeMode::livemax, shm::GaugeMode::kLivemax) &&
              agree(SHMETRICS_LIVEALL, GaugeMode::liveall, shm::GaugeMode::kLiveall) &&
              agree(SHMETRICS_LIVEMOSTRECENT, GaugeMode::livemostrecent, shm::GaugeMode::kLivemostrecent) &&
              agree(SHMETRICS_SUM, GaugeMode::sum, shm::GaugeMode::kSum) &&
              agree(SHMETRICS_MIN, GaugeMode::min, shm::GaugeMode::kMin) &&
              agree(SHMETRICS_MAX, GaugeMode::max, shm::GaugeMode::kMax) &&
              agree(SHMETRICS_MOSTRECENT, GaugeMode::mostrecent, shm::GaugeMode::kMostrecent) &&
              agree(SHMETRICS_ALL, GaugeMode::all, shm::GaugeMode::kAll) &&
              agree(SHMETRICS_SHARED, GaugeMode::shared, shm::GaugeMode::kShared));
static_assert(agree(SHMETRICS_NOT_READY, Errc::not_ready, shm::Fault::kNotReady) &&
              agree(SHMETRICS_INCOMPATIBLE, Errc::incompatible, shm::Fault::kIncompatible) &&
              agree(SHMETRICS_FULL, Errc::full, shm::Fault::kFull) &&
              agree(SHMETRICS_DAMAGED, Errc::damaged, shm::Fault::kDamaged) &&
              agree(SHMETRICS_INVALID_ARGUMENT, Errc::invalid_argument, shm::Fault::kInvalidArgument) &&
              agree(SHMETRICS_REFUSED, Errc::refused, shm::Fault::kRefused) &&
              agree(SHMETRICS_IO, Errc::io, shm::Fault::kIo));

}  // namespace

/// What this file may see of the C++ API's insides.
struct CApi {
  static Registry opened(const Options& options) { return Registry::opened(options); }
  static Registry registry(shmetrics_registry* registry) {
    Registry opened;
    opened.attachment_ = reinterpret_cast<Attachment*>(registry);
    return opened;
  }
  static shmetrics_registry* handle(const Registry& registry) {
    return reinterpret_cast<shmetrics_registry*>(registry.attachment_);
  }
  using Declaration = Registry::Declaration;
  using Kind = Registry::Kind;
  static const FamilyState* declare(shmetrics_registry* registry, const Declaration& wanted,
                                    const FamilyOptions& options, std::error_code& error) {
    return CApi::registry(registry).declare(wanted, options, error);
  }
  static std::error_code info(const Registry& registry, std::string_view name, std::string_view help,
                              std::span<const std::string_view> labels, std::span<const std::string_view> values) {
    return registry.declare_info(name, help, labels, values);
  }
  static bool add(Gauge gauge, double n) { return gauge.add(n); }
};

namespace {

int report(shmetrics_error* error, const std::error_code& code) {
  const int value = code.default_error_condition().value();
  if (error != nullptr) *error = {value, code ? message_of(code) : ""};
  return value;
}

/// A copy of a size-versioned struct: what the caller does not know is zero. What this library does not know must be.
template <typename Sized>
bool read_sized(const Sized* given, Sized& known) {
  known = {};
  if (given == nullptr) return true;
  if (given->size < sizeof given->size) return false;
  std::memcpy(&known, given, std::min(given->size, sizeof known));
  const auto* bytes = reinterpret_cast<const char*>(given);
  return given->size <= sizeof known ||
         std::all_of(bytes + sizeof known, bytes + given->size, [](char byte) { return byte == 0; });
}

std::error_code bad_size() {
  return make_error(shm::Fault::kInvalidArgument,
                    "options of a newer or no version of <shmetrics/shmetrics.h>: use the macros in _INIT, or upgrade "
                    "the library");
}

std::error_code bad_naming() {
  return make_error(shm::Fault::kInvalidArgument, "naming: SHMETRICS_STRICT or SHMETRICS_LENIENT");
}

std::error_code bad_start() {
  return make_error(shm::Fault::kInvalidArgument, "options.start: give SHMETRICS_ATTACH or SHMETRICS_FRESH");
}

template <typename T>
void take(T& option, T given) {
  if (given != 0) option = given;
}

Options options_of(const shmetrics_options& given) {
  Options options;
  options.path = view(given.path);
  options.start = static_cast<Start>(given.start);
  take(options.workers, given.workers);
  take(options.slots, given.slots);
  take(options.cells, given.cells);
  take(options.directory_bytes, given.directory_bytes);
  take(options.mode, given.mode);
  take(options.series_per_family, given.series_per_family);
  if (given.has_group != 0) options.group = given.group;
  options.quiet = given.quiet != 0;
  options.on_error = given.on_error;
  return options;
}

/// One view for each string, up to one more than any family has labels: so that too many are refused.
class Views {
 public:
  template <typename String>
  Views(const String* strings, std::size_t count) : count_(std::min(count, kMost)) {
    for (std::size_t i = 0; i < count_; ++i)
      std::construct_at(views_ + i, strings == nullptr ? std::string_view() : view(strings[i]));
  }
  operator std::span<const std::string_view>() const { return {views_, count_}; }

 private:
  static constexpr std::size_t kMost = shm::kMaxLabels + 1;
  union {  // as many as are made: to clear all of them takes longer than to find a series
    std::string_view views_[kMost];
  };
  std::size_t count_;
};

/// Declares what is `wanted`, but for its labels.
template <typename Handle>
Handle* declared(shmetrics_registry* registry, CApi::Declaration wanted, const char* const* labels, std::size_t count,
                 const shmetrics_family_options* given, shmetrics_error* error) {
  shmetrics_family_options known;
  if (!read_sized(given, known)) return report(error, bad_size()), nullptr;
  if (known.naming > SHMETRICS_LENIENT) return report(error, bad_naming()), nullptr;
  const Views names(labels, count);
  wanted.labels = names;
  const FamilyOptions options{.series_limit = known.series_limit,
                              .unit = view(known.unit),
                              .naming = known.naming == SHMETRICS_LENIENT ? Naming::lenient : Naming::strict,
                              .exemplars = known.exemplars != 0};
  std::error_code code;
  const FamilyState* const family = CApi::declare(registry, wanted, options, code);
  report(error, code);
  return const_cast<Handle*>(reinterpret_cast<const Handle*>(family));
}

shmetrics_series series_of(const void* family, std::span<const std::string_view> values) {
  const HandleParts parts = find_series(static_cast<const FamilyState*>(family), values);
  return {parts.registry, parts.cell + 1, parts.family};
}

std::size_t write_bounds(double* bounds, std::size_t count, auto make) {
  if (count > SHMETRICS_MAX_BOUNDS) return 0;
  try {
    const Buckets buckets = make();
    std::copy(buckets.begin(), buckets.end(), bounds);
    return buckets.size();
  } catch (const std::bad_alloc&) {
    return 0;
  }
}

}  // namespace
}  // namespace shmetrics::detail

using namespace shmetrics;
using detail::CApi;

shmetrics_registry* shmetrics_open(const shmetrics_options* options, shmetrics_error* error) {
  shmetrics_options known;
  if (!detail::read_sized(options, known)) return detail::report(error, detail::bad_size()), nullptr;
  if (known.start > SHMETRICS_FRESH) return detail::report(error, detail::bad_start()), nullptr;
  try {
    // A caller that takes the error also reports it. Otherwise the library does.
    std::error_code code;
    const Options wanted = detail::options_of(known);
    const Registry registry = error == nullptr ? Registry::open(wanted, code) : CApi::opened(wanted);
    shmetrics_registry* const opened = CApi::handle(registry);
    if (opened && known.code_changes != 0) reinterpret_cast<detail::Attachment*>(opened)->code_changes = true;
    return detail::report(error, registry.error()), opened;
  } catch (const std::bad_alloc&) {
    return detail::report(error, detail::no_memory()), nullptr;
  }
}

int shmetrics_descriptor(const shmetrics_registry* registry) {
  if (registry == nullptr) return -1;
  const detail::SlowPath slow;
  return reinterpret_cast<detail::Attachment*>(const_cast<shmetrics_registry*>(registry))->mapping.file().kept_fd;
}

void shmetrics_release_worker() {
  release_worker();
}

void shmetrics_resume_worker() {
  detail::Attachment::for_each([](detail::Attachment& attachment) { attachment.entry.resume(); });
}

// The copy stays: a child that is forked at any moment may read it.
void shmetrics_set_program(const char* name) {
  const detail::SlowPath slow;
  const char* const copy = name == nullptr ? nullptr : strdup(name);
  if (copy != nullptr || name == nullptr) shm::name_program(copy);
}

shmetrics_registry* shmetrics_default_registry(shmetrics_error* error) {
  const Registry registry = default_registry();
  detail::report(error, registry.error());
  return CApi::handle(registry);
}

const char* shmetrics_path(const shmetrics_registry* registry) {
  return CApi::registry(const_cast<shmetrics_registry*>(registry)).path().c_str();
}

shmetrics_counter_family* shmetrics_declare_counter(shmetrics_registry* registry, const char* name, const char* help,
                                                    const char* const* labels, size_t label_count,
                                                    const shmetrics_family_options* options, shmetrics_error* error) {
  return detail::declared<shmetrics_counter_family>(
      registry, {CApi::Kind::counter, detail::view(name), detail::view(help), {}}, labels, label_count, options, error);
}

shmetrics_float_counter_family* shmetrics_declare_float_counter(shmetrics_registry* registry, const char* name,
                                                                const char* help, const char* const* labels,
                                                                size_t label_count,
                                                                const shmetrics_family_options* options,
                                                                shmetrics_error* error) {
  return detail::declared<shmetrics_float_counter_family>(
      registry, {CApi::Kind::float_counter, detail::view(name), detail::view(help), {}}, labels, label_count, options,
      error);
}

shmetrics_gauge_family* shmetrics_declare_gauge(shmetrics_registry* registry, const char* name, const char* help,
                                                const char* const* labels, size_t label_count,
                                                enum shmetrics_gauge_mode mode, const shmetrics_family_options* options,
                                                shmetrics_error* error) {
  return detail::declared<shmetrics_gauge_family>(
      registry, {CApi::Kind::gauge, detail::view(name), detail::view(help), {}, static_cast<GaugeMode>(mode)}, labels,
      label_count, options, error);
}

shmetrics_histogram_family* shmetrics_declare_histogram(shmetrics_registry* registry, const char* name,
                                                        const char* help, const char* const* labels, size_t label_count,
                                                        const double* bounds, size_t bound_count,
                                                        const shmetrics_family_options* options,
                                                        shmetrics_error* error) {
  try {
    // One more than any family may have is enough to be refused.
    const std::size_t count = std::min<std::size_t>(bound_count, SHMETRICS_MAX_BOUNDS + 1);
    const Buckets used = bounds == nullptr ? default_buckets() : Buckets(bounds, bounds + count);
    return detail::declared<shmetrics_histogram_family>(
        registry, {CApi::Kind::histogram, detail::view(name), detail::view(help), {}, {}, used}, labels, label_count,
        options, error);
  } catch (const std::bad_alloc&) {
    return detail::report(error, detail::no_memory()), nullptr;
  }
}

shmetrics_histogram_family* shmetrics_declare_native_histogram(shmetrics_registry* registry, const char* name,
                                                               const char* help, const char* const* labels,
                                                               size_t label_count, shmetrics_native_buckets buckets,
                                                               const shmetrics_family_options* options,
                                                               shmetrics_error* error) {
  NativeBuckets native{.low = buckets.low, .high = buckets.high};
  if (buckets.factor != 0) native.factor = buckets.factor;
  return detail::declared<shmetrics_histogram_family>(
      registry, {CApi::Kind::histogram, detail::view(name), detail::view(help), {}, {}, {}, &native}, labels,
      label_count, options, error);
}

shmetrics_summary_family* shmetrics_declare_summary(shmetrics_registry* registry, const char* name, const char* help,
                                                    const char* const* labels, size_t label_count,
                                                    const shmetrics_family_options* options, shmetrics_error* error) {
  return detail::declared<shmetrics_summary_family>(
      registry, {CApi::Kind::summary, detail::view(name), detail::view(help), {}}, labels, label_count, options, error);
}

int shmetrics_info(shmetrics_registry* registry, const char* name, const char* help, const char* const* labels,
                   const char* const* values, size_t label_count, shmetrics_error* error) {
  const detail::Views names(labels, label_count);
  const detail::Views texts(values, label_count);
  return detail::report(error,
                        CApi::info(CApi::registry(registry), detail::view(name), detail::view(help), names, texts));
}

size_t shmetrics_linear_buckets(double start, double width, size_t count, double* bounds) {
  return detail::write_bounds(bounds, count, [&] { return linear_buckets(start, width, count); });
}

size_t shmetrics_exponential_buckets(double start, double factor, size_t count, double* bounds) {
  return detail::write_bounds(bounds, count, [&] { return exponential_buckets(start, factor, count); });
}

shmetrics_series shmetrics_find(const void* family, const char* const* values, size_t count) {
  return detail::series_of(family, detail::Views(values, count));
}

shmetrics_series shmetrics_find_strings(const void* family, const shmetrics_string* values, size_t count) {
  return detail::series_of(family, detail::Views(values, count));
}

int shmetrics_is_overflow(shmetrics_series series) {
  const detail::HandleParts parts = detail::parts_of(series);
  if (detail::is_dropped(parts.cell)) return 1;  // an inert handle too
  const detail::FamilyState& family = *parts.family;
  return !family.schema.labels.empty() && !family.in_process_slots() && parts.cell == family.first_cell;
}

void shmetrics_counter_add_slow(shmetrics_series series, int64_t n) {
  Counter(detail::parts_of(series)).inc(n);
}

void shmetrics_float_counter_add_slow(shmetrics_series series, double n) {
  FloatCounter(detail::parts_of(series)).inc(n);
}

void shmetrics_gauge_set(shmetrics_gauge gauge, double value) {
  Gauge(detail::parts_of(gauge.series)).set(value);
}

int shmetrics_gauge_add(shmetrics_gauge gauge, double n) {
  return CApi::add(Gauge(detail::parts_of(gauge.series)), n) ? 1 : 0;
}

void shmetrics_gauge_set_to_current_time(shmetrics_gauge gauge) {
  Gauge(detail::parts_of(gauge.series)).set_to_current_time();
}

void shmetrics_gauge_unset(shmetrics_gauge gauge) {
  Gauge(detail::parts_of(gauge.series)).unset();
}

void shmetrics_gauge_remove(const shmetrics_gauge_family* family, const shmetrics_string* values, size_t count) {
  const auto* state = reinterpret_cast<const detail::FamilyState*>(family);
  if (state != nullptr && !state->is_declared()) state = state->healed.load(std::memory_order_acquire);
  if (state == nullptr) return;
  const detail::Views texts(values, count);
  // If this process does not know the label set, it has set no value. In the mode shared, another process may have.
  const bool is_known = state->attachment->mirror.series().find(state->entry, texts) != detail::SeriesTable::kUnknown;
  const bool may_be_unknown = state->schema.labels.empty() || state->schema.gauge_mode == shm::GaugeMode::kShared;
  if (is_known || may_be_unknown) Gauge(detail::find_series(state, texts)).unset();
}

int shmetrics_gauge_own(shmetrics_gauge gauge, double* value) {
  const detail::HandleParts parts = detail::parts_of(gauge.series);
  const auto* const attachment = detail::is_dropped(parts.cell) ? nullptr : detail::Attachment::at(parts.registry);
  if (attachment == nullptr) return 0;
  const shm::SharedWord* const cells = attachment->entry.open_cells(parts.cell + shm::kGaugeCells - 1);
  if (cells == nullptr || cells[parts.cell + shm::kGaugeStamp].load_acquire() == 0) return 0;
  *value = cells[parts.cell + shm::kGaugeValue].load_double_relaxed();
  return 1;
}

void shmetrics_histogram_observe(shmetrics_histogram histogram, double value) {
  Histogram(detail::parts_of(histogram.series)).observe(value);
}

void shmetrics_summary_observe(shmetrics_summary summary, double value) {
  Summary(detail::parts_of(summary.series)).observe(value);
}

double shmetrics_now(void) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
