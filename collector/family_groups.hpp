// The families of several segments as one list: each family once, with the parts that the segments have of it. Series
// are never merged across segments: each has its segment's name among its labels.
//
// Pure; safe from any thread while no thread reads the segments anew. The families of the segments must outlive the
// groups. Throws std::bad_alloc only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace shmetrics::collector {

/// The label that tells the series of several segments apart; the first of all labels.
inline constexpr std::string_view kSegmentLabel = "segment";

struct CatalogFamily;
struct Totals;

/// One segment, as its scraper last saw it; without families when it was not up.
struct ScrapedSegment {
  std::span<const CatalogFamily* const> families;  // sorted by name, no name twice
  const Totals* totals = nullptr;
};

/// A family as one segment has it.
struct FamilyPart {
  const CatalogFamily* family = nullptr;
  const Totals* totals = nullptr;
  std::size_t segment = 0;  // its place among the segments that are shown together
};

/// The families of one segment that could not be shown.
struct LeftOut {
  std::uint64_t families = 0;
  std::string example;  // one line about the first of them; empty when there are none
};

/// Which families are taken, told by the names that a family produces: its own is the first. Nothing takes all.
using Wanted = std::function<bool(const std::vector<std::string>& names)>;

class FamilyGroups {
 public:
  /// The order of the segments decides: the first one gives a family its type and its help. A family is left out if an
  /// earlier segment has it with another type, or has a family that produces one of its names (shm::claimed_names).
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
