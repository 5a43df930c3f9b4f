#include "client/registration.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "client/slow_path.hpp"
#include "shm/failpoint.hpp"
#include "shm/lock_byte.hpp"
#include "shm/slot.hpp"

namespace shmetrics::detail {
namespace {

std::uint64_t unix_now_ns() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

/// The directory's lock, for one append. The control lock is held around it.
class DirectoryLock {
 public:
  DirectoryLock(Attachment& attachment, Deadline& deadline) : attachment_(attachment) {
    const shm::SegmentFile file = attachment.file();
    file_ = shm::reopen(file.kept_fd, file.path, file.id);
    held_ = file_ && wait_until(
                         deadline, [this] { return shm::try_lock(file_.get(), shm::kDirectoryLock); },
                         [&] { return attachment.view.directory().committed.load_relaxed(); });
    if (held_) SHMETRICS_FAILPOINT(append_locked);
  }
  ~DirectoryLock() {
    // Explicitly: should a fork have slipped in, the child's copy of the descriptor must not keep the lock.
    if (held_) shm::unlock(file_.get(), shm::kDirectoryLock);
    SHMETRICS_FAILPOINT(append_unlocked);
  }
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

  explicit operator bool() const { return held_; }
  bool is_opened() const { return static_cast<bool>(file_); }
  const shm::Descriptor& descriptor() const { return file_; }
  /// For taking memory; by no path, since the lock's own descriptor is there.
  shm::SegmentFile file() const { return {file_.get(), "", attachment_.id}; }
  const std::string& path() const { return attachment_.path; }

 private:
  const Attachment& attachment_;
  shm::Descriptor file_;
  shm::InLockWindow window_{file_};
  bool held_ = false;
};

/// [offset, offset + bytes) of the file, mapped writable with its memory allocated. Full memory is an exception here,
/// where a touch would be SIGBUS. Throws shm::Error.
class AllocatedRange {
 public:
  AllocatedRange(const DirectoryLock& lock, std::uint64_t offset, std::uint64_t bytes)
      : begin_(offset % shm::kPageBytes),
        pages_(shm::map(lock.descriptor(), boost::interprocess::read_write, offset - begin_, begin_ + bytes,
                        lock.path())) {
    auto* const from = static_cast<std::byte*>(pages_.get_address());
    if (!shm::keep_from_children(from, pages_.get_size()) ||
        !shm::take_memory(from, from + pages_.get_size(), offset - begin_, lock.file())) {
      throw shm::from_errno(ENOSPC, "no memory left for " + lock.path());
    }
  }
  void* address() const { return static_cast<std::byte*>(pages_.get_address()) + begin_; }

