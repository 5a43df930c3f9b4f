// gzip of a text that comes in pieces. By ISA-L, or by zlib where that is not: the build decides (SHMETRICS_GZIP), and
// links one of compression_isal.cpp and compression_zlib.cpp.
//
// Threads: one thread for each. Failure: std::bad_alloc alone. Lifetime: the string must outlive it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace shmetrics::exporter {

class GzipStream {
 public:
  /// Appends one gzip member (RFC 1952) to the string.
  explicit GzipStream(std::string& out);
  ~GzipStream();
  GzipStream(const GzipStream&) = delete;

  void add(std::string_view piece);
  /// After the last piece. Without it the member is not whole.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace shmetrics::exporter
