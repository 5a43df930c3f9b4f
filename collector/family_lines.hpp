// The lines of one family, whatever the text format: a head before the first, then kept prefix, number, line feed.
//
// For the visitors of render.cpp and openmetrics.cpp.
//
// Threads: one thread. Failure: what the output throws. Lifetime: part, head and output must outlive it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "collector/family.hpp"
#include "collector/text_output.hpp"

namespace shmetrics::collector {

class FamilyLines {
 public:
  FamilyLines(const FamilyPart& part, std::string_view head, TextOutput& out)
      : family_(*part.family),
        head_(head),
        lines_(family_.lines_per_series()),
        prefixes_(family_.prefixes()),
        out_(out) {
    out.begin_part(part.segment);
  }

  bool has_begun() const { return has_begun_; }

  template <typename Number>
  void number(std::size_t series, Number value) {
    if (begin()) line(prefix(series), value);
  }
  void of_worker(std::size_t series, std::uint32_t worker, double value) {
    if (!begin()) return;
    char digits[kNumberBytes];
    const char* end = write_number(digits, std::uint64_t{worker});
    out_.text(prefix(series));
    out_.text({digits, static_cast<std::size_t>(end - digits)});
    line("\"} ", value);
  }

 protected:
  // The head comes with the first line; and whole series are left out, never parts, once the text is too long.
  bool begin() {
    if (out_.room() < 0) {
      out_.leave_out();
      return false;
    }
    // A later segment's part has no head, and memcpy from nowhere is undefined even for no bytes.
    if (!has_begun_ && !head_.empty()) out_.text(head_);
    has_begun_ = true;
    return true;
  }
  std::size_t first_line(std::size_t series) const { return series * lines_; }
  std::string_view prefix(std::size_t line) const { return prefixes_.part(line); }
  template <typename Number>
  void line(std::string_view before, Number value) {
    out_.text(before);
    out_.end_line(value);
  }

  const CatalogFamily& family_;
  std::string_view head_;
  std::size_t lines_;
  const KeptParts& prefixes_;
  TextOutput& out_;

 private:
  bool has_begun_ = false;
};

}  // namespace shmetrics::collector
