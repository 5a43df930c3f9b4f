// The lines of one family, whatever the text format: a head before the first, then kept prefix, number, line feed.
//
// For the visitors of render.cpp and openmetrics.cpp.
//
// Threads: one thread. Failure: std::bad_alloc alone. Lifetime: part, head and text must outlive it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "collector/family.hpp"
#include "collector/line_buffer.hpp"
#include "collector/render.hpp"
#include "collector/text_format.hpp"

namespace shmetrics::collector {

class FamilyLines {
 public:
  FamilyLines(const FamilyPart& part, std::string_view head, std::string& out, TextRoom& room)
      : family_(*part.family),
        head_(head),
        lines_(family_.lines_per_series()),
        buffer_(out),
        segment_(part.segment),
        room_(room) {}

  bool has_begun() const { return has_begun_; }
  /// After the last line: the text has all of them.
  void flush() { buffer_.flush(); }

  template <typename Number>
  void number(std::size_t series, Number value) {
    if (begin()) line(prefix(series), value);
  }
  void of_worker(std::size_t series, std::uint32_t worker, double value) {
    if (!begin()) return;
    char digits[kNumberBytes];
    const char* end = write_number(digits, std::uint64_t{worker});
    buffer_.text(prefix(series));
    buffer_.text({digits, static_cast<std::size_t>(end - digits)});
    line("\"} ", value);
  }

 protected:
  // The head comes with the first line; and whole series are left out, never parts, once the text is too long.
  bool begin() {
    if (!room_.takes(buffer_.size(), room_.max_bytes, segment_)) return false;
    // A later segment's part has no head, and memcpy from nowhere is undefined even for no bytes.
    if (!has_begun_ && !head_.empty()) buffer_.text(head_);
    has_begun_ = true;
    return true;
  }
  std::size_t first_line(std::size_t series) const { return series * lines_; }
  std::string_view prefix(std::size_t line) const {
    const std::uint32_t from = line == 0 ? 0 : family_.ends[line - 1];
    return std::string_view(family_.prefixes).substr(from, family_.ends[line] - from);
  }
  template <typename Number>
  void line(std::string_view before, Number value) {
    buffer_.text(before);
    buffer_.end_line(value);
  }

  const CatalogFamily& family_;
  std::string_view head_;
  std::size_t lines_;
  LineBuffer buffer_;

 private:
  std::size_t segment_;
  TextRoom& room_;
  bool has_begun_ = false;
};

}  // namespace shmetrics::collector
