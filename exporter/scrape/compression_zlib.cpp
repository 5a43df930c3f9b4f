#include <zlib.h>

#include <new>

#include "exporter/scrape/compression.hpp"

namespace shmetrics::exporter {

struct GzipStream::State {
  explicit State(std::string& to) : out(to) {
    constexpr int kGzipWindow = 15 + 16;  // the largest window, and the header of gzip rather than zlib's own
    // Level 1: on text of metrics the higher ones take three times as long for a fifth.
    if (deflateInit2(&stream, 1, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK) throw std::bad_alloc();
  }
  ~State() { deflateEnd(&stream); }
  State(const State&) = delete;

  void deflate(int flush) {
    do {
      constexpr std::size_t kRoom = 4096;
      const std::size_t used = out.size();
      out.resize(used + kRoom);
      stream.next_out = reinterpret_cast<Bytef*>(out.data() + used);
      stream.avail_out = kRoom;
      ::deflate(&stream, flush);
      out.resize(used + kRoom - stream.avail_out);
    } while (stream.avail_out == 0);
  }

  std::string& out;
  z_stream stream{};
};

GzipStream::GzipStream(std::string& out) : state_(std::make_unique<State>(out)) {}
GzipStream::~GzipStream() = default;

void GzipStream::add(std::string_view piece) {
  constexpr std::size_t kMostAtOnce = 1u << 30;  // its counts have 32 bits
  while (!piece.empty()) {
    const std::string_view part = piece.substr(0, kMostAtOnce);
    piece.remove_prefix(part.size());
    state_->stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(part.data()));
    state_->stream.avail_in = static_cast<uInt>(part.size());
    state_->deflate(Z_NO_FLUSH);
  }
}

void GzipStream::finish() {
  state_->deflate(Z_FINISH);
}

}  // namespace shmetrics::exporter
