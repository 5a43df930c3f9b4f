// Where a rendering goes, in whatever format: into a string, or in pieces to a function. And how long it may be.
//
// Threads: one thread. Failure: what the function throws. Lifetime: what takes the pieces must outlive it, and has all
// of them after flush(). What was not flushed is lost: a destructor that appends ends the process when there is no
// memory left.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "collector/text_format.hpp"

namespace shmetrics::collector {

inline constexpr std::size_t kMaxTextBytes = 256u << 20;

// Collects lines in a piece of memory that stays in the nearest cache. With std::string::append for each part of a line
// a scrape of 10,000 counters takes a twentieth longer on an Intel Xeon.
class TextOutput {
 public:
  using Take = std::function<void(std::string_view piece)>;
  static constexpr std::size_t kUnlimited = PTRDIFF_MAX;

  /// Once more than `max_bytes` are written, whole series are left out, never parts of one: so it goes beyond by a
  /// series at most.
  explicit TextOutput(Take take, std::size_t max_bytes = kMaxTextBytes)
      : take_(std::move(take)), end_(static_cast<std::ptrdiff_t>(max_bytes)) {}
  /// Appends.
  explicit TextOutput(std::string& out, std::size_t max_bytes = kMaxTextBytes)
      : TextOutput([&out](std::string_view piece) { out.append(piece); }, max_bytes) {}
  TextOutput(const TextOutput&) = delete;
  TextOutput& operator=(const TextOutput&) = delete;

  void text(std::string_view text) {
    if (text.size() > free_bytes()) {
      flush();
      if (text.size() > free_bytes()) return pass_on(text);
    }
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }
  template <typename Number>
  void number(Number value) {
    if (free_bytes() <= kNumberBytes) flush();
    at_ = write_number(at_, value);
  }
  template <typename Number>
  void end_line(Number value) {
    number(value);  // and has left room
    *at_++ = '\n';
  }
  /// Nothing of the room is taken for it.
  void uncounted(std::string_view text) {
    flush();
    take_(text);
  }
  void flush() {
    pass_on({buffer_, static_cast<std::size_t>(at_ - buffer_)});
    at_ = buffer_;
  }

  /// Bytes written to this, and counted.
  std::size_t size() const { return passed_on_ + static_cast<std::size_t>(at_ - buffer_); }
  /// Bytes that may still come before series are left out; below 0: from now on they are.
  std::ptrdiff_t room() const { return end_ - static_cast<std::ptrdiff_t>(size()); }

  /// What follows is of this segment (FamilyPart::segment).
  void begin_part(std::size_t segment) {
    if (is_shared()) {
      shares_[segment_] = room();
      end_ = static_cast<std::ptrdiff_t>(size()) + shares_[segment];
    }
    segment_ = segment;
  }
  /// From now on each segment has a room of its own, and goes beyond that by a series at most; `shares` is as long as
  /// there are segments.
  void share_out(std::vector<std::ptrdiff_t> shares) {
    shares_ = std::move(shares);
    segment_ = 0;
    end_ = static_cast<std::ptrdiff_t>(size()) + shares_.front();
  }
  bool is_shared() const { return !shares_.empty(); }
  /// What is left of them.
  const std::vector<std::ptrdiff_t>& shares() {
    begin_part(segment_);
    return shares_;
  }

  /// Counts series of the part as left out.
  void leave_out(std::uint64_t series = 1) {
    if (left_out_.size() <= segment_) left_out_.resize(segment_ + 1);
    left_out_[segment_] += series;
  }
  /// The series left out, by segment, as far as there are any.
  const std::vector<std::uint64_t>& left_out() const { return left_out_; }

 private:
  std::size_t free_bytes() const { return static_cast<std::size_t>(buffer_ + sizeof buffer_ - at_); }
  void pass_on(std::string_view piece) {
    take_(piece);
    passed_on_ += piece.size();
  }

  Take take_;
  std::ptrdiff_t end_;  // the size where room ends
  std::vector<std::ptrdiff_t> shares_;
  std::size_t segment_ = 0;
  std::size_t passed_on_ = 0;
  std::vector<std::uint64_t> left_out_;
  // Copied on in one piece. Beyond 8 KiB glibc takes `rep movsb`: slower on a Zen 5, no difference on an Intel Xeon.
  char buffer_[4096];
  char* at_ = buffer_;
};

}  // namespace shmetrics::collector
