// The generations of one name added up to one family: docs/merge-rules.md, "Generations".
//
// Two steps. merge() finds out which series are one, and gives each a place; it is repeated when series have come.
// add_up() adds the values of each generation's own cells. Gauges need no such step: their values are added to the
// right total when they are read.
//
// Pure.
//
// Threads: one thread. Failure: std::bad_alloc alone. Lifetime: the generations must outlive it and stay where they
// are.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "collector/family.hpp"
#include "collector/merge.hpp"
#include "shm/layout.hpp"

namespace shmetrics::collector {

class MergedFamily {
 public:
  /// `generations`: 2 to shm::kMaxGenerations settled families of one name and type, the oldest first, which stay where
  /// they are. Their gauges in `gauges` get their totals. Series whose prefixes do not fit `room_bytes` are left out.
  void merge(std::span<CatalogFamily* const> generations, std::span<GaugePlace> gauges, std::uint64_t room_bytes);
  /// Moves its own thread cells, which no slot has, to `first_cell`.
  void move_to(std::uint32_t first_cell);
  void add_up(Totals& totals) const;

  const CatalogFamily& shown() const { return shown_; }
  std::uint32_t cells() const { return cells_; }
  std::uint64_t left_out() const { return left_out_; }  // series

 private:
  // One series of one generation: where its cells begin, and where those begin that they are added to.
  struct Addend {
    std::uint32_t from = 0;
    std::uint32_t to = 0;  // from first_cell_ on
    std::uint32_t generation = 0;
  };
  struct Part {
    std::uint32_t generation = 0;
    const CatalogSeries* series = nullptr;
    CatalogSeries merged;  // with its key in shown_.keys
  };
  void describe(std::span<CatalogFamily* const> generations);
  std::vector<Part> parts(std::span<CatalogFamily* const> generations, std::uint64_t room_bytes);
  bool add_series(std::span<const Part> same, std::uint64_t room_bytes);
  void place(std::span<const Part> same, std::span<GaugePlace> gauges);
  void describe_bounds(std::span<CatalogFamily* const> generations);
  void add_counter(const Addend& addend, Totals& totals) const;
  void add_observed(const Addend& addend, Totals& totals) const;
  void add_exemplars(const Addend& addend, Totals& totals) const;

  CatalogFamily shown_;
  std::vector<Addend> addends_;
  // Of each generation's buckets: the numbers of shown_'s, and those of its native ones, if it is native.
  std::array<std::vector<std::uint16_t>, shm::kMaxGenerations> buckets_, native_cells_;
  std::uint32_t first_cell_ = 0;
  std::uint32_t cells_ = 0;
  std::uint64_t left_out_ = 0;
};

}  // namespace shmetrics::collector
