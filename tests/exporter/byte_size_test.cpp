#include "exporter/byte_size.hpp"

#include <gtest/gtest.h>

namespace shmetrics::exporter {
namespace {

TEST(ByteSize, IsANumberOrOneOfBinaryUnits) {
  EXPECT_EQ(parse_byte_size("1"), 1U);
  EXPECT_EQ(parse_byte_size("1000000"), 1'000'000U);
  for (const char* kibi : {"3k", "3K", "3kiB", "3KIB"}) EXPECT_EQ(parse_byte_size(kibi), 3U << 10) << kibi;
  EXPECT_EQ(parse_byte_size("256MiB"), 256U << 20);
  EXPECT_EQ(parse_byte_size("1G"), 1U << 30);
  EXPECT_EQ(parse_byte_size("8589934591G"), 8589934591ULL << 30);
}

TEST(ByteSize, AllElseIsRefused) {
  for (const char* wrong : {"", "0", "0k", "-1", "+1", "1.5M", "1 M", " 1", "1kB", "1B", "1T", "M", "1MM", "0x10",
                            "8589934592G", "18446744073709551616"}) {
    EXPECT_FALSE(parse_byte_size(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace shmetrics::exporter
