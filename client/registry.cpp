// Registries of the public API, and what is declared in them.
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <tuple>

#include "client/attachment.hpp"
#include "client/creation_options.hpp"
#include "client/declaration.hpp"
#include "client/error.hpp"
#include "client/registration.hpp"
#include "client/slow_path.hpp"
#include "shm/native_window.hpp"

namespace shmetrics {
namespace {

using detail::Attachment;

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
    return detail::no_memory();
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

// One line a process, to stderr and to on_error: a program that tries again at each request must not fill its log, nor
// be called each time.
void say_inert(const Options& options, const std::error_code& error) noexcept {
  static constinit std::atomic<bool> told = false, printed = false;
  const detail::SlowPath slow;  // and no lock: a stderr that nobody reads must not keep other threads from registering
  const char* const line = detail::message_of(error);
  if (options.on_error != nullptr) {
    if (!told.exchange(true)) options.on_error(line);
    return;
  }
  if (detail::is_quiet(options) || printed.exchange(true)) return;
  dprintf(STDERR_FILENO, "shmetrics: %s; metrics of this process are not counted\n", line);
}

shm::Schema schema_of(auto kind, const auto& declaration, const FamilyOptions& options) {
  using Kind = decltype(kind);
  // In the order of Kind.
  constexpr shm::MetricType kTypes[] = {shm::MetricType::kCounter,   shm::MetricType::kCounter, shm::MetricType::kGauge,
                                        shm::MetricType::kHistogram, shm::MetricType::kSummary, shm::MetricType::kInfo};
  static_assert(std::size(kTypes) == static_cast<std::size_t>(Kind::info) + 1);
  shm::Schema schema;
  schema.type = kTypes[static_cast<std::size_t>(kind)];
  if (kind == Kind::counter) schema.cell_kind = shm::CellKind::kUnsigned;
  schema.gauge_mode = static_cast<shm::GaugeMode>(declaration.mode);
  schema.name = declaration.name;
  schema.help = declaration.help;
  schema.unit = options.unit;
  schema.labels.assign(declaration.labels.begin(), declaration.labels.end());
  schema.bounds.assign(declaration.bounds.begin(), declaration.bounds.end());
  if (const NativeBuckets* const native = declaration.native) {
    const auto bounds = shm::native_bounds(native->low, native->high, native->factor);
    schema.bounds.assign(bounds.begin(), bounds.end());
    schema.is_native = true;
  }
  schema.has_exemplars = options.exemplars;
  schema.naming = options.naming == Naming::lenient ? shm::Naming::kLenient : shm::Naming::kStrict;
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

Registry Registry::opened(const Options& options) noexcept {
  Registry registry;
  registry.error_ = guarded([&] { registry.attachment_ = &Attachment::open(options); });
  if (registry.attachment_ != nullptr) {
    const detail::SlowPath slow;
    registry.attachment_->say_what_is_not_as_asked(options);
  }
  return registry;
}

Registry Registry::open(const Options& options, std::error_code& error) noexcept {
  Registry registry = opened(options);
  error = registry.error_;
  if (error) say_inert(options, error);
  return registry;
}

Registry Registry::open(const Options& options) {
  Registry registry = opened(options);
  if (registry.error_) throw std::system_error(registry.error_);
  return registry;
}

const std::string& Registry::path() const {
  static const std::string& none = *new std::string;
  return attachment_ == nullptr ? none : attachment_->mapping.path;
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
    error = detail::no_memory();
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
    if (!attachment_->entry.show_info(series.cell)) {
      throw shm::from_errno(ENOSPC, "no memory left for the infos of this process in " + attachment_->mapping.path);
    }
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
