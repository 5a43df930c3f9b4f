// How slots, entries and gauges go from one owner to the next. Claims are the code itself; the kernel's locks are words
// here. What SnapshotReader does with a worker entry is written anew, with the orders of its copy_worker().
#include <sys/mman.h>

#include "collector/cell_reader.hpp"
#include "shm/slot.hpp"
#include "shm/worker_entry.cpp"
#include "tests/model/litmus/sequences.hpp"

namespace litmus {
namespace {

using namespace shmetrics::shm;  // most names here are its

constexpr Geometry kGeometry{.workers = 3, .thread_slots = 1, .cells = kGrowthCells, .directory_bytes = kPageBytes};
// Only addresses are computed from it.
const SegmentView kView{reinterpret_cast<std::byte*>(std::uintptr_t{1} << 32), kGeometry};
SharedWord locks[2 * kGeometry.workers];

SharedWord& lock_of(std::uint64_t byte) {
  return locks[byte - kClaimLocks];
}
bool is_free(std::uint64_t byte) {
  return load(&lock_of(byte), std::memory_order::seq_cst, {}) == 0;
}
bool take(std::uint64_t byte) {
  return exchange_if_equal(&lock_of(byte), 0, 1, std::memory_order::seq_cst, {});
}
/// The kernel drops both locks of an entry after the last store of its process.
void drop_locks(std::uint32_t worker) {
  after_death();
  store(&lock_of(claim_byte(worker)), 0, std::memory_order::seq_cst, {});
  store(&lock_of(live_byte(worker)), 0, std::memory_order::seq_cst, {});
}
int some_file() {
  static const int file = memfd_create("litmus", 0);
  return file;
}

void count(SharedWord& cell) {
  cell.store_relaxed(cell.load_relaxed() + 1);
}

/// A slot is given back, and two want it. Whoever has it counts in it by a load and a store.
class ReleaseSlot : public Sequence {
 public:
  void before() override {
    acknowledged_ = 0;
    for (std::uint32_t worker = 0; worker < kGeometry.workers; ++worker) kView.worker(worker).epoch.store_relaxed(2);
    kView.slot(0).owner.store_relaxed(EntryClaim{0, 2}.owner_word());
    kView.slot(0).cells_allocated.store_relaxed(kGrowthCells);
  }
  void run(unsigned thread) override {
    if (thread > 0) linger();
    if (thread > 0 && !claim_thread_slot(kView, {thread, 2}, {})) return;
    count(cell());
    count(cell());
    acknowledged_ += 2;
    give_back_slot();
  }
  void after() override { require(cell().load_relaxed() == acknowledged_, "each count is there"); }

