// What every fuzz target demands of an answer. A demand that is not met ends the process, so that libFuzzer keeps the
// input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace shmetrics::fuzz {

/// Ends the process, with `what` and `detail` on stderr, unless `holds`.
void demand(bool holds, std::string_view what, std::string_view detail = {});

/// Text 0.0.4, OpenMetrics, JSON: well-formed for a parser that shares no code with the writer, and not too long. With
/// SHMETRICS_FUZZ_OUTPUT=DIRECTORY each is written there too, for judges that are too slow to ask at every input.
void demand_text(std::string_view text);
void demand_openmetrics(std::string_view text);
void demand_json(std::string_view json);
/// Protobuf: it says what the text says, and nothing began after `now_seconds`.
void demand_protobuf(std::string_view scrape, const std::string& text, std::int64_t now_seconds);

/// The front of an input, field by field; zeros at its end.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  bool empty() const { return size_ == 0; }
  template <typename T>
  T take() {
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T) && size_ > 0; ++i, ++data_, --size_) {
      value = static_cast<T>(value | static_cast<T>(*data_) << 8 * i);
    }
    return value;
  }
  /// At most `most` bytes; a length byte, or two, comes first.
  std::string text(std::size_t most) {
    const std::size_t wanted = most < 256 ? take<std::uint8_t>() : take<std::uint16_t>();
    const std::size_t count = wanted < size_ ? (wanted < most ? wanted : most) : (size_ < most ? size_ : most);
    return take_bytes(count);
  }
  std::string rest() { return take_bytes(size_); }

 private:
  std::string take_bytes(std::size_t count) {
    const std::string bytes(reinterpret_cast<const char*>(data_), count);
    data_ += count;
    size_ -= count;
    return bytes;
  }

  const std::uint8_t* data_;
  std::size_t size_;
};

}  // namespace shmetrics::fuzz
