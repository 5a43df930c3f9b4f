// A segment in this process: its mapping, what is known of its directory, and the process's entry. Fork:
// process_hooks.cpp.
//
// Threads: as its parts say; what stands here any, but for what says "control lock". Failure: shm::Error and
// std::bad_alloc where it says so. Lifetime: made once a segment, never freed, found again after fork.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include <shmetrics/shmetrics.hpp>
#include "client/control_lock.hpp"
#include "client/directory_mirror.hpp"
#include "client/mapping.hpp"
#include "client/process_entry.hpp"

namespace shmetrics::testing {
class TemporarySegment;
}

namespace shmetrics::detail {

/// Causes of Attachment::say_once beside the tallies of refused declarations, which have their own numbers.
inline constexpr std::uint32_t kWrongLabels = 28;
inline constexpr std::uint32_t kIgnoredVariable = 29;
inline constexpr std::uint32_t kNarrowerMode = 30;
inline constexpr std::uint32_t kGaugesDropped = 31;
static_assert(shm::kUsedTallies <= kWrongLabels);

struct Attachment final {
  /// Throws shm::Error, std::bad_alloc.
  Attachment(std::uint32_t index, const std::string& path, shm::OpenedSegment&& opened, const Options& options);

  /// Finds or makes the attachment of the options' segment. Control lock. Throws shm::Error, std::bad_alloc.
  static Attachment& open(const Options& options);
  /// The attachment of a handle's registry index; null when there is none.
  static Attachment* at(std::uint32_t index) noexcept {
    return index < kMaxRegistries ? table[index].load(std::memory_order_acquire) : nullptr;
  }
  template <typename Do>
  static void for_each(Do act) {
    for (std::uint32_t index = 0; index < kMaxRegistries; ++index) {
      if (Attachment* attachment = at(index)) act(*attachment);
    }
  }

  /// In a forked child: nothing of the parent's is ours. Unless `is_whole`, the parent was in the middle of a
  /// registration, and what it knew of the directory is read again.
  void forget_process(bool is_whole) noexcept;

  /// Counts an update of a handle without a cell; see dropped_cell().
  void drop(std::uint32_t cell) noexcept { mapping.tally(static_cast<shm::Tally>(cell - kDroppedCells)); }
  /// Says what of the options and of the environment has no effect on this segment. Not under the control lock: a
  /// stderr that nobody reads must not keep other threads from registering.
  void say_what_is_not_as_asked(const Options& options) noexcept;
  /// Says a mistake, once a cause: any number below 32.
  void say_once(std::uint32_t cause, const char* line) noexcept;
  bool has_said(std::uint32_t cause) const noexcept {
    return (said_.load(std::memory_order_relaxed) & 1u << cause) != 0;
  }

  const std::uint32_t registry;
  const std::uint32_t series_per_family;
  Mapping mapping;
  DirectoryMirror mirror;  // control lock
  ProcessEntry entry;
  Breaker memory_breaker;                            // open for a second after a registration found no memory
  std::atomic<bool> code_changes{false};             // another schema of this process is a generation, not a mistake
  std::atomic<const FamilyState*> refused{nullptr};  // families whose declaration was refused, by next_refused

 private:
  friend class testing::TemporarySegment;  // takes a segment out of the table again
  static Attachment& attach(const std::string& path, shm::OpenedSegment& opened, const Options& options);
  template <typename Fits>
  static Attachment* find(Fits fits) {
    Attachment* found = nullptr;
    for_each([&](Attachment& attachment) {
      if (fits(attachment)) found = &attachment;
    });
    return found;
  }

  static std::atomic<Attachment*> table[kMaxRegistries];

  const bool is_quiet_;
  void (*const on_error_)(const char* line);
  std::atomic<std::uint32_t> said_{0};  // bits by cause
};

}  // namespace shmetrics::detail
