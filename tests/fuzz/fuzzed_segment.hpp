// A sound segment with something of everything in it, which an input damages at places that mean something, and which
// is whole again for the next input. It knows whose the damage is.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "tests/collector/segment_builder.hpp"

namespace shmetrics::fuzz {

class Input;

class FuzzedSegment {
 public:
  FuzzedSegment();

  const std::string& path() const { return segment_.path(); }

  /// One step of damage, chosen by the input.
  void damage(Input& input);
  void restore();

  /// Whether damage so far can have reached anything; else only families of hit() may show it.
  bool is_wild() const { return is_wild_; }
  const std::set<std::string>& hit() const { return hit_; }

 private:
  struct Cells {
    std::uint32_t first = 0, count = 0;
    std::string family;
    bool is_gauge = false;
    bool is_observed = false;
  };
  struct Region {
    std::uint64_t offset = 0, bytes = 0;
  };

  tests::SegmentBuilder::Family add_family(const shm::Schema& schema);
  std::uint32_t add_series(const tests::SegmentBuilder::Family& family, const std::string& name,
                           std::vector<std::string_view> values);
  void fill();
  void fill_exemplars();
  void note_cells(std::uint32_t first, std::uint32_t count, const std::string& family, shm::MetricType type);

  void hit_all(bool gauges, bool others);
  void hit_observed();
  void damage_record(Input& input, bool is_sealed);
  void damage_index(Input& input);
  void damage_ends(Input& input);
  void seal(std::span<std::byte> record);
  void damage_worker(Input& input);
  void damage_slot(Input& input);
  void damage_cell(Input& input, bool of_gauges);
  void append_family(Input& input);
  void append_series(Input& input);
  void append_raw(Input& input);
  void append(std::string record);
  void store(std::uint64_t offset, std::uint64_t word);

  tests::SegmentBuilder segment_;
  shm::Descriptor alive_;
  std::vector<std::string> owners_;            // by entry: the family
  std::vector<std::span<std::byte>> records_;  // by entry, while they were sound
  std::uint64_t heap_end_ = 0, sound_heap_end_ = 0;
  std::vector<Cells> cells_;
  std::vector<Region> regions_;
  std::vector<std::vector<std::byte>> images_;
  bool is_wild_ = false;
  std::set<std::string> hit_;
};

}  // namespace shmetrics::fuzz
