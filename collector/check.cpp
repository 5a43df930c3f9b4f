#include "collector/check.hpp"

#include <algorithm>
#include <fstream>

#include "collector/catalog.hpp"
#include "collector/cell_check.hpp"
#include "collector/directory_check.hpp"
#include "collector/directory_reader.hpp"
#include "collector/foreign_locks.hpp"
#include "collector/mapped_segment.hpp"
#include "shm/worker_entry.hpp"

namespace shmetrics::collector {
namespace {

using std::to_string;

constexpr std::uint64_t kWarnPercent = 80;
constexpr std::size_t kWorkerWords = sizeof(shm::WorkerEntry) / 8;
constexpr std::size_t kSlotWords = sizeof(shm::SlotEntry) / 8;

using Clock = std::chrono::steady_clock;
using Words = std::vector<std::uint64_t>;
using WordsView = std::span<const std::uint64_t>;

// A field of a table's entry, by its byte offset in layout.hpp.
std::uint64_t field(WordsView entry, std::size_t byte_offset) {
  return entry[byte_offset / 8];
}

class Checker {
 public:
  Checker(const std::string& path, CheckReport& report, std::chrono::milliseconds most_time)
      : path_(path),
        report_(report),
        mapped_(path),
        guard_(mapped_.guard()),
        directory_(mapped_.geometry(), {}),
        deadline_(Clock::now() + most_time) {}

  void run() {
    check_log();
    // Slots before workers: an owner's epoch is never ahead of its entry's, if the entry is read later.
    const Words slots = copy(shape().slot_table(), (shape().thread_slots + 2) * kSlotWords);
    workers_ = copy(shape().worker_table(), shape().workers * kWorkerWords);
    for (std::uint32_t i = 0; i < shape().workers; ++i) check_worker(i);
    for (std::uint32_t i = 0; i < shape().thread_slots + 2 && has_time(); ++i) {
      check_slot(i, WordsView(slots).subspan(i * kSlotWords, kSlotWords));
    }
    warn_all(slots);
    if (guard_.is_damaged() || !mapped_.has_its_size()) {
      report_.findings = {path_ + " was truncated while it was read: remove the file"};
    }
  }

 private:
  const shm::Geometry& shape() const { return mapped_.geometry(); }
  const Catalog& catalog() const { return directory_.catalog(); }

  // A few kilobytes can speak of terabytes of cells.
  bool has_time() {
    if (is_late_ || Clock::now() < deadline_) return !is_late_;
    is_late_ = true;
    find(path_ + " takes too long to check, the rest is left out: it has too many slots and cells, or is damaged");
    return false;
  }

  void find(const std::string& what) {
    if (report_.findings.size() < kMaxFindings) {
      report_.findings.push_back(what);
    } else if (report_.findings.size() == kMaxFindings) {
      report_.findings.push_back("more findings than " + to_string(kMaxFindings) + ": the rest is left out");
    }
  }

  Words copy(std::uint64_t offset, std::uint64_t count) {
    Words words(count);
    const shm::SharedWord* from = mapped_.backed(offset, count, room_);
    for (std::size_t at = 0; at < count && !guard_.is_damaged(); ++at) words[at] = from[at].load_relaxed();
    return words;
  }

  void check_log() {
    const Report report = [this](const std::string& problem) { find(problem); };
    const auto outcome = directory_.follow(mapped_, guard_, [this] { return has_time(); });
    if (guard_.is_damaged()) return;
    for (const std::string& problem : catalog().problems()) find(problem);
    if (outcome == DirectoryReader::Outcome::kRead) given_out_ = check_directory(mapped_, directory_, report);
  }

  // False: the count is not to be used.
  bool check_allocation(const std::string& where, std::uint64_t allocated) {
    if (allocated % shm::kGrowthCells == 0 && allocated <= shape().cells) return true;
    find(where + ": cells_allocated is " + to_string(allocated) + ", not a multiple of " +
         to_string(shm::kGrowthCells) + " up to " + to_string(shape().cells));
    return false;
  }

  void check_worker(std::uint32_t worker) {
    const WordsView entry = WordsView(workers_).subspan(worker * kWorkerWords, kWorkerWords);
    const std::string where = "worker " + to_string(worker);
    const std::uint64_t epoch = field(entry, offsetof(shm::WorkerEntry, epoch));
    const std::uint64_t released = field(entry, offsetof(shm::WorkerEntry, released));
    if (epoch > shm::kMostEpoch) find(where + ": epoch is " + to_string(epoch) + ", more than 48 bits");
    if (released > 1) find(where + ": released is " + to_string(released) + ", not 0 or 1");
    const std::uint64_t counted = field(entry, offsetof(shm::WorkerEntry, counted));
    if (counted > 1) find(where + ": counted is " + to_string(counted) + ", not 0 or 1");
    if (epoch == 0 && !is_zero(entry) && mapped_.worker(worker).epoch.load_acquire() == 0) {
      find(where + ": nobody has claimed it, and it is not zero");
    }
    const auto reserved2 = entry.subspan(offsetof(shm::WorkerEntry, reserved2) / 8);
    if (!is_zero(reserved2)) find(where + ": reserved words are not zero");
    check_allocation(where, field(entry, offsetof(shm::WorkerEntry, cells_allocated)));
  }

