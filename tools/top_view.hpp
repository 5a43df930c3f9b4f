// What the keys have made of the view of `shmetrics top`. Pure.
//
// Threads: any. Failure: std::bad_alloc alone. Lifetime: values.
#pragma once

#include <string>
#include <string_view>

#include "tools/rates.hpp"

namespace shmetrics::tools {

struct TopView {
  std::size_t first = 0;  // row at the top
  Order order = Order::kRate;
  std::string filter;
  bool is_typing = false;  // the filter
};

/// Changes the view by what was typed, one key after the other. `page` and `rows` are those of the last frame.
/// False: it was q.
bool take_keys(TopView& view, std::string_view keys, std::size_t page, std::size_t rows);

/// The line of keys, or the filter while it is typed.
std::string hint(const TopView& view);

}  // namespace shmetrics::tools
