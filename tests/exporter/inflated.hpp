// The text in a body that came with gzip, as zlib reads it.
#pragma once

#include <zlib.h>

#include <optional>
#include <string>
#include <string_view>

namespace shmetrics::tests {

/// Nothing unless it is one whole member and nothing behind it.
inline std::optional<std::string> inflated(std::string_view compressed) {
  constexpr int kGzipOnly = 15 + 16;
  z_stream stream{};
  if (inflateInit2(&stream, kGzipOnly) != Z_OK) return std::nullopt;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(compressed.data()));
  stream.avail_in = static_cast<uInt>(compressed.size());
  std::string text;
  int result = Z_OK;
  while (result == Z_OK) {
    char room[65536];
    stream.next_out = reinterpret_cast<Bytef*>(room);
    stream.avail_out = sizeof room;
    result = inflate(&stream, Z_NO_FLUSH);
    text.append(room, sizeof room - stream.avail_out);
  }
  inflateEnd(&stream);
  if (result != Z_STREAM_END || stream.avail_in != 0) return std::nullopt;
  return text;
}

}  // namespace shmetrics::tests
