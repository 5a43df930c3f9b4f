#include "client/registration.hpp"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "shm/lock_byte.hpp"
#include "shm/slot.hpp"

namespace shmetrics::detail {
namespace {

using boost::interprocess::mapped_region;

std::uint64_t unix_now_ns() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

/// The directory's lock, for one append. The control lock is held around it.
class DirectoryLock {
 public:
  DirectoryLock(Attachment& attachment, Clock::time_point deadline) {
    const shm::SegmentFile file = attachment.file();
    file_ = shm::reopen(file.kept_fd, file.path, file.id);
    held_ = file_ && shm::lock_until(file_.get(), shm::kDirectoryLock, deadline);
  }
  ~DirectoryLock() {
    // Explicitly: should a fork have slipped in, the child's copy of the descriptor must not keep the lock.
    if (held_) shm::unlock(file_.get(), shm::kDirectoryLock);
  }
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

  explicit operator bool() const { return held_; }
  const shm::Descriptor& file() const { return file_; }

 private:
  shm::Descriptor file_;
  bool held_ = false;
};

// Maps [offset, offset + bytes) writable with its memory allocated. Full memory is an exception here, where a touch
// would be SIGBUS.
mapped_region map_allocated(const DirectoryLock& lock, std::uint64_t offset, std::uint64_t bytes) {
  mapped_region region(lock.file(), boost::interprocess::read_write, static_cast<boost::interprocess::offset_t>(offset),
                       bytes);
  madvise(region.get_address(), region.get_size(), MADV_DONTFORK);
  // populate works on whole pages, mapped_region hides the part of the first page before `offset`
  const std::uint64_t before = offset % shm::kPageBytes;
  void* const page = static_cast<std::byte*>(region.get_address()) - before;
  int result = madvise(page, bytes + before, MADV_POPULATE_WRITE);
  if (result != 0 && errno == EINVAL) {  // Linux before 5.14
    result = fallocate(lock.file().get(), FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset), static_cast<off_t>(bytes));
  }
  if (result != 0) throw shm::Error(shm::Fault::kFull, "no memory left for the segment");
  return region;
}

// Every committed series has a home in the spill before it is committed.
void grow_spill(Attachment& attachment, const DirectoryLock& lock, std::uint32_t slot, std::uint64_t cells_at,
                std::uint32_t end) {
  if (end == 0) return;
  const shm::Geometry& geometry = attachment.view.geometry();
  const std::uint32_t wanted = shm::cells_to_hold(end - 1, geometry);
  shm::SharedWord& allocated = attachment.view.slot(slot).cells_allocated;
  const std::uint64_t have = std::min<std::uint64_t>(allocated.load_acquire(), geometry.cells);
  if (wanted <= have) return;
  map_allocated(lock, cells_at + have * 8, (wanted - have) * 8);
  allocated.raise_to_release(wanted);
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

  const mapped_region tail = map_allocated(lock, geometry.directory() + begin, record.size());
  std::memcpy(tail.get_address(), record.data(), record.size());
  const mapped_region head = map_allocated(lock, geometry.directory(), sizeof(shm::DirectoryHead));
  static_cast<shm::DirectoryHead*>(head.get_address())->committed.store_release(end);
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
  const auto self = attachment.entry(std::chrono::milliseconds(-1));
  const auto own_worker = self ? std::optional(self->worker) : std::nullopt;
  if (known->declared_here || shm::other_worker_alive(attachment.file().kept_fd, own_worker)) {
    throw shm::Error(shm::Fault::kIncompatible, shm::quoted(schema.name) + " is declared " + difference +
                                                    " by live workers; restart them, or open with Start::fresh");
  }
  return nullptr;
}

std::uint32_t overflow(const FamilyState& family) noexcept {
  Attachment& attachment = *family.attachment;
  if (shm::SharedWord* spill = attachment.spill_cells(family.overflow_tally))
    spill[family.overflow_tally].add_relaxed(1);
  return family.in_process_slots() ? kDroppedCell : family.first_cell;
}

// Under the control lock. Nothing: no place for the series.
std::optional<std::uint32_t> find_or_append(const FamilyState& family, std::span<const std::string_view> values,
                                            Clock::time_point deadline) {
  Attachment& attachment = *family.attachment;
  const auto find = [&] { return attachment.mirror.series().find(family.offset, values); };
  if (!attachment.refresh_directory()) return std::nullopt;
  if (const auto cell = find()) return cell;  // another process was first
  if (family.series_count >= family.series_limit) return std::nullopt;
  const DirectoryLock lock(attachment, deadline);
  if (!lock) {
    attachment.directory_breaker.open();
    return std::nullopt;
  }
  if (!attachment.refresh_directory()) return std::nullopt;
  if (const auto cell = find()) return cell;
  if (family.series_count >= family.series_limit) return std::nullopt;
  shm::CellCursor cells = attachment.mirror.cells();
  append(attachment, lock,
         shm::encode_series(family.offset, family.type, family.bound_count, values, unix_now_ns(), cells), cells);
  attachment.widen_spill();
  attachment.refresh_directory();
  return find();
}

}  // namespace

const FamilyState& declare_family(Attachment& attachment, const shm::Schema& schema, std::uint32_t series_limit) {
  const auto deadline = Clock::now() + kDeclareWait;
  const auto damaged = [&] {
    return shm::Error(shm::Fault::kDamaged,
                      attachment.path + " has a damaged directory: nothing can be declared, see shmetrics check");
  };
  if (!attachment.refresh_directory()) throw damaged();
  check_names(attachment, schema);
  const FamilyState* known = nullptr;
  const FamilyState* found = find_declared(attachment, schema, known);
  if (found == nullptr) {
    const DirectoryLock lock(attachment, deadline);
    if (!lock)
      throw shm::Error(shm::Fault::kNotReady,
                       attachment.path + " is busy: its directory was locked for 100 ms, declare again");
    if (!attachment.refresh_directory()) throw damaged();
    check_names(attachment, schema);
    found = find_declared(attachment, schema, known);
    if (found == nullptr) {
      shm::CellCursor cells = attachment.mirror.cells();
      const std::uint32_t limit = series_limit != 0 ? series_limit : attachment.series_per_family;
      const shm::FamilyPlacement placement{unix_now_ns(), limit, known != nullptr ? known->offset : 0};
      append(attachment, lock, shm::encode_family(schema, placement, cells), cells);
      attachment.widen_spill();
      if (!attachment.refresh_directory()) throw damaged();
      found = attachment.mirror.family(schema.name);
      if (found == nullptr) throw damaged();
    }
  }
  found->declared_here = true;
  return *found;
}

std::uint32_t register_series(const FamilyState& family, std::span<const std::string_view> values) noexcept {
  Attachment& attachment = *family.attachment;
  if (!std::all_of(values.begin(), values.end(), shm::is_valid_label_value)) return overflow(family);
  // Who names the overflow series gets it; a series of its own by that name would be there twice.
  if (std::all_of(values.begin(), values.end(), [](auto value) { return value == shm::kOverflowValue; }))
    return overflow(family);
  if (attachment.directory_breaker.is_open() || family.series_count >= family.series_limit) return overflow(family);
  const auto deadline = Clock::now() + kUpdateWait;
  const std::unique_lock control(control_lock(), deadline);
  if (!control) {
    attachment.directory_breaker.open();
    return overflow(family);
  }
  try {
    if (const auto cell = find_or_append(family, values, deadline)) return *cell;
  } catch (const std::exception&) {
    attachment.directory_breaker.open();  // full, or out of memory: no use in trying at every update
  }
  return overflow(family);
}

}  // namespace shmetrics::detail
