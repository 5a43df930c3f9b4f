// The families of several segments as one list: each family once, with the parts that the segments have of it. Series
// are never merged across segments: each has its segment's name among its labels.
//
// Nothing of the segments changes but their Seniority.
//
// Threads: any while none reads the segments anew. Failure: std::bad_alloc alone. Lifetime: the families of the
// segments must outlive the groups.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace shmetrics::collector {

/// The label that tells the series of several segments apart; the first of all labels.
inline constexpr std::string_view kSegmentLabel = "segment";

struct CatalogFamily;
struct Totals;

/// Which of the segments that are shown together came first. The exporter keeps one of these for each file.
struct Seniority {
  std::uint64_t rank = UINT64_MAX;  // the lower, the older
  std::uint32_t served_entries =
      0;                       // of the directory, when it was last shown: what came later is newer than all of it
  std::set<std::string> lost;  // families that another segment's keep out, wholly or of OpenMetrics
};

/// One segment, as its scraper last saw it; without families when it was not up.
struct ScrapedSegment {
  std::span<const CatalogFamily* const> families;  // sorted by name, no name twice
  const Totals* totals = nullptr;
  std::uint32_t entries = 0;       // of its directory
  Seniority* seniority = nullptr;  // null: the first in the list is the oldest
};

/// A family as one segment has it.
struct FamilyPart {
  const CatalogFamily* family = nullptr;
  const Totals* totals = nullptr;
  std::size_t segment = 0;        // its place among the segments that are shown together
  bool is_for_text_only = false;  // in OpenMetrics its names are another family's
};

/// The families of one segment that could not be shown.
struct LeftOut {
  std::uint64_t families = 0;
  std::uint64_t of_openmetrics = 0;  // beside these
  std::string example;               // one line about the first of them; empty when there are none
};

/// Which families are taken, told by the names that a family produces: its own is the first. Nothing takes all.
using Wanted = std::function<bool(const std::vector<std::string>& names)>;

class FamilyGroups {
 public:
  /// The first family with a name keeps it: one that was shown before, else that of the older segment. A family is
  /// left out when an older one has its name with another type, or produces one of its names (shm::claimed_names). What
  /// only OpenMetrics would write under one name is left out of that alone. The first segment in order gives the help.
  explicit FamilyGroups(std::span<const ScrapedSegment> segments);
  explicit FamilyGroups(const ScrapedSegment& segment) : FamilyGroups(std::span(&segment, 1)) {}

  /// Calls visit() for each family that is wanted, by name, with its parts in the order of the segments. Every format
  /// is made in this way.
  using Visit = std::function<void(std::span<const FamilyPart> parts)>;
  void for_each(const Wanted& wanted, const Visit& visit) const;
  /// Whether one of the families produces a name in any format.
  bool produces(std::string_view name) const;
  /// By segment, as many as were given.
  const std::vector<LeftOut>& left_out() const { return left_out_; }

 private:
  std::vector<FamilyPart> parts_;  // by name
  std::vector<LeftOut> left_out_;
};

}  // namespace shmetrics::collector