 private:
  static SharedWord& cell() { return kView.thread_cells(0)[kPrefixCells]; }
  static void give_back_slot() { kView.slot(0).owner.store_release(0); }
  std::uint64_t acknowledged_ = 0;
};

void set_gauge(std::uint32_t worker, std::uint64_t stamp, double value) {
  SharedWord* const cells = kView.process_cells(worker);
  cells[kGaugeValue].store_double_relaxed(value);
  cells[kGaugeStamp].store_release(stamp);
}

/// A worker that has set its gauge to 50 at stamp 5. The other entries are taken.
void begin_with_owner(bool is_alive) {
  WorkerEntry& entry = kView.worker(0);
  entry.epoch.store_relaxed(2);
  entry.counted.store_relaxed(1);
  lock_of(claim_byte(0)).store_relaxed(is_alive);
  lock_of(live_byte(0)).store_relaxed(is_alive);
  for (std::uint32_t worker = 1; worker < kGeometry.workers; ++worker) lock_of(claim_byte(worker)).store_relaxed(1);
  set_gauge(0, 5, 50);
}

/// Entry 0, from its dead owner's last set to its next owner's first.
std::optional<EntryClaim> claim_entry_0(ClaimAction action) {
  if (!is_free(claim_byte(0))) return std::nullopt;
  BegunClaim begun(kView, {.kept_fd = some_file()});
  if (!begun) return std::nullopt;
  // As ProcessEntry::prepare does.
  const GaugeCells gauge{0, kGaugeCells, action};
  reset_gauges(kView.process_cells(begun.worker()), kGrowthCells, kView.gauge_spill_cells(), kGrowthCells, {&gauge, 1});
  return begun.finish();
}

struct GaugeSeen {
  std::uint64_t epoch = 0;
  bool is_settled = false;
  bool is_live = false;
  bool has_moved = false;
  shmetrics::collector::GaugeCopy gauge;
};
GaugeSeen copy_worker() {
  const WorkerEntry& entry = kView.worker(0);
  GaugeSeen seen;
  seen.epoch = entry.epoch.load_acquire();
  const bool is_released = entry.released.load_acquire() != 0;
  seen.is_live = seen.epoch % 2 == 0 && !is_released && !is_free(live_byte(0));
  seen.gauge = shmetrics::collector::copy_gauge(kView.process_cells(0));
  std::atomic_thread_fence(std::memory_order_acquire);
  seen.has_moved = entry.epoch.load_relaxed() != seen.epoch;
  seen.is_settled = seen.epoch % 2 == 0 && !seen.has_moved;
  return seen;
}

/// A gauge of the living, whose worker is dead when the entry is claimed.
class ClaimEntry : public Sequence {
 public:
  void before() override { begin_with_owner(false); }
  void run(unsigned thread) override {
    if (thread == 0) {
      const auto claim = claim_entry_0(ClaimAction::kZero);
      require(claim && claim->epoch == 4, "an epoch is used once");
      set_gauge(0, 7, 70);
      return;
    }
    linger();
    const GaugeSeen seen = copy_worker();
    if (seen.gauge.stamp == 0 || !seen.is_settled || !seen.is_live) return;
    require(seen.gauge.stamp == 7 && seen.gauge.value == 70,
            "a gauge that counts as alive is the one of the owner that lives");
  }
  void after() override { require(kView.worker(0).deaths.load_relaxed() == 1, "a death counts once"); }
};

/// A `max` gauge is folded into the spill before it is reset, and set anew: a reader, who looks there last, never loses
/// it.
class FoldGauge : public Sequence {
 public:
  void before() override { begin_with_owner(false); }
  void run(unsigned thread) override {
    if (thread == 0) {
      // With the stamp from before: min and max stamp everything alike.
      if (claim_entry_0(ClaimAction::kFoldMax)) set_gauge(0, 5, 40);
      return;
    }
    linger();
    GaugeSeen seen = copy_worker();
    for (int attempt = 1; seen.has_moved && attempt < 3; ++attempt) seen = copy_worker();
    require(!seen.has_moved, "an epoch that moves twice is seen in three copies");
    std::atomic_thread_fence(std::memory_order_acquire);
    const double folded = kView.gauge_spill_cells()[kGaugeValue].load_double_relaxed();
    const double shown = seen.gauge.stamp == 0 ? 50 : seen.gauge.value;
    require(shown == 50 || shown == 40, "a gauge that is reset shows no 0");
    require((seen.gauge.stamp != 0 && shown == 50) || folded == 50, "a folded gauge is in one place or the other");
  }
};

/// A gauge that one thread sets and a reader copies.
class SetGauge : public Sequence {
 public:
  void run(unsigned thread) override {
    if (thread == 0) {
      for (const std::uint64_t i : {1, 2, 3}) set_gauge(0, i, static_cast<double>(i));
      return;
    }
    for (int i = 0; i < 2; ++i) {
      const auto seen = shmetrics::collector::copy_gauge(kView.process_cells(0));
      require(seen.value >= static_cast<double>(seen.stamp), "a value is as new as its stamp, or newer");
    }
  }
};

/// A dead worker's slot is taken by one who sees nothing but that another has its entry.
class ClaimByEpoch : public Sequence {
 public:
  void before() override {
    begin_with_owner(true);
    kView.slot(0).owner.store_relaxed(EntryClaim{0, 2}.owner_word());
    kView.slot(0).cells_allocated.store_relaxed(kGrowthCells);
  }
  void run(unsigned thread) override {
    if (thread == 0) {
      count(cell());
      count(cell());
      drop_locks(0);
      return;
    }
    linger();
    if (thread == 1) {
      static_cast<void>(claim_entry_0(ClaimAction::kLeave));
    } else if (claim_thread_slot(kView, {2, 2}, {})) {
      require(cell().load_relaxed() == 2, "who takes a slot goes on with what its owner counted");
    }
  }

