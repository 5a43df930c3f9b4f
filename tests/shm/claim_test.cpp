// Entries and slots, with the processes and kills that they are made for.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cmath>

#include "shm/lock_byte.hpp"
#include "shm/naming.hpp"
#include "shm/segment.hpp"
#include "shm/slot.hpp"
#include "shm/worker_entry.hpp"
#include "tests/forked.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics::shm {
namespace {

/// A small segment, mapped writable as a whole: these tests play all parts.
class ClaimTest : public ::testing::Test {
 protected:
  ClaimTest() : opened_(open_or_create(path_, {{4, 8, 2 * kGrowthCells, kPageBytes}, 0600, {}})) {
    void* base =
        mmap(nullptr, opened_.geometry.file_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, opened_.file.get(), 0);
    view_ = SegmentView(static_cast<std::byte*>(base), opened_.geometry);
  }
  ~ClaimTest() override { munmap(view_.base(), opened_.geometry.file_bytes()); }

  SegmentFile file() const { return {opened_.file.get(), path_.c_str(), opened_.id}; }
  std::optional<EntryClaim> claim(SegmentFile file) {
    BegunClaim begun(view_, file);
    return begun ? begun.finish() : std::nullopt;
  }
  std::optional<EntryClaim> claim() { return claim(file()); }
  bool live(std::uint32_t worker) const { return probe(opened_.file.get(), live_byte(worker)) == Held::kYes; }

  /// A child that claims, tells so, and stays until it is killed.
  pid_t worker(const tests::Baton& claimed) {
    return tests::forked([&] {
      const auto own = claim();
      if (!own) return 1;
      if (has_counted_) mark_counted(view_, own->worker);
      claimed.pass();
      for (;;) pause();
    });
  }

  tests::TemporaryFolder folder_;
  std::string path_ = folder_.file("a.seg");
  OpenedSegment opened_;
  SegmentView view_;
  bool has_counted_ = true;  // workers update something
};

TEST_F(ClaimTest, AClaimIsLiveUntilItsProcessIsKilled) {
  const tests::Baton claimed;
  const pid_t child = worker(claimed);
  claimed.receive();
  EXPECT_TRUE(live(0));
  EXPECT_EQ(view_.worker(0).epoch.load_acquire(), 2u);
  EXPECT_EQ(view_.worker(0).pid.load_relaxed(), static_cast<std::uint64_t>(child));
  tests::kill_and_wait(child);
  EXPECT_FALSE(live(0));
}

TEST_F(ClaimTest, TheNextOwnerAdoptsAndCountsTheDeath) {
  const tests::Baton claimed;
  for (int generation = 0; generation < 3; ++generation) {
    const pid_t child = worker(claimed);
    claimed.receive();
    tests::kill_and_wait(child);
  }
  const WorkerEntry& entry = view_.worker(0);
  EXPECT_EQ(entry.epoch.load_relaxed(), 6u);
  EXPECT_EQ(entry.adoptions.load_relaxed(), 2u);
  EXPECT_EQ(entry.deaths.load_relaxed(), 2u) << "the last one's is counted by its adopter";
  EXPECT_EQ(view_.worker(1).epoch.load_relaxed(), 0u) << "used entries come first";
}

TEST_F(ClaimTest, AnOwnerThatNeverUpdatedLeavesNoDeathAndNoAdoption) {
  has_counted_ = false;
  const tests::Baton claimed;
  for (int generation = 0; generation < 2; ++generation) {
    const pid_t child = worker(claimed);
    claimed.receive();
    tests::kill_and_wait(child);
  }
  const WorkerEntry& entry = view_.worker(0);
  EXPECT_EQ(entry.epoch.load_relaxed(), 4u);
  EXPECT_EQ(entry.adoptions.load_relaxed() + entry.deaths.load_relaxed(), 0u);
  has_counted_ = true;
  const pid_t child = worker(claimed);
  claimed.receive();
  tests::kill_and_wait(child);
  ASSERT_TRUE(claim());
  EXPECT_EQ(entry.counted.load_relaxed(), 0u) << "the next owner has not counted yet";
  EXPECT_EQ(entry.deaths.load_relaxed(), 1u);
}

TEST_F(ClaimTest, AnOrderlyEndIsNoDeath) {
  EXPECT_EQ(tests::wait_for(tests::forked([&] {
              const auto own = *claim();
              mark_counted(view_, own.worker);
              release_entry(view_, own);
              return 0;
            })),
            0);
  ASSERT_TRUE(claim());
  EXPECT_EQ(view_.worker(0).deaths.load_relaxed(), 0u);
  EXPECT_EQ(view_.worker(0).released.load_relaxed(), 0u);
}

TEST_F(ClaimTest, EntriesRunOutWithoutHarm) {
  const tests::Baton claimed;
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) children.push_back(worker(claimed));
  claimed.receive(4);
  EXPECT_FALSE(claim());
  tests::kill_and_wait(children[2]);
  EXPECT_TRUE(claim());
  for (const pid_t child : {children[0], children[1], children[3]}) tests::kill_and_wait(child);
}

