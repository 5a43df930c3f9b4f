// Built once for each variant of exporter/scrape/compression.hpp. The judge is zlib's inflate.
#include "exporter/scrape/compression.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <random>

namespace shmetrics::exporter {
namespace {

constexpr int kGzipOnly = 15 + 16;

/// What zlib reads, and whether that was one whole member and nothing behind it.
std::pair<std::string, bool> inflated(const std::string& compressed) {
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, kGzipOnly), Z_OK);
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
  return {text, result == Z_STREAM_END && stream.avail_in == 0};
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
  const auto [back, is_whole] = inflated(gzip(text));
  EXPECT_TRUE(is_whole);
  EXPECT_TRUE(back == text) << text.size();
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
