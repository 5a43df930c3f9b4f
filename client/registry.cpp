// The public API's other half: handles in, cells out.
#include <bit>
#include <cmath>

#include "client/attachment.hpp"
#include "client/error.hpp"
#include "client/registration.hpp"
#include "client/writer.hpp"
#include "shm/slot.hpp"

namespace shmetrics {
namespace {

using detail::Attachment;

/// Runs `act` under the control lock and turns what it throws into an error_code.
template <typename Act>
std::error_code guarded(Act act) noexcept {
  try {
    const std::unique_lock lock(detail::control_lock(), detail::kDeclareWait);
    if (!lock) return detail::make_error(shm::Fault::kNotReady, "this process is busy registering: try again");
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

std::uint32_t bucket_of(const detail::FamilyState& family, double value) {
  std::uint32_t bucket = 0;
  for (std::uint32_t i = 0; i < family.bound_count; ++i)
    bucket += value > family.bounds[i] ? 1 : 0;  // no branch to mispredict
  return bucket;
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
  Attachment* attachment = Attachment::at(registry);
  if (attachment == nullptr || cell >= kDroppedCell) return;
  if (shm::SharedWord* own = own_cells(*attachment, cell)) {
    own[cell].store_relaxed(own[cell].load_relaxed() + n);
  } else if (shm::SharedWord* spill = attachment->spill_cells(cell)) {
    spill[cell].add_relaxed(n);
  }
}

void detail::refuse(std::uint32_t registry, Refusal why) noexcept {
  if (Attachment* attachment = Attachment::at(registry)) attachment->tally(static_cast<shm::Tally>(why));
}

detail::HandleParts detail::find_series(const FamilyState* family, std::span<const std::string_view> values) noexcept {
  if (family == nullptr || values.size() != family->labels.size()) return {};
  if (const auto cell = family->attachment->mirror.series().find(family->offset, values)) {
    return {family->registry, *cell, family};
  }
  return {family->registry, register_series(*family, values), family};
}

detail::HandleParts detail::only_series(const FamilyState* family) noexcept {
  if (family == nullptr) return {};
  return {family->registry, family->first_cell, family};
}

void Gauge::set(double value) const noexcept {
  if (shm::SharedWord* cells = detail::gauge_cells(registry_, cell_)) {
    cells[cell_ + shm::kGaugeValue].store_double_relaxed(value);
    cells[cell_ + shm::kGaugeStamp].store_release(1);
  }
}

bool Gauge::add(double n) const noexcept {
  shm::SharedWord* cells = detail::gauge_cells(registry_, cell_);
  if (cells == nullptr) return false;
  cells[cell_ + shm::kGaugeValue].add_double_relaxed(n);
  cells[cell_ + shm::kGaugeStamp].store_release(1);
  return true;
}

void Histogram::observe(double value) const noexcept {
  if (family_ == nullptr) return;
  if (std::isnan(value)) return detail::refuse(registry_, detail::Refusal::nan);
  const std::uint32_t bucket = bucket_of(*family_, value);
  const std::uint32_t last_cell = cell_ + shm::kHistogramBuckets + family_->bound_count;
  const detail::ThreadSlot& slot = detail::thread_slots[registry_];
  if (last_cell < slot.limit) [[likely]] {
    return shm::observe(reinterpret_cast<shm::SharedWord*>(slot.cells), cell_, bucket, value);
  }
  if (shm::SharedWord* own = detail::own_cells(*family_->attachment, last_cell)) {
    shm::observe(own, cell_, bucket, value);
  } else if (shm::SharedWord* spill = family_->attachment->spill_cells(last_cell)) {
    shm::observe_shared(spill, cell_, bucket, value);
  }
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

const detail::FamilyState* Registry::declare(Kind kind, std::string_view name, std::string_view help,
                                             std::span<const std::string_view> labels, GaugeMode mode,
                                             std::span<const double> bounds, std::error_code& error) const noexcept {
  if (attachment_ == nullptr) {
    error = error_ ? error_
                   : detail::make_error(shm::Fault::kNotReady, "the registry was never opened: use Registry::open");
    return nullptr;
  }
  const detail::FamilyState* family = nullptr;
  error = guarded([&] {
    constexpr shm::MetricType kTypes[] = {shm::MetricType::kCounter, shm::MetricType::kGauge,
                                          shm::MetricType::kHistogram};
    shm::Schema schema;
    schema.type = kTypes[static_cast<std::uint32_t>(kind)];
    schema.cell_kind = kind == Kind::counter ? shm::CellKind::kUnsigned : shm::CellKind::kDouble;
    schema.gauge_mode = static_cast<shm::GaugeMode>(mode);
    schema.name = name;
    schema.help = help;
    schema.labels.assign(labels.begin(), labels.end());
    schema.bounds.assign(bounds.begin(), bounds.end());
    family = &detail::declare_family(*attachment_, schema);
  });
  return family;
}

}  // namespace shmetrics
