#include "collector/text_format.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

namespace shmetrics::collector {
namespace {

// Copies runs between the characters to escape: values with nothing to escape, nearly all, are one append.
void append_escaped(std::string& out, std::string_view text, std::string_view special) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t stop = std::min(text.find_first_of(special, at), text.size());
    out.append(text, at, stop - at);
    if (stop < text.size()) {
      out += '\\';
      out += text[stop] == '\n' ? 'n' : text[stop];
    }
    at = stop + 1;
  }
}

// A byte of the result has its highest bit set where `eight` has this character, or above such a place.
std::uint64_t has_byte(std::uint64_t eight, char c) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  const std::uint64_t zero_if_same = eight ^ (kOnes * static_cast<unsigned char>(c));
  return (zero_if_same - kOnes) & ~zero_if_same & (kOnes << 7);
}

}  // namespace

bool needs_escape(std::string_view value) {
  const auto any = [](std::uint64_t eight) {
    return (has_byte(eight, '\\') | has_byte(eight, '"') | has_byte(eight, '\n')) != 0;
  };
  std::uint64_t eight = 0;
  for (; value.size() >= sizeof eight; value.remove_prefix(sizeof eight)) {
    std::memcpy(&eight, value.data(), sizeof eight);
    if (any(eight)) return true;
  }
  eight = 0;
  if (!value.empty()) std::memcpy(&eight, value.data(), value.size());
  return any(eight);
}

void append_escaped_label(std::string& out, std::string_view value) {
  append_escaped(out, value, "\\\n\"");
}

void append_escaped_help(std::string& out, std::string_view help) {
  append_escaped(out, help, "\\\n");
}

void append_number(std::string& out, std::uint64_t value) {
  char digits[kNumberBytes];
  out.append(digits, write_number(digits, value));
}

void append_number(std::string& out, double value) {
  char digits[kNumberBytes];
  out.append(digits, write_number(digits, value));
}

char* write_number(char* at, std::uint64_t value) {
  return std::to_chars(at, at + kNumberBytes, value).ptr;
}

char* write_number(char* at, double value) {
  // to_chars spells these in lower case and without the plus.
  if (std::isnan(value)) return at + std::string_view("NaN").copy(at, 3);
  if (std::isinf(value)) return at + std::string_view(value > 0 ? "+Inf" : "-Inf").copy(at, 4);
  return std::to_chars(at, at + kNumberBytes, value).ptr;
}

void append_bound(std::string& out, double bound) {
  char digits[kNumberBytes];
  char* end = std::to_chars(digits, digits + kNumberBytes, bound, std::chars_format::scientific).ptr;
  // The exponent decides, as in Go's %g; to_chars alone would choose the shorter form, and 0.0001 would become 1e-04.
  const std::string_view text(digits, static_cast<std::size_t>(end - digits));
  const std::size_t mark = text.find('e');
  int exponent = 0;
  std::from_chars(text.data() + mark + (text[mark + 1] == '+' ? 2 : 1), end, exponent);
  if (exponent >= -4 && exponent < 6)
    end = std::to_chars(digits, digits + kNumberBytes, bound, std::chars_format::fixed).ptr;
  out.append(digits, end);
}

void append_label(std::string& out, std::string_view label, std::string_view value, bool is_first) {
  if (!is_first) out += ',';
  out.append(label).append("=\"");
  append_escaped_label(out, value);
  out += '"';
}

void append_series(std::string& out, std::string_view name, Labels labels) {
  out.append(name);
  if (labels.size() == 0) return;
  out += '{';
  bool is_first = true;
  for (const auto& [label, value] : labels) {
    append_label(out, label, value, is_first);
    is_first = false;
  }
  out += '}';
}

void append_head(std::string& out, std::string_view name, std::string_view help, std::string_view type) {
  if (!help.empty()) {
    out.append("# HELP ").append(name).append(" ");
    append_escaped_help(out, help);
    out += '\n';
  }
  out.append("# TYPE ").append(name).append(" ").append(type).append("\n");
}

void append_sample(std::string& out, std::string_view name, Labels labels, double value) {
  append_series(out, name, labels);
  out += ' ';
  append_number(out, value);
  out += '\n';
}

void append_sample(std::string& out, std::string_view name, Labels labels, std::uint64_t value) {
  append_series(out, name, labels);
  out += ' ';
  append_number(out, value);
  out += '\n';
}

}  // namespace shmetrics::collector
