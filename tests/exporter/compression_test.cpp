// Built once for each variant of exporter/scrape/compression.hpp. The judge is zlib's inflate.
#include "exporter/scrape/compression.hpp"

#include <gtest/gtest.h>

#ifdef __x86_64__
#include <cpuid.h>
#endif

#include <algorithm>
#include <cstdint>
#include <optional>
#include <random>

#include "tests/exporter/inflated.hpp"

namespace shmetrics::exporter {
namespace {

std::string gzip(std::string_view text, std::size_t piece_bytes = 4096) {
  std::string out;
  GzipStream stream(out);
  for (; !text.empty(); text.remove_prefix(std::min(piece_bytes, text.size()))) stream.add(text.substr(0, piece_bytes));
  stream.finish();
  return out;
}

std::string metrics(std::size_t lines) {
  std::string text;
  for (std::size_t i = 0; i < lines; ++i) {
    text += "crm_http_requests_total{method=\"GET\",route=\"/users/" + std::to_string(i) + "\",status_code=\"200\"} " +
            std::to_string(i * i) + "\n";
  }
  return text;
}

void expect_round_trip(const std::string& text) {
  for (const std::size_t piece_bytes : {std::size_t{100}, std::size_t{4096}, std::size_t{300'000}, SIZE_MAX}) {
    const std::optional<std::string> back = tests::inflated(gzip(text, piece_bytes));
    EXPECT_TRUE(back == text) << text.size() << " bytes in pieces of " << piece_bytes;
  }
}

// Whether the upper halves of the vector registers are in use, as XGETBV tells with 1 in ECX; nothing where it cannot.
std::optional<bool> are_upper_halves_in_use() {
#ifdef __x86_64__
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kHasXgetbv1 = 1U << 2, kUpperHalves = 1U << 2;
  if (__get_cpuid_count(0xd, 1, &a, &b, &c, &d) == 0 || (a & kHasXgetbv1) == 0) return std::nullopt;
  __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(1));
  return (a & kUpperHalves) != 0;
#else
  return std::nullopt;
#endif
}

TEST(Compression, LeavesTheVectorRegistersAsSseWantsThem) {
  if (!are_upper_halves_in_use()) GTEST_SKIP() << "this processor does not tell";
  const std::string text = metrics(1000);
  gzip(text);
  EXPECT_FALSE(*are_upper_halves_in_use());
}

TEST(Compression, WhatZlibInflatesIsTheTextByteForByte) {
  for (const std::size_t lines : {1, 2, 10, 100, 1000, 20'000}) expect_round_trip(metrics(lines));
}

TEST(Compression, NothingAndBytesThatDoNotShrinkComeBackToo) {
  expect_round_trip("");
  expect_round_trip(std::string(1, '\0'));
  std::mt19937_64 random(42);
  for (const std::size_t size : {1, 100, 4095, 4096, 4097, 65'536, 1'000'000}) {
    std::string noise(size, '\0');
    for (char& c : noise) c = static_cast<char>(random());
    expect_round_trip(noise);
  }
}

TEST(Compression, MetricsShrinkToAFifthAtMost) {
  const std::string text = metrics(10'000);
  const std::string compressed = gzip(text);
  RecordProperty("bytes", static_cast<int>(compressed.size()));
  EXPECT_LT(compressed.size() * 5, text.size());
}

}  // namespace
}  // namespace shmetrics::exporter
