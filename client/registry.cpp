// The public API's other half: handles in, cells out.
#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <tuple>

#include "client/attachment.hpp"
#include "client/declaration.hpp"
#include "client/error.hpp"
#include "client/registration.hpp"
#include "client/slow_path.hpp"
#include "client/writer.hpp"
#include "shm/failpoint.hpp"
#include "shm/slot.hpp"

namespace shmetrics {
namespace {

using detail::Attachment;

static_assert(static_cast<std::uint32_t>(detail::Refusal::nan) == static_cast<std::uint32_t>(shm::Tally::kRefusedNan) &&
              static_cast<std::uint32_t>(detail::Refusal::infinite) ==
                  static_cast<std::uint32_t>(shm::Tally::kRefusedInfinite) &&
              static_cast<std::uint32_t>(detail::Refusal::negative) ==
                  static_cast<std::uint32_t>(shm::Tally::kRefusedNegative));

constinit std::atomic<Attachment*> default_attachment{nullptr};
constinit detail::Breaker default_breaker;

/// Runs `act` under the control lock and turns what it throws into an error_code.
template <typename Act>
std::error_code guarded(Act act) noexcept {
  const detail::SlowPath slow;
  try {
    const detail::ControlGuard control{detail::Deadline()};
    if (!control) return detail::make_error(shm::Fault::kNotReady, "this process is busy registering: try again");
    act();
    return {};
  } catch (const shm::Error& error) {
    return detail::make_error(error.fault(), error.what());
  } catch (const std::bad_alloc&) {
    return detail::make_error(shm::Fault::kFull, "this process has no memory left");
  } catch (const std::exception& error) {
    return detail::make_error(shm::Fault::kIo, error.what());
  }
}

Buckets growing(double start, std::size_t count, auto next) {
  Buckets bounds;
  for (double bound = start; bounds.size() < count; bound = next(bound)) {
    const bool grows = bounds.empty() || bounds.back() < bound;
    if (count > shm::kMaxBounds || !std::isfinite(bound) || !grows) return {};
    bounds.push_back(bound);
  }
  return bounds;
}

// Counts the bounds below the value, four at a time and without a branch that depends on the value. The bounds are
// padded to fours with +Inf, and no value is above that. With a loop over single bounds an observation takes twice as
// long on an Intel Xeon; docs/performance.md has the figures.
std::uint32_t bucket_of(const detail::FamilyState& family, double value) noexcept {
  using Doubles = double __attribute__((vector_size(16)));
  using Words = std::int64_t __attribute__((vector_size(16)));
  const Doubles values = {value, value};
  Words low{}, high{};
  const double* const end = family.bounds.data() + family.bound_count;
  for (const double* at = family.bounds.data(); at < end; at += 4) {
    Doubles low_pair, high_pair;
    std::memcpy(&low_pair, at, sizeof low_pair);
    std::memcpy(&high_pair, at + 2, sizeof high_pair);
    low -= values > low_pair;  // true is -1
    high -= values > high_pair;
  }
  low += high;
  return static_cast<std::uint32_t>(low[0] + low[1]);
}
static_assert(shm::kMaxBounds % 4 == 0);

void observe_slow(const detail::FamilyState& family, std::uint32_t registry, std::uint32_t cell, std::uint32_t bucket,
                  double value) noexcept {
  if (std::isnan(value)) return detail::refuse(registry, cell, detail::Refusal::nan);
  if (detail::is_dropped(cell)) return family.attachment->drop(cell);
  const detail::SlowPath slow;
  const std::uint32_t last_cell = cell + shm::kHistogramBuckets + family.bound_count;
  if (shm::SharedWord* own = detail::own_cells(*family.attachment, last_cell)) {
    shm::observe(own, cell, bucket, value);
  } else if (shm::SharedWord* spill = family.attachment->spill_cells(last_cell)) {
    shm::observe_shared(spill, cell, bucket, value);
  }
}

// What a summary lacks in buckets it lacks in bounds, so its one count is the bucket above them.
inline void observe_in(const detail::FamilyState& family, std::uint32_t registry, std::uint32_t cell,
                       std::uint32_t bucket, double value) noexcept {
  const std::uint32_t last_cell = cell + shm::kHistogramBuckets + family.bound_count;
  const detail::ThreadSlot& slot = detail::thread_slots[registry];
  if (last_cell >= slot.limit || std::isnan(value)) [[unlikely]] {
    return observe_slow(family, registry, cell, bucket, value);
  }
  shm::observe(reinterpret_cast<shm::SharedWord*>(slot.cells), cell, bucket, value);
}

// When a gauge was set, in a clock that all processes share and nobody sets back; 1 where nobody asks.
std::uint64_t stamp_for(const detail::FamilyState& family) noexcept {
  if (family.gauge_mode != shm::GaugeMode::kMostrecent && family.gauge_mode != shm::GaugeMode::kLivemostrecent)
    return 1;
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

shm::Schema schema_of(auto kind, const auto& declaration, const FamilyOptions& options) {
  using Kind = decltype(kind);
  shm::Schema schema;
  switch (kind) {
    case Kind::counter:
      schema.type = shm::MetricType::kCounter;
      schema.cell_kind = shm::CellKind::kUnsigned;
      break;
    case Kind::float_counter:
      schema.type = shm::MetricType::kCounter;
      break;
    case Kind::gauge:
      schema.type = shm::MetricType::kGauge;
      break;
    case Kind::histogram:
      schema.type = shm::MetricType::kHistogram;
      break;
    case Kind::summary:
      schema.type = shm::MetricType::kSummary;
      break;
    case Kind::info:
      schema.type = shm::MetricType::kInfo;
      break;
  }
  schema.gauge_mode = static_cast<shm::GaugeMode>(declaration.mode);
  schema.name = declaration.name;
  schema.help = declaration.help;
  schema.unit = options.unit;
  schema.labels.assign(declaration.labels.begin(), declaration.labels.end());
  schema.bounds.assign(declaration.bounds.begin(), declaration.bounds.end());
  return schema;
}

}  // namespace

Buckets default_buckets() {
  return {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};
}

Buckets linear_buckets(double start, double width, std::size_t count) {
  return growing(start, count, [&, i = 0.0](double) mutable { return start + ++i * width; });
}

Buckets exponential_buckets(double start, double factor, std::size_t count) {
  return growing(start, count, [&](double bound) { return bound * factor; });
}

void detail::add_slow(std::uint32_t registry, std::uint32_t cell, std::uint64_t n) noexcept {
  const SlowPath slow;
  Attachment* attachment = Attachment::at(registry);
  if (attachment == nullptr || cell == kInertCell) return;
  if (is_dropped(cell)) return attachment->drop(cell);
  if (shm::SharedWord* own = own_cells(*attachment, cell)) {
    own[cell].store_relaxed(own[cell].load_relaxed() + n);
  } else if (shm::SharedWord* spill = attachment->spill_cells(cell)) {
    spill[cell].add_relaxed(n);
  }
}

void detail::add_slow(std::uint32_t registry, std::uint32_t cell, double n) noexcept {
  const SlowPath slow;
  Attachment* attachment = Attachment::at(registry);
  if (attachment == nullptr || cell == kInertCell) return;
  if (is_dropped(cell)) return attachment->drop(cell);
  if (shm::SharedWord* own = own_cells(*attachment, cell)) {
    own[cell].store_double_relaxed(own[cell].load_double_relaxed() + n);
  } else if (shm::SharedWord* spill = attachment->spill_cells(cell)) {
    spill[cell].add_double_relaxed(n);
  }
}

void detail::refuse_increment(std::uint32_t registry, std::uint32_t cell, double n) noexcept {
  refuse(registry, cell, std::isnan(n) ? Refusal::nan : std::isinf(n) ? Refusal::infinite : Refusal::negative);
}

void detail::refuse(std::uint32_t registry, std::uint32_t cell, Refusal why) noexcept {
  if (cell == kInertCell) return;
  if (Attachment* attachment = Attachment::at(registry)) attachment->tally(static_cast<shm::Tally>(why));
}

detail::HandleParts detail::find_series(const FamilyState* family, std::span<const std::string_view> values) noexcept {
  if (family == nullptr) return {};
  if (values.size() != family->labels.size()) return refuse_labels(*family);
  if (values.empty()) return only_series(family);
  const std::uint32_t cell = family->attachment->mirror.series().find(family->entry, values);
  if (cell == SeriesTable::kUnknown) [[unlikely]]
    return register_series(*family, values);
  return {family->registry, cell, family};
}

detail::HandleParts detail::only_series(const FamilyState* family) noexcept {
  if (family == nullptr) return {};
  return {family->registry, family->first_cell, family};
}

void Gauge::set(double value) const noexcept {
  if (shm::SharedWord* cells = detail::gauge_cells(registry_, cell_)) {
    cells[cell_ + shm::kGaugeValue].store_double_relaxed(value);
    SHMETRICS_FAILPOINT(gauge_value_stored);
    cells[cell_ + shm::kGaugeStamp].store_release(stamp_for(*family_));
    SHMETRICS_FAILPOINT(gauge_stamp_stored);
  }
}

bool Gauge::add(double n) const noexcept {
  shm::SharedWord* cells = detail::gauge_cells(registry_, cell_);
  if (cells == nullptr) return false;
  cells[cell_ + shm::kGaugeValue].add_double_relaxed(n);
  SHMETRICS_FAILPOINT(gauge_value_stored);
  cells[cell_ + shm::kGaugeStamp].store_release(stamp_for(*family_));
  SHMETRICS_FAILPOINT(gauge_stamp_stored);
  return true;
}

void Gauge::set_to_current_time() const noexcept {
  set(std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count());
}

void Histogram::observe(double value) const noexcept {
  if (family_ != nullptr) observe_in(*family_, registry_, cell_, bucket_of(*family_, value), value);
}

void Summary::observe(double value) const noexcept {
  if (family_ != nullptr) observe_in(*family_, registry_, cell_, 0, value);
}

Registry Registry::open(const Options& options, std::error_code& error) noexcept {
  Registry registry;
  registry.error_ = guarded([&] { registry.attachment_ = &Attachment::open(options); });
  error = registry.error_;
  return registry;
}

Registry Registry::open(const Options& options) {
  std::error_code error;
  Registry registry = open(options, error);
  if (error) throw std::system_error(error);
  return registry;
}

const std::string& Registry::path() const {
  static const std::string& none = *new std::string;
  return attachment_ == nullptr ? none : attachment_->path;
}

const detail::FamilyState* Registry::declare(const Declaration& declaration, const FamilyOptions& options,
                                             std::error_code& error) const noexcept {
  if (attachment_ == nullptr) {
    error = error_ ? error_
                   : detail::make_error(shm::Fault::kNotReady, "the registry was never opened: use Registry::open");
    return nullptr;
  }
  try {
    return detail::declare_family(*attachment_, schema_of(declaration.kind, declaration, options), options.series_limit,
                                  error);
  } catch (const std::bad_alloc&) {
    error = detail::make_error(shm::Fault::kFull, "this process has no memory left");
    return nullptr;
  }
}

std::error_code Registry::info(
    std::string_view name, std::string_view help,
    std::initializer_list<std::pair<std::string_view, std::string_view>> labels) const noexcept {
  std::array<std::string_view, shm::kMaxLabels + 1> names;  // one more, so that too many are refused
  std::array<std::string_view, shm::kMaxLabels + 1> values;
  const std::size_t count = std::min(labels.size(), names.size());
  for (std::size_t i = 0; i < count; ++i) std::tie(names[i], values[i]) = labels.begin()[i];
  return declare_info(name, help, std::span(names).first(count), std::span(values).first(count));
}

std::error_code Registry::declare_info(std::string_view name, std::string_view help,
                                       std::span<const std::string_view> names,
                                       std::span<const std::string_view> values) const noexcept {
  std::error_code error;
  const auto* family = declare({Kind::info, name, help, names}, {}, error);
  if (error) return error;
  const detail::HandleParts series = detail::find_series(family, values);
  return guarded([&] {
    if (!std::all_of(values.begin(), values.end(), shm::is_valid_label_value)) {
      throw shm::Error(shm::Fault::kInvalidArgument,
                       shm::quoted(name) + " has a label value that is too long or not UTF-8");
    }
    if (detail::is_dropped(series.cell)) {
      throw shm::Error(shm::Fault::kFull, shm::quoted(name) + " has no room for these label values");
    }
    attachment_->show_info(series.cell);
  });
}

Registry default_registry() noexcept {
  Registry registry;
  registry.attachment_ = default_attachment.load(std::memory_order_acquire);
  if (registry.attachment_ != nullptr) return registry;
  if (default_breaker.is_open()) {
    registry.error_ =
        detail::make_error(shm::Fault::kNotReady, "the segment could not be opened: tried again after a second");
    return registry;
  }
  registry = Registry::open(Options{}, registry.error_);
  // A failure is not stored: another thread may have had more luck meanwhile.
  if (registry.attachment_ == nullptr) {
    default_breaker.open();
  } else {
    default_attachment.store(registry.attachment_, std::memory_order_release);
  }
  return registry;
}

}  // namespace shmetrics
