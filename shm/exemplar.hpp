// Exemplars: which trace an increment or observation was made in. They lie in cells of their own behind those of their
// series.
//
// Only the slot's owner writes them, with a sequence and without a redo record. A reader that finds the sequence odd or
// changed leaves the exemplar out. So an exemplar may be missing, but it is never a mixture of two. The next write
// repairs the odd sequence of a killed writer. Steps: docs/segment-format.md, "Who may write" and "Crash
// table".
//
// Threads: store_exemplar() by the slot's owner alone, all else any. Failure: by result; nothing throws. Lifetime: the
// mapping must outlive the call.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "shm/failpoint.hpp"
#include "shm/layout.hpp"

namespace shmetrics::shm {

/// The labels of an exemplar as its cells hold them: name, NUL, value, NUL of each. The same rules hold for the worker
/// that writes and for the reader.
class ExemplarLabels {
 public:
  enum class Refusal : std::uint8_t { kNone, kInvalid, kTooLong };

  /// Leaves out a label without a value. One bad label makes the whole set refused.
  void add(std::string_view name, std::string_view value) noexcept;
  /// Adds what cells hold. Refused unless they hold exactly what add() would make of it.
  void add_text(std::string_view text) noexcept;

  Refusal refusal() const { return refusal_; }
  std::string_view text() const { return {reinterpret_cast<const char*>(words_.data()), bytes_}; }
  /// The text as cells, padded with zeros.
  std::span<const std::uint64_t> words() const { return std::span(words_).first((bytes_ + 7) / 8); }

 private:
  bool has(std::string_view name) const;
  void append(std::string_view part);

  std::array<std::uint64_t, kMaxExemplarText / 8> words_{};
  std::size_t bytes_ = 0;
  Refusal refusal_ = Refusal::kNone;
};

/// Takes the first label off a text of labels. Nothing is left when the text is not one.
struct ExemplarLabel {
  std::string_view name, value;
};
inline ExemplarLabel take_label(std::string_view& text) {
  const auto part = [&text] {
    const std::string_view taken = text.substr(0, text.find('\0'));
    text.remove_prefix(taken.size() < text.size() ? taken.size() + 1 : text.size());
    return taken;
  };
  const std::string_view name = part();
  return {name, part()};
}

/// Writes an exemplar into its cells. `text` are words of `text_bytes` bytes.
inline void store_exemplar(SharedWord* cells, std::uint64_t unix_ns, double value, std::span<const std::uint64_t> text,
                           std::size_t text_bytes) noexcept {
  SharedWord& sequence = cells[kExemplarSequence];
  const std::uint64_t odd = (sequence.load_relaxed() + 1) | 1;  // | 1 repairs the odd word of a killed writer
  sequence.store_relaxed(odd);
  // Release: a reader that sees a word of this exemplar also sees the odd sequence. The partner is the acquire fence of
  // copy_exemplar() in collector/exemplar.cpp.
  std::atomic_thread_fence(std::memory_order_release);
  SHMETRICS_FAILPOINT(exemplar_sequence_odd);
  cells[kExemplarTime].store_relaxed(unix_ns);
  cells[kExemplarValue].store_double_relaxed(value);
  cells[kExemplarTextBytes].store_relaxed(text_bytes);
  SHMETRICS_FAILPOINT(exemplar_value_stored);
  for (std::size_t i = 0; i < text.size(); ++i) cells[kExemplarText + i].store_relaxed(text[i]);
  SHMETRICS_FAILPOINT(exemplar_text_stored);
  sequence.store_release(odd + 1);
  SHMETRICS_FAILPOINT(exemplar_sequence_even);
}

}  // namespace shmetrics::shm
