// Updates: handles in, cells out.
#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstring>

#include "client/attachment.hpp"
#include "client/registration.hpp"
#include "client/slow_path.hpp"
#include "client/writer.hpp"
#include "shm/failpoint.hpp"
#include "shm/native_window.hpp"
#include "shm/slot.hpp"

namespace shmetrics {
namespace {

using detail::Attachment;
using detail::HandleParts;

static_assert(static_cast<std::uint32_t>(detail::Refusal::nan) == static_cast<std::uint32_t>(shm::Tally::kRefusedNan) &&
              static_cast<std::uint32_t>(detail::Refusal::infinite) ==
                  static_cast<std::uint32_t>(shm::Tally::kRefusedInfinite) &&
              static_cast<std::uint32_t>(detail::Refusal::negative) ==
                  static_cast<std::uint32_t>(shm::Tally::kRefusedNegative));

// Counts the bounds below the value, four at a time and without a branch that depends on the value. The bounds are
// padded to fours with +Inf, and no value is above that. With a loop over single bounds an observation takes twice as
// long on an Intel Xeon; docs/performance.md has the figures.
std::uint32_t bucket_of(const detail::FamilyState& family, double value) noexcept {
  using Doubles = double __attribute__((vector_size(16)));
  using Words = std::int64_t __attribute__((vector_size(16)));
  const Doubles values = {value, value};
  Words low{}, high{};
  const double* const end = family.bounds.data() + family.compared_bounds;
  const double* at = family.bounds.data();
  do {
    Doubles low_pair, high_pair;
    std::memcpy(&low_pair, at, sizeof low_pair);
    std::memcpy(&high_pair, at + 2, sizeof high_pair);
    low -= values > low_pair;  // true is -1
    high -= values > high_pair;
    at += 4;
  } while (at < end);
  low += high;
  return static_cast<std::uint32_t>(low[0] + low[1]);
}
static_assert(shm::kMaxBounds % 4 == 0);

std::uint32_t last_cell_of(const HandleParts& series) noexcept {
  return series.cell + shm::kHistogramBuckets + series.family->bound_count;
}
// A handle that drops its updates has buckets too, and its last cell must be beyond every limit as well.
static_assert(detail::kDroppedCells + shm::kTallies + shm::kMaxSeriesCells < detail::kInertCell);

void observe_slow(const HandleParts& series, std::uint32_t bucket, double value) noexcept {
  if (std::isnan(value)) return detail::refuse(series.registry, series.cell, detail::Refusal::nan);
  Attachment& attachment = *series.family->attachment;
  if (detail::is_dropped(series.cell)) return attachment.drop(series.cell);
  // Of a test's segment that is gone, while another one has its number.
  if (Attachment::at(series.registry) != &attachment) return;
  const detail::SlowPath slow;
  const std::uint32_t last_cell = last_cell_of(series);
  if (shm::SharedWord* own = detail::own_cells(attachment, last_cell)) {
    shm::observe(own, series.cell, bucket, value);
  } else if (shm::SharedWord* spill = attachment.mapping.spill_cells(last_cell)) {
    shm::observe_shared(spill, series.cell, bucket, value);
  }
}

// A summary has no bounds, so its only count is where the +Inf bucket would be.
inline void observe_in(const HandleParts& series, std::uint32_t bucket, double value) noexcept {
  const detail::ThreadSlot& slot = detail::thread_slots[series.registry];
  if (last_cell_of(series) >= slot.limit || std::isnan(value)) [[unlikely]] {
    return observe_slow(series, bucket, value);
  }
  shm::observe(reinterpret_cast<shm::SharedWord*>(slot.cells), series.cell, bucket, value);
}

// The bucket of a finite number that is not negative. A number below the least normal one has a smaller exponent than
// every low border.
inline std::uint32_t native_bucket_of(const detail::FamilyState& family, std::uint64_t bits) noexcept {
  const std::int32_t key = shm::coarser_native_key(shm::finest_native_key(bits), family.native_steps);
  return static_cast<std::uint32_t>(
      std::clamp(key - family.window.low_key, 0, static_cast<std::int32_t>(family.bound_count)));
}

void observe_native_slow(const HandleParts& series, double value) noexcept {
  if (series.family->schema.is_native && value < 0) {
    return detail::refuse(series.registry, series.cell, detail::Refusal::negative);
  }
  observe_slow(series, series.family->window.cell_of(value), value);
}

// Not inlined: a classic observation would take 12 instructions more, for registers.
[[gnu::noinline]] void observe_native(const HandleParts& series, double value) noexcept {
  constexpr std::uint64_t kInfinite = 0x7ff0000000000000;  // infinity, NaN, and all with a sign are not below it
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const detail::ThreadSlot& slot = detail::thread_slots[series.registry];
  if (last_cell_of(series) >= slot.limit || bits >= kInfinite) [[unlikely]] {
    return observe_native_slow(series, value);
  }
  const std::uint32_t bucket = native_bucket_of(*series.family, bits);
  shm::observe(reinterpret_cast<shm::SharedWord*>(slot.cells), series.cell, bucket, value);
}

// When a gauge was set, by a clock that all processes share and that never goes back; 1 if the mode does not need it.
std::uint64_t stamp_for(const detail::FamilyState& family) noexcept {
  if (family.schema.gauge_mode != shm::GaugeMode::kMostrecent &&
      family.schema.gauge_mode != shm::GaugeMode::kLivemostrecent)
    return 1;
  return shm::clock_ns(CLOCK_BOOTTIME);
}

// The attachment of a handle that can count. Null: the handle is inert, or its updates are dropped and counted.
Attachment* attachment_of(std::uint32_t registry, std::uint32_t cell) noexcept {
  Attachment* const attachment = Attachment::at(registry);
  if (attachment == nullptr || cell == detail::kInertCell) return nullptr;
  if (!detail::is_dropped(cell)) return attachment;
  attachment->drop(cell);
  return nullptr;
}

void add_slowly(std::uint32_t registry, std::uint32_t cell, auto add, auto add_shared) noexcept {
  const detail::SlowPath slow;
  Attachment* const attachment = attachment_of(registry, cell);
  if (attachment == nullptr) return;
  if (shm::SharedWord* own = detail::own_cells(*attachment, cell)) {
    add(own[cell]);
  } else if (shm::SharedWord* spill = attachment->mapping.spill_cells(cell)) {
    add_shared(spill[cell]);
  }
}

// The process's cells of a gauge. Null: the update is dropped, and counted as such.
shm::SharedWord* gauge_cells(std::uint32_t registry, std::uint32_t cell) noexcept {
  Attachment* const attachment = attachment_of(registry, cell);
  if (attachment == nullptr) return nullptr;
  shm::Tally dropped{};
  shm::SharedWord* const cells = attachment->entry.cells(cell + shm::kGaugeCells - 1, dropped);
  if (cells != nullptr) return cells + cell;
  const detail::SlowPath slow;  // it may have something to say
  attachment->mapping.tally(dropped);
  if (dropped == shm::Tally::kDroppedNoEntry) {
    attachment->say_once(
        detail::kGaugesDropped,
        "gauges of this process are dropped: it has no worker entry, because all are taken or it cannot open the "
        "segment any more; see shmetrics_updates_dropped_total");
  }
  return nullptr;
}

// The word of a gauge that all processes share. Null: it is no such gauge, or the update is dropped, and counted as
// such.
shm::SharedWord* shared_word(std::uint32_t registry, std::uint32_t cell) noexcept {
  // For any other gauge the number wraps around, so there is no attachment at it.
  Attachment* const attachment = attachment_of(registry - detail::kMaxRegistries, cell);
  if (attachment == nullptr) return nullptr;
  shm::SharedWord* const cells = attachment->mapping.shared_gauge_cells(cell + shm::kGaugeValue);
  return cells == nullptr ? nullptr : cells + cell + shm::kGaugeValue;
}

// Shows the value that was stored. If another thread has a later stamp, that stays: its value was stored later.
void stamp(shm::SharedWord* gauge, const detail::FamilyState& family) noexcept {
  SHMETRICS_FAILPOINT(gauge_value_stored);
  gauge[shm::kGaugeStamp].raise_to_release(stamp_for(family));
  SHMETRICS_FAILPOINT(gauge_stamp_stored);
}

}  // namespace

void detail::add_slow(std::uint32_t registry, std::uint32_t cell, std::uint64_t n) noexcept {
  add_slowly(
      registry, cell, [n](shm::SharedWord& own) { own.store_relaxed(own.load_relaxed() + n); },
      [n](shm::SharedWord& shared) { shared.add_relaxed(n); });
}

void detail::add_slow(std::uint32_t registry, std::uint32_t cell, double n) noexcept {
  add_slowly(
      registry, cell, [n](shm::SharedWord& own) { own.store_double_relaxed(own.load_double_relaxed() + n); },
      [n](shm::SharedWord& shared) { shared.add_double_relaxed(n); });
}

void detail::refuse_increment(std::uint32_t registry, std::uint32_t cell, double n) noexcept {
  refuse(registry, cell, std::isnan(n) ? Refusal::nan : std::isinf(n) ? Refusal::infinite : Refusal::negative);
}

void detail::refuse(std::uint32_t registry, std::uint32_t cell, Refusal why) noexcept {
  if (cell == kInertCell) return;
  if (Attachment* attachment = Attachment::at(registry)) attachment->mapping.tally(static_cast<shm::Tally>(why));
}

detail::HandleParts detail::find_series(const FamilyState* family, std::span<const std::string_view> values) noexcept {
  if (family == nullptr) return {};
  if (values.size() != family->schema.labels.size()) return refuse_labels(*family, values.size());
  if (values.empty()) return family->is_declared() ? only_series(family) : register_series(*family, values);
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
  if (shm::SharedWord* gauge = gauge_cells(series_.registry, series_.cell)) {
    gauge[shm::kGaugeValue].store_double_relaxed(value);
    stamp(gauge, *series_.family);
  } else if (shm::SharedWord* shared = shared_word(series_.registry, series_.cell)) {
    shared->store_relaxed(shm::spilled(value));
  }
}

bool Gauge::add(double n) const noexcept {
  if (shm::SharedWord* gauge = gauge_cells(series_.registry, series_.cell)) {
    gauge[shm::kGaugeValue].add_double_relaxed(n);
    stamp(gauge, *series_.family);
    return true;
  }
  shm::SharedWord* const shared = shared_word(series_.registry, series_.cell);
  if (shared == nullptr) return false;
  shared->update_relaxed([n](std::uint64_t bits) { return shm::spilled(std::bit_cast<double>(bits) + n); });
  return true;
}

void Gauge::set_to_current_time() const noexcept {
  set(std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count());
}

void Gauge::unset() const noexcept {
  if (detail::is_dropped(series_.cell)) return;
  if (shm::SharedWord* shared = shared_word(series_.registry, series_.cell)) return shared->store_relaxed(0);
  const Attachment* const attachment = Attachment::at(series_.registry);
  if (attachment == nullptr) return;
  shm::SharedWord* const cells = attachment->entry.open_cells(series_.cell + shm::kGaugeCells - 1);
  if (cells == nullptr) return;                             // this process has set nothing here
  cells[series_.cell + shm::kGaugeValue].store_relaxed(0);  // first, or a later inc() would begin from the old value
  SHMETRICS_FAILPOINT(gauge_value_stored);
  cells[series_.cell + shm::kGaugeStamp].store_release(0);
  SHMETRICS_FAILPOINT(gauge_stamp_stored);
}

void Histogram::observe(double value) const noexcept {
  if (series_.family == nullptr) return;
  // Native, or refused. A classic histogram's loop over its bounds begins with this question anyway.
  if (series_.family->compared_bounds == 0) [[unlikely]]
    return observe_native(series_, value);
  observe_in(series_, bucket_of(*series_.family, value), value);
}

void Histogram::observe(double value, const Exemplar& exemplar) const noexcept {
  observe(value);
  if (series_.family == nullptr || std::isnan(value)) return;
  const detail::FamilyState& family = *series_.family;
  if (!family.schema.is_native) return detail::keep_exemplar(series_, bucket_of(family, value), value, exemplar);
  if (value >= 0) detail::keep_exemplar(series_, family.window.cell_of(value), value, exemplar);
}

void Summary::observe(double value) const noexcept {
  if (series_.family != nullptr) observe_in(series_, 0, value);
}

}  // namespace shmetrics
