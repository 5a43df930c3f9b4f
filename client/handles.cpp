// Updates: handles in, cells out.
#include <time.h>

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

void observe_slow(const detail::FamilyState& family, std::uint32_t registry, std::uint32_t cell, std::uint32_t bucket,
                  double value) noexcept {
  if (std::isnan(value)) return detail::refuse(registry, cell, detail::Refusal::nan);
  if (detail::is_dropped(cell)) return family.attachment->drop(cell);
  // Of a test's segment that is gone, while another one has its number.
  if (Attachment::at(registry) != family.attachment) return;
  const detail::SlowPath slow;
  const std::uint32_t last_cell = cell + shm::kHistogramBuckets + family.bound_count;
  if (shm::SharedWord* own = detail::own_cells(*family.attachment, last_cell)) {
    shm::observe(own, cell, bucket, value);
  } else if (shm::SharedWord* spill = family.attachment->mapping.spill_cells(last_cell)) {
    shm::observe_shared(spill, cell, bucket, value);
  }
}

// A summary has no bounds, so its only count is where the +Inf bucket would be.
inline void observe_in(const detail::FamilyState& family, std::uint32_t registry, std::uint32_t cell,
                       std::uint32_t bucket, double value) noexcept {
  const std::uint32_t last_cell = cell + shm::kHistogramBuckets + family.bound_count;
  const detail::ThreadSlot& slot = detail::thread_slots[registry];
  if (last_cell >= slot.limit || std::isnan(value)) [[unlikely]] {
    return observe_slow(family, registry, cell, bucket, value);
  }
  shm::observe(reinterpret_cast<shm::SharedWord*>(slot.cells), cell, bucket, value);
}

// The bucket of a finite number that is not negative. What is below the least normal number is by its exponent below
// every low border.
inline std::uint32_t native_bucket_of(const detail::FamilyState& family, std::uint64_t bits) noexcept {
  const std::int32_t key = shm::coarser_native_key(shm::finest_native_key(bits), family.native_steps);
  return static_cast<std::uint32_t>(
      std::clamp(key - family.native_low_key, 0, static_cast<std::int32_t>(family.bound_count)));
}

// The same of any number that is not refused.
std::uint32_t any_native_bucket_of(const detail::FamilyState& family, double value) noexcept {
  const auto bits = std::bit_cast<std::uint64_t>(value + 0.0);  // without the sign of -0
  return std::isinf(value) ? family.bound_count : native_bucket_of(family, bits);
}

void observe_native_slow(const detail::FamilyState& family, std::uint32_t registry, std::uint32_t cell,
                         double value) noexcept {
  if (family.is_native && value < 0) return detail::refuse(registry, cell, detail::Refusal::negative);
  observe_slow(family, registry, cell, any_native_bucket_of(family, value), value);
}

// Not inlined: a classic observation would take 12 instructions more, for registers.
[[gnu::noinline]] void observe_native(const detail::FamilyState& family, std::uint32_t registry, std::uint32_t cell,
                                      double value) noexcept {
  constexpr std::uint64_t kInfinite = 0x7ff0000000000000;  // infinity, NaN, and all with a sign are not below it
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const std::uint32_t last_cell = cell + shm::kHistogramBuckets + family.bound_count;
  const detail::ThreadSlot& slot = detail::thread_slots[registry];
  if (last_cell >= slot.limit || bits >= kInfinite) [[unlikely]] {
    return observe_native_slow(family, registry, cell, value);
  }
  shm::observe(reinterpret_cast<shm::SharedWord*>(slot.cells), cell, native_bucket_of(family, bits), value);
}

// When a gauge was set, by a clock that all processes share and that never goes back; 1 if the mode does not need it.
std::uint64_t stamp_for(const detail::FamilyState& family) noexcept {
  if (family.gauge_mode != shm::GaugeMode::kMostrecent && family.gauge_mode != shm::GaugeMode::kLivemostrecent)
    return 1;
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

// The attachment of a handle whose updates have a place. Null: they have none, and are counted if they should have one.
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
  // Of any other gauge the number wraps around, and leads to no attachment.
  Attachment* const attachment = attachment_of(registry - detail::kMaxRegistries, cell);
  if (attachment == nullptr) return nullptr;
  shm::SharedWord* const cells = attachment->mapping.shared_gauge_cells(cell + shm::kGaugeValue);
  return cells == nullptr ? nullptr : cells + cell + shm::kGaugeValue;
}

// The value is there: shows it. Another thread's later stamp stays, for it is the later value that is there.
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
  if (values.size() != family->labels.size()) return refuse_labels(*family, values.size());
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
  if (shm::SharedWord* gauge = gauge_cells(registry_, cell_)) {
    gauge[shm::kGaugeValue].store_double_relaxed(value);
    stamp(gauge, *family_);
  } else if (shm::SharedWord* shared = shared_word(registry_, cell_)) {
    shared->store_relaxed(shm::spilled(value));
  }
}

bool Gauge::add(double n) const noexcept {
  if (shm::SharedWord* gauge = gauge_cells(registry_, cell_)) {
    gauge[shm::kGaugeValue].add_double_relaxed(n);
    stamp(gauge, *family_);
    return true;
  }
  shm::SharedWord* const shared = shared_word(registry_, cell_);
  if (shared == nullptr) return false;
  shared->update_relaxed([n](std::uint64_t bits) { return shm::spilled(std::bit_cast<double>(bits) + n); });
  return true;
}

void Gauge::set_to_current_time() const noexcept {
  set(std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count());
}

void Gauge::unset() const noexcept {
  if (detail::is_dropped(cell_)) return;
  if (shm::SharedWord* shared = shared_word(registry_, cell_)) return shared->store_relaxed(0);
  const Attachment* const attachment = Attachment::at(registry_);
  if (attachment == nullptr) return;
  shm::SharedWord* const cells = attachment->entry.open_cells(cell_ + shm::kGaugeCells - 1);
  if (cells == nullptr) return;                      // this process has set nothing here
  cells[cell_ + shm::kGaugeValue].store_relaxed(0);  // first, or a later inc() would begin from the old value
  SHMETRICS_FAILPOINT(gauge_value_stored);
  cells[cell_ + shm::kGaugeStamp].store_release(0);
  SHMETRICS_FAILPOINT(gauge_stamp_stored);
}

void Histogram::observe(double value) const noexcept {
  if (family_ == nullptr) return;
  // Native, or refused. A classic histogram's loop over its bounds begins with this question anyway.
  if (family_->compared_bounds == 0) [[unlikely]]
    return observe_native(*family_, registry_, cell_, value);
  observe_in(*family_, registry_, cell_, bucket_of(*family_, value), value);
}

void Histogram::observe(double value, const Exemplar& exemplar) const noexcept {
  observe(value);
  const bool is_refused = family_ == nullptr || std::isnan(value) || (family_->is_native && value < 0);
  if (is_refused) return;
  const std::uint32_t bucket = !family_->is_native ? bucket_of(*family_, value) : any_native_bucket_of(*family_, value);
  detail::keep_exemplar({registry_, cell_, family_}, bucket, value, exemplar);
}

void Summary::observe(double value) const noexcept {
  if (series_.family != nullptr) observe_in(*series_.family, series_.registry, series_.cell, 0, value);
}

}  // namespace shmetrics
