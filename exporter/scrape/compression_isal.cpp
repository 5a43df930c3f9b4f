#include <isa-l/igzip_lib.h>

#include <algorithm>
#include <cstdint>
#include <new>
#include <vector>

#include "exporter/scrape/compression.hpp"

namespace shmetrics::exporter {
namespace {

// A call costs as much as some kilobytes, whatever it is given: it keeps 32 of them for the next one.
constexpr std::size_t kInputBytes = 64 << 10;

// ISA-L leaves the upper halves of vector registers in use. An SSE instruction behind an AVX one then takes some 50 ns
// on an Intel Xeon (model 167), for as long as the thread lives: scrapes by protobuf took five times as long.
void give_back_upper_halves() {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx")) __asm__ volatile("vzeroupper");
#endif
}

}  // namespace

struct GzipStream::State {
  explicit State(std::string& to) : out(to) {
    // Level 1 halves what level 0 leaves and costs little more; the levels above take several times as long.
    isal_deflate_init(&stream);  // leaves the counts of input and output as they are
    stream.gzip_flag = IGZIP_GZIP;
    stream.level = 1;
    stream.level_buf = level_room.data();
    stream.level_buf_size = static_cast<std::uint32_t>(level_room.size());
    input.reserve(kInputBytes);
  }

  void deflate(bool is_last) {
    stream.next_in = reinterpret_cast<std::uint8_t*>(input.data());
    stream.avail_in = static_cast<std::uint32_t>(input.size());
    stream.end_of_stream = is_last ? 1 : 0;
    do {
      const std::size_t used = out.size();
      // Metrics shrink to less than a tenth. Other text gets more room in the next round.
      const std::size_t more = std::max<std::size_t>(stream.avail_in / 8, 4096);
      out.resize(used + more);
      stream.next_out = reinterpret_cast<std::uint8_t*>(out.data() + used);
      stream.avail_out = static_cast<std::uint32_t>(more);
      // With these parameters the only possible error is too little room for output, and there always is some.
      if (isal_deflate(&stream) != COMP_OK) throw std::bad_alloc();
      out.resize(used + more - stream.avail_out);
    } while (is_last ? stream.internal_state.state != ZSTATE_END : stream.avail_out == 0 || stream.avail_in > 0);
    give_back_upper_halves();
    input.clear();
  }

  std::string& out;
  std::string input;
  std::vector<std::uint8_t> level_room = std::vector<std::uint8_t>(ISAL_DEF_LVL1_DEFAULT);
  isal_zstream stream{};
};

GzipStream::GzipStream(std::string& out) : state_(std::make_unique<State>(out)) {}
GzipStream::~GzipStream() = default;

void GzipStream::add(std::string_view piece) {
  while (!piece.empty()) {
    const std::string_view part = piece.substr(0, kInputBytes - state_->input.size());
    state_->input.append(part);
    piece.remove_prefix(part.size());
    if (state_->input.size() == kInputBytes) state_->deflate(false);
  }
}

void GzipStream::finish() {
  state_->deflate(true);
}

}  // namespace shmetrics::exporter
