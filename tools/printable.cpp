#include "tools/printable.hpp"

#include <algorithm>
#include <boost/nowide/utf/utf.hpp>
#include <cstdint>
#include <cstdio>

#include "collector/text_format.hpp"

namespace shmetrics::tools {
namespace {

using Utf8 = boost::nowide::utf::utf_traits<char>;

struct Range {
  std::uint32_t first, last;
};

/// What a person would see as nothing, or what turns around what stands beside it: the ends of lines, and what Unicode
/// calls Default_Ignorable_Code_Point, in which two texts can differ and look the same.
constexpr Range kUnseen[] = {
    {0xad, 0xad},     {0x34f, 0x34f},   {0x61c, 0x61c},     {0x115f, 0x1160},   {0x17b4, 0x17b5},  {0x180b, 0x180f},
    {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f},   {0x3164, 0x3164},   {0xfe00, 0xfe0f},  {0xfeff, 0xfeff},
    {0xffa0, 0xffa0}, {0xfff0, 0xfff8}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff}};

bool is_unseen(std::uint32_t point) {
  return std::ranges::any_of(kUnseen, [point](const Range& r) { return r.first <= point && point <= r.last; });
}

std::string by_number(std::uint32_t point) {
  char text[16];
  std::snprintf(text, sizeof text, "<U+%04X>", point);
  return text;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  const char* const end = text.data() + text.size();
  for (const char* next = text.data(); next != end;) {
    const char* const start = next;
    const std::uint32_t point = Utf8::decode(next, end);
    if (point == boost::nowide::utf::illegal || point == boost::nowide::utf::incomplete) {
      out += *start;  // no UTF-8, and no control character: those are ASCII
      next = start + 1;
    } else if (point < 0x20 || (point >= 0x7f && point < 0xa0)) {
      out += '?';
    } else if (is_unseen(point)) {
      out += by_number(point);
    } else {
      out.append(start, next);
    }
  }
  return out;
}

std::string series_text(const collector::PlainFamily& family, const collector::PlainSeries& series) {
  std::string text = family.name;
  for (std::size_t i = 0; i < series.labels.size(); ++i) {
    if (i == 0) text += '{';
    collector::append_label(text, series.labels[i].first, series.labels[i].second, i == 0);
  }
  if (!series.labels.empty()) text += '}';
  return printable(text);
}

}  // namespace shmetrics::tools
