#include <zlib.h>

#include <algorithm>
#include <new>

#include "exporter/scrape/compression.hpp"

namespace shmetrics::exporter {

std::string gzip(std::string_view text) {
  constexpr int kGzipWindow = 15 + 16;  // the largest window, and the header of gzip rather than zlib's own
  struct Stream : z_stream {
    Stream() : z_stream{} {
      // Level 1: on text of metrics the higher ones take three times as long for a fifth.
      if (deflateInit2(this, 1, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK) throw std::bad_alloc();
    }
    ~Stream() { deflateEnd(this); }
    Stream(const Stream&) = delete;
  } stream;

  constexpr std::size_t kMostAtOnce = 1u << 30;  // its counts have 32 bits
  std::string out;
  int result = Z_OK;
  do {
    if (stream.avail_in == 0) {
      const std::string_view part = text.substr(0, kMostAtOnce);
      text.remove_prefix(part.size());
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(part.data()));
      stream.avail_in = static_cast<uInt>(part.size());
    }
    const std::size_t used = out.size();
    // Metrics shrink to less than a tenth. Other text gets more room in the next round.
    const std::size_t more = std::clamp<std::size_t>(stream.avail_in / 8, 4096, kMostAtOnce);
    out.resize(used + more);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + used);
    stream.avail_out = static_cast<uInt>(more);
    result = deflate(&stream, text.empty() ? Z_FINISH : Z_NO_FLUSH);
    out.resize(used + more - stream.avail_out);
  } while (result != Z_STREAM_END);
  return out;
}

}  // namespace shmetrics::exporter
