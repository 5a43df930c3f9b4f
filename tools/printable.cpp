#include "tools/printable.hpp"

#include "collector/text_format.hpp"

namespace shmetrics::tools {

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
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
