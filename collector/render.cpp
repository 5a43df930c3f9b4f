#include "collector/render.hpp"

#include <cstring>
#include <string_view>

#include "collector/text_format.hpp"
#include "collector/values.hpp"

namespace shmetrics::collector {
namespace {

// Collects lines in a piece of memory that stays in the nearest cache; std::string::append for each part of a line
// costs more than the line.
class LineBuffer {
 public:
  explicit LineBuffer(std::string& out) : out_(out) {}
  ~LineBuffer() { flush(); }
  LineBuffer(const LineBuffer&) = delete;
  LineBuffer& operator=(const LineBuffer&) = delete;

  void text(std::string_view text) {
    if (text.size() > room()) {
      flush();
      if (text.size() > room()) {
        out_.append(text);
        return;
      }
    }
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }
  template <typename Number>
  void end_line(Number number) {
    if (room() <= kNumberBytes) flush();
    at_ = write_number(at_, number);
    *at_++ = '\n';
  }
  std::size_t size() const { return out_.size() + static_cast<std::size_t>(at_ - buffer_); }

 private:
  std::size_t room() const { return static_cast<std::size_t>(buffer_ + sizeof buffer_ - at_); }
  void flush() {
    out_.append(buffer_, static_cast<std::size_t>(at_ - buffer_));
    at_ = buffer_;
  }

  std::string& out_;
  char buffer_[16384];
  char* at_ = buffer_;
};

class TextVisitor {
 public:
  TextVisitor(const CatalogFamily& family, std::string& out)
      : family_(family), lines_(family.lines_per_series()), buffer_(out) {}

  template <typename Number>
  void number(std::size_t series, Number value) {
    if (!begin()) return;
    buffer_.text(prefix(series));
    buffer_.end_line(value);
  }
  void of_worker(std::size_t series, std::uint32_t worker, double value) {
    if (!begin()) return;
    char digits[kNumberBytes];
    const char* end = write_number(digits, std::uint64_t{worker});
    buffer_.text(prefix(series));
    buffer_.text({digits, static_cast<std::size_t>(end - digits)});
    buffer_.text("\"} ");
    buffer_.end_line(value);
  }
  void observed(std::size_t series, std::span<const std::uint64_t> buckets, double sum) {
    if (!begin()) return;
    std::size_t line = series * lines_;
    std::uint64_t count = 0;
    for (const std::uint64_t bucket : buckets) {
      count = accumulate(count, bucket);
      if (family_.type != shm::MetricType::kHistogram) continue;
      buffer_.text(prefix(line++));
      buffer_.end_line(count);
    }
    buffer_.text(prefix(line++));
    buffer_.end_line(sum);
    buffer_.text(prefix(line));
    buffer_.end_line(count);
  }

 private:
  // The head comes with the first line; and whole series are left out, never parts, once the text is too long.
  bool begin() {
    if (buffer_.size() > kMaxTextBytes) return false;
    if (!has_begun_) buffer_.text(family_.head);
    has_begun_ = true;
    return true;
  }
  std::string_view prefix(std::size_t line) const {
    const std::uint32_t from = line == 0 ? 0 : family_.ends[line - 1];
    return std::string_view(family_.prefixes).substr(from, family_.ends[line] - from);
  }

  const CatalogFamily& family_;
  std::size_t lines_;
  LineBuffer buffer_;
  bool has_begun_ = false;
};

}  // namespace

void render_text(const CatalogFamily& family, const Totals& totals, std::string& out) {
  visit_series(family, totals, TextVisitor(family, out));
}

}  // namespace shmetrics::collector
