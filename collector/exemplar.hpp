// Exemplars: which trace an increment or observation was made in. Copied from a slot's cells, checked, and the newest
// kept.
//
// copy_exemplar() sees shared memory, under the caller's guard; all else is pure.
//
// Threads: any, on values of its own. Failure: std::bad_alloc alone. Lifetime: values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "shm/exemplar.hpp"

namespace shmetrics::collector {

struct CatalogFamily;
struct Totals;

struct Exemplar {
  std::uint64_t unix_ns = 0;
  double value = 0;
  std::uint32_t text_bytes = 0;
  std::array<char, shm::kMaxExemplarText> text{};

  /// Calls take(name, value) for each label.
  template <typename Take>
  void for_each_label(Take take) const {
    for (std::string_view rest(text.data(), text_bytes); !rest.empty();) {
      const shm::ExemplarLabel label = shm::take_label(rest);
      take(label.name, label.value);
    }
  }
  /// In whole milliseconds, as Prometheus keeps it.
  double unix_seconds() const {
    const std::uint64_t milliseconds = unix_ns / 1'000'000;
    return static_cast<double>(milliseconds) / 1000;
  }
};

inline constexpr int kExemplarTries = 4;  // while somebody writes it; then it is left out

/// What claims to be later is left out: a clock that was set back would let it be the newest for long, and servers
/// refuse all that is older.
std::uint64_t latest_exemplar_unix_ns();

/// False: there is none, or somebody is writing it. What was copied is not checked yet.
bool copy_exemplar(const shm::SharedWord* cells, Exemplar& copy);

/// Which of a series' exemplars has this value: 0 of a counter, else the number of the bucket. Nothing: none can have
/// it.
std::optional<std::size_t> exemplar_place(const CatalogFamily& family, double value);

/// Where totals hold exemplars, each cell has the number of one, counted from 1; 0 = none. Keeps the newer of two, of
/// equally old ones the one with the greater value, and of equals the first. Labels that are none are not kept.
void keep_newest(const Exemplar& seen, std::uint64_t& cell, std::vector<Exemplar>& kept);
/// The same for one that is kept already, under `number`.
void keep_newest(std::uint64_t number, std::uint64_t& cell, const std::vector<Exemplar>& kept);

/// What is shown for a series, by its place in family.series; null: nothing.
const Exemplar* find_exemplar(const CatalogFamily& family, const Totals& totals, std::size_t series, std::size_t which);

}  // namespace shmetrics::collector
