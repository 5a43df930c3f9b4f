// gzip of a whole text. By ISA-L, or by zlib where that is not: the build decides (SHMETRICS_GZIP), and links one of
// compression_isal.cpp and compression_zlib.cpp.
//
// Threads: any. Failure: std::bad_alloc alone. Lifetime: values.
#pragma once

#include <string>
#include <string_view>

namespace shmetrics::exporter {

/// One gzip member (RFC 1952). Safe from any thread; the only exception is std::bad_alloc.
std::string gzip(std::string_view text);

}  // namespace shmetrics::exporter
