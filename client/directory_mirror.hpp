// This process's knowledge of the directory: families by name, series by label values, gauges by cell. It grows as the
// log grows.
//
// Threads: control lock, but for SeriesTable::find and the constant parts of a FamilyState. Failure: by result, or
// std::bad_alloc. Lifetime: families stay for as long as the process lives; lists until the next refresh.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "client/directory_pages.hpp"
#include "client/family_state.hpp"
#include "client/series_table.hpp"
#include "shm/directory.hpp"
#include "shm/worker_entry.hpp"

namespace shmetrics::detail {

class DirectoryMirror {
 public:
  DirectoryMirror(Attachment& attachment, const shm::SegmentView& view, std::uint32_t registry);
  ~DirectoryMirror();

  enum class Refreshed {
    kWhole,
    kDamaged,   // the log has a record that is not to be trusted: nothing may be appended behind it
    kNoMemory,  // of the file system or of this process; what is known stays known, and the rest is read later
  };
  /// Steps to the end of the log. Never throws.
  Refreshed refresh() noexcept;
  /// In a forked child. Unless `is_whole`, its parent was in the middle of something here, and all is read again.
  void forget_in_child(bool is_whole) noexcept;

  /// The generations of a name, of the last type that it has, oldest first.
  const std::vector<FamilyState*>& generations(std::string_view name) const;
  /// Whether a newer release has written a family of that name in a way that this one does not know.
  bool is_newer(std::string_view name) const;
  /// The family of an entry; null when there is none.
  const FamilyState* family(std::uint32_t entry) const;
  /// The name of the family that already gives rise to one of these names; empty when none does.
  std::string claimant(const std::vector<std::string>& names, std::string_view except) const;

  DirectoryPages pages;
  const SeriesTable& series() const { return series_; }
  std::uint32_t entries() const;
  const shm::CellCursor& cells() const;
  const std::vector<shm::GaugeCells>& gauges() const;

 private:
  struct Known;
  void take(const shm::DirectoryParser::Step& step, shm::IndexEntry place);
  void make_room_for_gauges();
  void add(const shm::ParsedFamily& parsed);
  void add(const shm::ParsedSeries& parsed, shm::IndexEntry place);
  void add(const shm::UnknownRecord& unknown);
  void end_other_type(std::string_view name, std::uint32_t type);
  void add_gauges(const FamilyState& family, std::uint32_t first_cell);

  Attachment& attachment_;
  const shm::SegmentView view_;
  const std::uint32_t registry_;
  SeriesTable series_;
  std::unique_ptr<Known> known_;
};

}  // namespace shmetrics::detail