 private:
  static SharedWord& cell() { return kView.thread_cells(0)[kPrefixCells]; }
};

/// An orderly end: `released` comes after the last update.
class Release : public Sequence {
 public:
  void run(unsigned thread) override {
    if (thread == 0) {
      cell_.store_relaxed(1);
      release_entry(kView, {0, 2});
      return;
    }
    if (kView.worker(0).released.load_acquire() == 0) return;
    require(cell_.load_relaxed() == 1, "who sees that a worker has released sees its last update");
  }

 private:
  mutable SharedWord cell_;
};

template <typename T>
std::unique_ptr<Sequence> make() {
  return std::make_unique<T>();
}

}  // namespace

// README.md has the reasons.
constexpr std::string_view kSpareInSet[] = {"copy_gauge: acquire fence"};
constexpr std::string_view kSpareInClaim[] = {
    "copy_worker: acquire load 1", "copy_worker: acquire load 2", "copy_worker: acquire fence",
    "copy_gauge: acquire fence",   "begin: release store",        "begin: full fence",
    "finish: release store",       "reset_gauges: release store", "reset_gauges: release fence",
};
constexpr std::string_view kSpareInFold[] = {
    "copy_worker: acquire load 1", "copy_worker: acquire load 2", "begin: release store",
    "begin: full fence",           "finish: release store",       "run: acquire fence",
};
constexpr std::string_view kSpareInSlot[] = {"claim_thread_slot: acquire load", "is_dead: acquire load"};
constexpr std::string_view kSpareByEpoch[] = {
    "set_gauge: release store", "claim_thread_slot: acquire load", "claim_thread_slot: exchange",
    "begin: full fence",        "finish: release store",
};

std::span<const Named> handovers() {
  static constexpr Named kAll[] = {
      {"set gauge", 2, make<SetGauge>, kSpareInSet},
      {"claim entry", 2, make<ClaimEntry>, kSpareInClaim},
      {"fold gauge", 2, make<FoldGauge>, kSpareInFold},
      {"release slot, claim slot", 3, make<ReleaseSlot>, kSpareInSlot},
      {"claim slot by epoch", 3, make<ClaimByEpoch>, kSpareByEpoch},
      {"release", 2, make<Release>, {}},
  };
  return kAll;
}

}  // namespace litmus

// What the claim asks of the kernel.
namespace shmetrics::shm {
bool try_lock(int, std::uint64_t byte) noexcept {
  return litmus::take(byte);
}
bool can_lock(int, std::uint64_t byte) noexcept {
  return litmus::is_free(byte);
}
void unlock(int, std::uint64_t byte) noexcept {
  litmus::store(&litmus::lock_of(byte), 0, std::memory_order::seq_cst, {});
}
Held probe(int, std::uint64_t byte, std::uint64_t) noexcept {
  return litmus::is_free(byte) ? Held::kNo : Held::kYes;
}
bool keep_from_children(void* pages, std::size_t bytes) noexcept {
  return munmap(pages, bytes) == 0;
}  // no pin here
Descriptor reopen(int kept, const char*, FileId) noexcept {
  return Descriptor(dup(kept));
}
std::optional<FileId> file_id(int) noexcept {
  return FileId{};
}
}  // namespace shmetrics::shm
