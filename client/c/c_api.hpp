// What the files of the C API share: its values in C++'s words.
//
// Threads: any. Failure: none. Lifetime: that of what was given.
#pragma once

#include <shmetrics/shmetrics.h>

#include <shmetrics/shmetrics.hpp>
#include <string_view>

namespace shmetrics::detail {

inline std::string_view view(const char* text) {
  return text == nullptr ? "" : text;
}

inline std::string_view view(const shmetrics_string& text) {
  return text.data == nullptr ? "" : std::string_view(text.data, text.size);
}

inline HandleParts parts_of(const shmetrics_series& series) {
  return {series.registry, series.cell_plus_1 - 1, static_cast<const FamilyState*>(series.family)};
}

}  // namespace shmetrics::detail
