#include "tools/top_view.hpp"

#include <algorithm>
#include <utility>

#include "tools/printable.hpp"

namespace shmetrics::tools {
namespace {

constexpr std::string_view kEscape = "\x1b", kBackspace = "\x7f\b", kEnter = "\r\n";

bool continues_character(char byte) {
  return (static_cast<unsigned char>(byte) & 0xc0) == 0x80;
}

/// Bytes of the first key: a sequence (ESC [ parameters letter, ESC O letter), Alt with a key, or one character.
std::size_t key_length(std::string_view keys) {
  std::size_t end = 1;
  if (keys.starts_with("\x1b[")) {
    for (end = 2; end < keys.size() && (keys[end] < '@' || keys[end] > '~');) ++end;
    return end + 1;
  }
  if (keys.starts_with("\x1bO")) return 3;
  if (keys.starts_with(kEscape) && keys.size() > 1 && !keys.substr(1).starts_with(kEscape)) ++end;
  while (end < keys.size() && continues_character(keys[end])) ++end;
  return end;
}

void type(TopView& view, std::string_view key) {
  view.first = 0;
  if (kEnter.find(key) != kEnter.npos) {
    view.is_typing = false;
  } else if (kBackspace.find(key) == kBackspace.npos) {
    view.filter += key;
  } else {
    while (!view.filter.empty() && continues_character(view.filter.back())) view.filter.pop_back();
    if (!view.filter.empty()) view.filter.pop_back();
  }
}

const char* name_of(Order order) {
  return order == Order::kRate ? "rate" : order == Order::kValue ? "value" : "name";
}

bool take_key(TopView& view, std::string_view key, std::size_t page, std::size_t rows) {
  const std::size_t last = rows - std::min(rows, page);
  const std::size_t step = std::max<std::size_t>(page, 2) - 1;
  const std::pair<std::string_view, std::size_t> moves[] = {
      {"\x1b[A", view.first - std::min<std::size_t>(view.first, 1)},
      {"\x1bOA", view.first - std::min<std::size_t>(view.first, 1)},
      {"\x1b[B", view.first + 1},
      {"\x1bOB", view.first + 1},
      {"\x1b[5~", view.first - std::min(view.first, step)},
      {"\x1b[6~", view.first + step},
      {"\x1b[H", 0},
      {"\x1b[1~", 0},
      {"\x1b[F", last},
      {"\x1b[4~", last}};
  for (const auto& [sequence, to] : moves) {
    if (key == sequence) {
      view.first = std::min(to, last);
      return true;
    }
  }
  if (key == kEscape) {
    view.filter.clear();
    view.is_typing = false;
  } else if (key.starts_with(kEscape)) {
    return true;  // a key that means nothing here
  } else if (view.is_typing) {
    type(view, key);
  } else if (key == "/") {
    view.is_typing = true;
  } else if (key == "s" || key == "S") {
    view.order = static_cast<Order>((static_cast<int>(view.order) + 1) % 3);
    view.first = 0;
  } else if (key == "q" || key == "Q") {
    return false;
  }
  return true;
}

}  // namespace

bool take_keys(TopView& view, std::string_view keys, std::size_t page, std::size_t rows) {
  while (!keys.empty()) {
    const std::string_view key = keys.substr(0, key_length(keys));
    if (!take_key(view, key, page, rows)) return false;
    keys.remove_prefix(key.size());
  }
  return true;
}

std::string hint(const TopView& view) {
  if (view.is_typing) return "filter: " + printable(view.filter) + "_";
  const std::string filter = view.filter.empty() ? "" : " (" + printable(view.filter) + ", Esc: all)";
  return std::string("arrows, PgDn: scroll  /: filter") + filter + "  s: sorted by " + name_of(view.order) +
         "  q: quit";
}

}  // namespace shmetrics::tools
