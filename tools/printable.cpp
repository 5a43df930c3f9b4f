#include "tools/printable.hpp"

#include <cstdio>

#include "collector/text_format.hpp"

namespace shmetrics::tools {
namespace {

/// The code point of three bytes of UTF-8 that a person would see as nothing, or that turns around what stands beside
/// it; 0 for others.
unsigned unseen_at(std::string_view text) {
  if (text.size() < 3) return 0;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned point = (byte(0) & 0x0fU) << 12 | (byte(1) & 0x3fU) << 6 | (byte(2) & 0x3fU);
  if (byte(0) < 0xe0 || byte(0) > 0xef) return 0;
  const bool is_unseen = (point >= 0x200b && point <= 0x200f) || (point >= 0x2028 && point <= 0x202e) ||
                         (point >= 0x2060 && point <= 0x206f) || point == 0xfeff;
  return is_unseen ? point : 0;
}

std::string by_number(unsigned point) {
  char text[16];
  std::snprintf(text, sizeof text, "<U+%04X>", point);
  return text;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (const unsigned point = unseen_at(text.substr(i)); point != 0) {
      out += by_number(point);
      i += 2;
      continue;
    }
    if (text.substr(i, 2) == "\xd8\x9c") {
      out += by_number(0x061c);
      ++i;
      continue;
    }
    // In UTF-8 a C1 control is 0xc2 and a byte below 0xa0; elsewhere such a byte is the rest of a letter.
    const bool is_c1 = byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if (is_c1) ++i;
    out += is_c1 || byte < ' ' || byte == 0x7f ? '?' : text[i];
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
