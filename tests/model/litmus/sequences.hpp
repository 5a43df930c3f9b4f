// The sequences that are explored. A claim's words are those of docs/segment-format.md.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "tests/model/litmus/explorer.hpp"

namespace litmus {

struct Named {
  const char* name;
  unsigned threads;
  std::unique_ptr<Sequence> (*make)();
  /// Sites, of those that it reaches, that may be weakened without harm here: each with its reason in README.md.
  std::span<const std::string_view> spare;
};

std::span<const Named> observations();  // observe, adopt, exemplar
std::span<const Named> handovers();     // claim and release of slots, claim of entries, gauges, folding
std::span<const Named> directories();   // append, memory before its announcement

}  // namespace litmus