TEST_F(ClaimTest, AChildDoesNotKeepItsDeadParentAlive) {
  const tests::Baton claimed;
  int grandchild[2];
  ASSERT_EQ(pipe(grandchild), 0);
  const pid_t parent = tests::forked([&] {
    if (!claim()) return 1;
    const pid_t child = fork();
    if (child == 0) {
      for (;;) pause();
    }
    if (write(grandchild[1], &child, sizeof child) != sizeof child) return 1;
    claimed.pass();
    for (;;) pause();
  });
  claimed.receive();
  pid_t survivor = 0;
  ASSERT_EQ(read(grandchild[0], &survivor, sizeof survivor), static_cast<ssize_t>(sizeof survivor));
  tests::kill_and_wait(parent);
  EXPECT_EQ(kill(survivor, 0), 0) << "the grandchild is there";
  EXPECT_FALSE(live(0));
  kill(survivor, SIGKILL);
}

TEST_F(ClaimTest, TheLockNeedsNoDescriptor) {
  const tests::Baton claimed;
  const pid_t child = tests::forked([&] {
    if (!claim()) return 1;
    for (int fd = 3; fd < 64; ++fd) {
      const bool baton = fcntl(fd, F_GETFL) >= 0 && file_id(fd) != opened_.id;
      if (!baton) close(fd);
    }
    claimed.pass();
    for (;;) pause();
  });
  claimed.receive();
  EXPECT_TRUE(live(0));
  tests::kill_and_wait(child);
}

TEST_F(ClaimTest, AClaimerKilledAtAnOddEpochIsRepairedByTheNext) {
  view_.worker(0).epoch.store_relaxed(5);
  const auto next = claim();
  ASSERT_TRUE(next);
  EXPECT_EQ(next->worker, 0u);
  EXPECT_EQ(next->epoch, 6u);
}

TEST_F(ClaimTest, AForeignLockOnALiveByteCostsOneEntryAndNoDeath) {
  view_.worker(0).epoch.store_relaxed(2);
  mark_counted(view_, 0);
  for (const short kind : {short{F_RDLCK}, short{F_WRLCK}}) {
    const Descriptor foreign(open(path_.c_str(), O_RDWR | O_CLOEXEC));
    struct flock lock {};
    lock.l_type = kind;
    lock.l_start = static_cast<off_t>(live_byte(0));
    lock.l_len = 1;
    ASSERT_EQ(fcntl(foreign.get(), F_OFD_SETLK, &lock), 0);
    const tests::Baton claimed;
    const pid_t child = worker(claimed);
    claimed.receive();
    EXPECT_EQ(view_.worker(1).pid.load_relaxed(), static_cast<std::uint64_t>(child));
    tests::kill_and_wait(child);
  }
  EXPECT_EQ(view_.worker(0).epoch.load_relaxed(), 2u) << "untouched";
  EXPECT_EQ(view_.worker(0).deaths.load_relaxed(), 0u);
}

TEST_F(ClaimTest, ASpareDescriptorAloneIsEnoughToClaim) {
  // As after the application closed the other, and this process may not open the file any more.
  Descriptor spare = reopen(opened_.file.get(), path_.c_str(), opened_.id);
  SegmentFile hidden{-1, "/nowhere/at/all.seg", opened_.id, &spare};
  const auto own = claim(hidden);
  ASSERT_TRUE(own);
  EXPECT_TRUE(live(own->worker));
}