 private:
  std::uint64_t begin_;
  boost::interprocess::mapped_region pages_;
};

// Every committed series has a home in the spill before it is committed.
void grow_spill(Attachment& attachment, const DirectoryLock& lock, std::uint32_t slot, std::uint64_t cells_at,
                std::uint32_t end) {
  if (end == 0) return;
  const shm::Geometry& geometry = attachment.view.geometry();
  const std::uint32_t wanted = shm::cells_to_hold(end - 1, geometry);
  shm::SharedWord& allocated = attachment.view.slot(slot).cells_allocated;
  const std::uint64_t have = std::min<std::uint64_t>(allocated.load_acquire(), geometry.cells);
  if (wanted <= have) return;
  const AllocatedRange cells(lock, cells_at + have * 8, (wanted - have) * 8);
  SHMETRICS_FAILPOINT(append_spill_allocated);
  allocated.raise_to_release(wanted);
  SHMETRICS_FAILPOINT(append_spill_said);
}

// Appends one record behind the committed ones. `cells` is the cursor behind the record's own cells.
void append(Attachment& attachment, const DirectoryLock& lock, const std::string& record,
            const shm::CellCursor& cells) {
  const shm::Geometry& geometry = attachment.view.geometry();
  const std::uint64_t begin = attachment.mirror.position();
  const std::uint64_t end = begin + record.size();
  if (end > geometry.directory_bytes) {
    throw shm::Error(shm::Fault::kFull, attachment.path + " has a directory of " +
                                            std::to_string(geometry.directory_bytes) + " bytes, this needs " +
                                            std::to_string(end) + ": raise Options::directory_bytes");
  }
  if (std::max(cells.thread_cells, cells.process_cells) > geometry.cells) {
    throw shm::Error(shm::Fault::kFull,
                     attachment.path + " has " + std::to_string(geometry.cells) + " cells a slot, this needs " +
                         std::to_string(std::max(cells.thread_cells, cells.process_cells)) + ": raise Options::cells");
  }
  grow_spill(attachment, lock, geometry.spill(), geometry.spill_cells(), cells.thread_cells);
  grow_spill(attachment, lock, geometry.gauge_spill(), geometry.gauge_spill_cells(), cells.process_cells);

  // The word that says how much is allocated is anybody's; the memory itself is what counts.
  if (!attachment.spill_holds(cells.thread_cells, cells.process_cells)) {
    throw shm::Error(shm::Fault::kFull, "no memory left for the spill of " + attachment.path);
  }
  const AllocatedRange tail(lock, geometry.directory() + begin, record.size());
  SHMETRICS_FAILPOINT(append_tail_allocated);
  std::memcpy(tail.address(), record.data(), record.size());
  SHMETRICS_FAILPOINT(append_record_written);
  const AllocatedRange head(lock, geometry.directory(), sizeof(shm::DirectoryHead));
  static_cast<shm::DirectoryHead*>(head.address())->committed.store_release(end);
  SHMETRICS_FAILPOINT(append_committed);
}

// Throws when the declaration cannot be: against a rule, or against what others have declared.
void check_names(Attachment& attachment, const shm::Schema& schema) {
  if (std::string problem = shm::refusal(schema); !problem.empty()) {
    throw shm::Error(shm::Fault::kInvalidArgument, problem);
  }
  const std::string other = attachment.mirror.claimant(shm::claimed_names(schema.type, schema.name), schema.name);
  if (!other.empty()) {
    throw shm::Error(shm::Fault::kInvalidArgument, shm::quoted(schema.name) + " would produce a name that " +
                                                       shm::quoted(other) + " already produces: choose another");
  }
}

// The family that stands for this declaration, or null when one has to be appended, in the place of `known` if that is
// set.
const FamilyState* find_declared(Attachment& attachment, const shm::Schema& schema, const FamilyState*& known) {
  known = attachment.mirror.family(schema.name);
  if (known == nullptr) return nullptr;
  const std::string difference = shm::schema_difference(known->schema(), schema);
  if (difference.empty()) return known;
  const auto self = attachment.claimed_entry();
  const auto own_worker = self ? std::optional(self->worker) : std::nullopt;
  if (known->declared_here || shm::other_worker_alive(attachment.file().kept_fd, own_worker)) {
    throw shm::Error(shm::Fault::kIncompatible, shm::quoted(schema.name) + " is declared " + difference +
                                                    " by live workers; restart them, or open with Start::fresh");
  }
  return nullptr;
}

void require(const DirectoryLock& lock, const Attachment& attachment) {
  if (lock) return;
  if (lock.is_opened()) {
    throw shm::Error(shm::Fault::kNotReady,
                     attachment.path + " is busy: its directory was locked for 100 ms, declare again");
  }
  throw shm::Error(shm::Fault::kRefused, attachment.path +
                                             " cannot be opened again (privileges dropped, or no descriptor left?): "
                                             "declare before that, or use Options::group with mode 0660");
}

std::uint32_t overflow(const FamilyState& family) noexcept {
  Attachment& attachment = *family.attachment;
  if (shm::SharedWord* spill = attachment.spill_cells(family.overflow_tally))
    spill[family.overflow_tally].add_relaxed(1);
  return family.in_process_slots() ? kDroppedCell : family.first_cell;
}

// Under the control lock. Nothing: no place for the series.
std::optional<std::uint32_t> find_or_append(const FamilyState& family, std::span<const std::string_view> values,
                                            Deadline& deadline) {
  Attachment& attachment = *family.attachment;
  const auto find = [&]() -> std::optional<std::uint32_t> {
    const std::uint32_t cell = attachment.mirror.series().find(family.offset, values);
    return cell == SeriesTable::kUnknown ? std::nullopt : std::optional(cell);
  };
  if (!attachment.refresh_directory()) return std::nullopt;
  if (const auto cell = find()) return cell;  // another process was first
  if (family.series_count >= family.series_limit) return std::nullopt;
  const DirectoryLock lock(attachment, deadline);
  if (!lock) {
    attachment.directory_breaker.strike();
    return std::nullopt;
  }
  attachment.directory_breaker.close();
  if (!attachment.refresh_directory()) return std::nullopt;
  if (const auto cell = find()) return cell;
  if (family.series_count >= family.series_limit) return std::nullopt;
  shm::CellCursor cells = attachment.mirror.cells();
  append(attachment, lock,
         shm::encode_series(family.offset, family.type, family.bound_count, values, unix_now_ns(), cells), cells);
  attachment.refresh_directory();
  return find();
}

}  // namespace

const FamilyState& declare_family(Attachment& attachment, const shm::Schema& schema, std::uint32_t series_limit,
                                  Deadline& deadline) {
  attachment.require_directory();
  check_names(attachment, schema);
  const FamilyState* known = nullptr;
  const FamilyState* found = find_declared(attachment, schema, known);
  if (found == nullptr) {
    const DirectoryLock lock(attachment, deadline);
    require(lock, attachment);
    attachment.require_directory();
    check_names(attachment, schema);
    found = find_declared(attachment, schema, known);
    if (found == nullptr) {
      shm::CellCursor cells = attachment.mirror.cells();
      const std::uint32_t limit = series_limit != 0 ? series_limit : attachment.series_per_family;
      const shm::FamilyPlacement placement{unix_now_ns(), limit, known != nullptr ? known->offset : 0};
      append(attachment, lock, shm::encode_family(schema, placement, cells), cells);
      attachment.require_directory();
      found = attachment.mirror.family(schema.name);
    }
  }
  if (found == nullptr)
    throw shm::Error(shm::Fault::kDamaged, attachment.path + " lost a record that was just written");
  found->declared_here = true;
  return *found;
}

std::uint32_t register_series(const FamilyState& family, std::span<const std::string_view> values) noexcept {
  const SlowPath slow;
  Attachment& attachment = *family.attachment;
  if (!std::all_of(values.begin(), values.end(), shm::is_valid_label_value)) return overflow(family);
  // Who names the overflow series gets it; a series of its own by that name would be there twice.
  if (std::all_of(values.begin(), values.end(), [](auto value) { return value == shm::kOverflowValue; })) {
    return overflow(family);
  }
  if (attachment.directory_breaker.is_open() || family.series_count >= family.series_limit) return overflow(family);
  Deadline deadline(kUpdatePatience);
  const ControlGuard control(deadline);
  if (!control)
    return overflow(family);  // threads of this process are busy registering: the next call may have more luck
  try {
    if (const auto cell = find_or_append(family, values, deadline)) return *cell;
  } catch (const std::exception&) {
    attachment.directory_breaker.open();  // full, or out of memory: no use in trying at every update
  }
  return overflow(family);
}

void count_refused_labels(const FamilyState& family) noexcept {
  overflow(family);
}

}  // namespace shmetrics::detail