  void check_owner(const std::string& where, std::uint64_t owner) {
    if (owner == 0) return;
    const auto [worker, epoch] = shm::EntryClaim::of(owner);
    if (worker >= shape().workers) return find(where + ": its owner is no worker entry");
    const std::uint64_t now = workers_[worker * kWorkerWords + offsetof(shm::WorkerEntry, epoch) / 8];
    if (epoch == 0 || epoch % 2 != 0 || epoch > now) {
      find(where + ": owned by epoch " + to_string(epoch) + " of worker " + to_string(worker) + ", which is at epoch " +
           to_string(now));
    }
  }

  void check_slot(std::uint32_t slot, WordsView entry) {
    const bool is_spill = slot == shape().spill();
    const bool is_gauge_spill = slot == shape().gauge_spill();
    const std::string where = is_spill ? "spill slot" : is_gauge_spill ? "gauge spill slot" : "slot " + to_string(slot);
    if (!is_zero(entry.subspan(offsetof(shm::SlotEntry, reserved) / 8))) find(where + ": reserved words are not zero");
    const std::uint64_t owner = field(entry, offsetof(shm::SlotEntry, owner));
    if ((is_spill || is_gauge_spill) && owner != 0) {
      find(where + ": has an owner");
    } else {
      check_owner(where, owner);
    }
    const std::uint64_t allocated = field(entry, offsetof(shm::SlotEntry, cells_allocated));
    if (!check_allocation(where, allocated)) return;
    const std::uint64_t known = is_gauge_spill ? catalog().cells().process_cells : catalog().cells().thread_cells;
    if ((is_spill || is_gauge_spill) && allocated < known) {
      find(where + ": holds " + to_string(allocated) + " cells, the directory's series need " + to_string(known));
    }
    const Report report = [&](const std::string& problem) { find(where + ": " + problem); };
    const std::uint64_t offset = is_spill         ? shape().spill_cells()
                                 : is_gauge_spill ? shape().gauge_spill_cells()
                                                  : shape().thread_slot(slot);
    const Words cells = copy(offset, std::min(allocated, known));
    if (guard_.is_damaged()) return;
    if (is_gauge_spill) return check_gauge_spill(cells, catalog(), report);
    check_thread_cells(cells, catalog(), is_spill, report);
  }

  void warn(const std::string& what, const std::string& option, std::uint64_t used, std::uint64_t limit) {
    const std::uint64_t percent = used * 100 / limit;
    if (percent <= kWarnPercent) return;
    report_.warnings.push_back(to_string(used) + " of " + to_string(limit) + " " + what + " are used (" +
                               to_string(percent) + " %): raise the option " + option + " and open a fresh file");
  }

  void warn_all(WordsView slots) {
    std::uint64_t used_workers = 0, used_slots = 0;
    for (std::uint32_t i = 0; i < shape().workers; ++i) used_workers += workers_[i * kWorkerWords] != 0;
    for (std::uint32_t i = 0; i < shape().thread_slots; ++i) used_slots += !is_zero(slots.subspan(i * kSlotWords, 2));
    // Used ones are taken first, so their number is that of the busiest moment so far.
    warn("worker entries", "workers", used_workers, shape().workers);
    warn("thread slots", "slots", used_slots, shape().thread_slots);
    warn("cells", "cells", std::max(catalog().cells().thread_cells, catalog().cells().process_cells), shape().cells);
    warn("index entries of the directory", "directory_bytes", catalog().entries(), shape().index_entries());
    warn("heap bytes of the directory", "directory_bytes", given_out_, shape().heap_bytes());
    if (const std::uint64_t locks = count_foreign_locks(mapped_.fd(), shape().workers); locks > 0) {
      report_.warnings.push_back("a process that is no worker holds read locks on " + to_string(locks) +
                                 " ranges of the lock bytes, and may keep workers from their entries: end it, and take "
                                 "its read permission");
    }
    for (const std::string& newer : catalog().newer()) report_.warnings.push_back(newer);
    warn_of_generations(catalog(), [this](const std::string& said) { report_.warnings.push_back(said); });
  }

  const std::string& path_;
  CheckReport& report_;
  MappedSegment mapped_;
  SigbusGuard guard_;
  DirectoryReader directory_;
  std::uint64_t given_out_ = 0;  // of the heap
  Words workers_;
  Words room_;
  Clock::time_point deadline_;
  bool is_late_ = false;
};

bool has_magic(const std::string& path) {
  std::uint64_t magic = 0;
  std::ifstream file(path, std::ios::binary);
  return file.read(reinterpret_cast<char*>(&magic), sizeof magic) && magic == shm::kMagic;
}

}  // namespace

CheckReport check_segment(const std::string& path, std::chrono::milliseconds most_time) {
  CheckReport report;
  try {
    Checker(path, report, most_time).run();
    if (!report.findings.empty()) report.verdict = CheckReport::Verdict::kDamaged;
  } catch (const shm::Error& error) {
    // Too short for a header is damage in a segment, but any text file is that short.
    const bool is_damage = error.fault() == shm::Fault::kDamaged && has_magic(path);
    report.verdict = is_damage ? CheckReport::Verdict::kDamaged : CheckReport::Verdict::kNoAnswer;
    report.findings = {error.what()};
  }
  return report;
}

}  // namespace shmetrics::collector