TEST_F(ClaimTest, AClaimThatIsNotFinishedIsGivenUp) {
  ASSERT_TRUE(BegunClaim(view_, file()));
  EXPECT_EQ(view_.worker(0).epoch.load_relaxed() % 2, 1u) << "no reader takes it for claimed";
  EXPECT_FALSE(other_worker_alive(opened_.file.get(), std::nullopt)) << "and nobody holds it";
  const auto next = claim();
  ASSERT_TRUE(next);
  EXPECT_EQ(next->worker, 0u);
}

TEST_F(ClaimTest, AForeignDescriptorDeclaresNobodyDead) {
  const auto self = claim();
  ASSERT_TRUE(self);
  view_.slot(0).owner.store_relaxed(EntryClaim{2, 4}.owner_word());
  view_.worker(2).epoch.store_relaxed(4);
  const Descriptor foreign(open("/dev/null", O_RDWR | O_CLOEXEC));
  const SegmentFile swapped{foreign.get(), path_.c_str(), opened_.id};
  EXPECT_EQ(claim_thread_slot(view_, *self, swapped), 1u);
}

TEST_F(ClaimTest, AThreadSlotOfTheDeadIsTakenBeforeAVirginOne) {
  const tests::Baton claimed;
  const pid_t child = tests::forked([&] {
    const auto entry = claim();
    if (!entry || claim_thread_slot(view_, *entry, file()) != 0u) return 1;
    claimed.pass();
    for (;;) pause();
  });
  claimed.receive();
  const auto self = claim();
  ASSERT_TRUE(self);
  EXPECT_EQ(claim_thread_slot(view_, *self, file()), 1u) << "slot 0 belongs to a living process";
  tests::kill_and_wait(child);
  EXPECT_EQ(claim_thread_slot(view_, *self, file()), 0u);
}

TEST_F(ClaimTest, WithoutADescriptorNobodyIsDeclaredDead) {
  const auto self = claim();
  ASSERT_TRUE(self);
  view_.slot(0).owner.store_relaxed(EntryClaim{2, 4}.owner_word());
  view_.worker(2).epoch.store_relaxed(4);
  EXPECT_EQ(claim_thread_slot(view_, *self, SegmentFile{-1, path_.c_str(), opened_.id}), 1u);
  view_.worker(2).epoch.store_relaxed(6);
  EXPECT_EQ(claim_thread_slot(view_, *self, SegmentFile{-1, path_.c_str(), opened_.id}), 0u)
      << "an epoch that moved on is proof enough";
}

TEST_F(ClaimTest, SlotsRunOutWithoutHarm) {
  const auto self = claim();
  ASSERT_TRUE(self);
  for (std::uint32_t i = 0; i < 8; ++i) EXPECT_EQ(claim_thread_slot(view_, *self, file()), i);
  EXPECT_FALSE(claim_thread_slot(view_, *self, file()));
}

TEST_F(ClaimTest, AnOwnerThatCannotExistIsDead) {
  const auto self = claim();
  ASSERT_TRUE(self);
  view_.slot(0).owner.store_relaxed(0xffff000000000002);
  EXPECT_EQ(claim_thread_slot(view_, *self, file()), 0u);
}

TEST_F(ClaimTest, AdoptionCompletesAnInterruptedObservation) {
  SharedWord* const cells = view_.thread_cells(3);
  const std::uint32_t histogram = kPrefixCells;
  observe(cells, histogram, 1, 2.5);
  // As a kill between the odd word and the bucket leaves it.
  SlotPrefix& prefix = view_.prefix(cells);
  prefix.redo_position.store_relaxed(histogram | std::uint64_t{histogram + kHistogramBuckets} << 32);
  prefix.redo_bucket.store_relaxed(1);
  prefix.redo_sum.store_double_relaxed(3.5);
  cells[histogram].store_relaxed(3);
  for (int repeated = 0; repeated < 2; ++repeated) complete_redo(cells, kGrowthCells);
  EXPECT_EQ(cells[histogram + kHistogramSequence].load_relaxed(), 4u);
  EXPECT_EQ(cells[histogram + kHistogramBuckets].load_relaxed(), 1u);
  EXPECT_EQ(cells[histogram + kHistogramBuckets + 1].load_relaxed(), 1u);
  EXPECT_EQ(cells[histogram + kHistogramSum].load_double_relaxed(), 3.5);
}

TEST_F(ClaimTest, ARedoRecordThatLeadsAstrayIsLeftAlone) {
  SharedWord* const cells = view_.thread_cells(3);
  SlotPrefix& prefix = view_.prefix(cells);
  const std::uint64_t astray[] = {0,
                                  kPrefixCells,
                                  kPrefixCells | std::uint64_t{kGrowthCells} << 32,
                                  ~std::uint64_t{0},
                                  kPrefixCells | std::uint64_t{kPrefixCells + 1} << 32,
                                  3 | std::uint64_t{20} << 32};
  for (const std::uint64_t position : astray) {
    prefix.redo_position.store_relaxed(position);
    prefix.redo_bucket.store_relaxed(77);
    cells[kPrefixCells].store_relaxed(1);
    complete_redo(cells, kGrowthCells);
    EXPECT_EQ(cells[kPrefixCells].load_relaxed(), 1u) << position;
  }
}

TEST_F(ClaimTest, NewOwnersResetGaugesByTheirMode) {
  const GaugeMode modes[] = {GaugeMode::kLivesum, GaugeMode::kSum,        GaugeMode::kMin,   GaugeMode::kMax,
                             GaugeMode::kAll,     GaugeMode::kMostrecent, GaugeMode::kShared};
  SharedWord* const slot = view_.process_cells(1);
  SharedWord* const spill = view_.gauge_spill_cells();
  std::vector<GaugeCells> gauges;
  for (std::uint32_t i = 0; i < std::size(modes); ++i)
    gauges.push_back({i * kGaugeCells, kGaugeCells, claim_action(MetricType::kGauge, modes[i])});
  const auto set_all = [&](double value) {
    for (const GaugeCells& gauge : gauges) {
      slot[gauge.first_cell + kGaugeValue].store_double_relaxed(value);
      slot[gauge.first_cell + kGaugeStamp].store_release(1);
    }
  };
  const auto reset = [&] { reset_gauges(slot, kGrowthCells, spill, kGrowthCells, gauges); };
  const auto value = [&](SharedWord* cells, int i) { return cells[i * 2 + kGaugeValue].load_double_relaxed(); };
  const auto is_set = [&](int i) { return slot[i * 2 + kGaugeStamp].load_relaxed() != 0; };

  for (const double found : {3.0, 0.0, 2.0}) {
    set_all(found);
    reset();
    reset();  // a claimer killed in the middle is followed by another
  }
  EXPECT_FALSE(is_set(0)) << "live gauges start anew";
  EXPECT_TRUE(is_set(1));
  EXPECT_EQ(value(slot, 1), 2.0) << "sum goes on from what it finds";
  EXPECT_FALSE(is_set(2));
  EXPECT_EQ(value(spill, 2), 0.0);
  EXPECT_TRUE(std::signbit(value(spill, 2))) << "zero is told from unset";
  EXPECT_EQ(value(spill, 3), 3.0);
  EXPECT_FALSE(is_set(4));
  EXPECT_EQ(value(slot, 5), 2.0) << "mostrecent goes on";
}

TEST_F(ClaimTest, AnotherWorkerIsSeenWhereverItSits) {
  const int fd = opened_.file.get();
  EXPECT_FALSE(other_worker_alive(fd, std::nullopt));
  const auto self = claim();
  ASSERT_TRUE(self);
  EXPECT_TRUE(other_worker_alive(fd, std::nullopt));
  EXPECT_FALSE(other_worker_alive(fd, self->worker));
  const tests::Baton claimed;
  const pid_t child = worker(claimed);
  claimed.receive();
  EXPECT_TRUE(other_worker_alive(fd, self->worker));
  tests::kill_and_wait(child);
}

}  // namespace
}  // namespace shmetrics::shm
