// The buckets of native histograms: every border, what lies next to it, and windows.
#include "shm/native_window.hpp"

#include <gtest/gtest.h>

#include <boost/multiprecision/cpp_bin_float.hpp>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <random>
#include <string>
#include <vector>

namespace shmetrics::shm {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLargest = std::numeric_limits<double>::max();
constexpr double kLeastNormal = std::numeric_limits<double>::min();

/// 2^(step/256), from 100 digits.
double border_from_one(int step) {
  using Exact = boost::multiprecision::cpp_bin_float_100;
  static const auto all = [] {
    std::array<double, 256> borders{};
    for (int i = 0; i < 256; ++i) borders[i] = pow(Exact(2), Exact(i) / 256).convert_to<double>();
    return borders;
  }();
  return all[static_cast<std::size_t>(step)];
}

TEST(NativeBorders, AreTheNearestDoublesToTheirPowers) {
  for (int step = 0; step < 256; ++step) EXPECT_EQ(native_border(8, step), border_from_one(step)) << step;
}

TEST(NativeBorders, OfEverySchemaBelongToTheBucketBelowAndTheNextDoubleToTheBucketAbove) {
  for (int schema = 0; schema <= kMaxNativeSchema; ++schema) {
    const int width = 256 >> schema;
    for (const int power : {-1022, -1021, -20, -1, 0, 1, 13, 1000, 1023}) {
      for (int step = 0; step < 256; step += width) {
        const double border = std::ldexp(border_from_one(step), power);
        const int key = power * (1 << schema) + step / width;
        ASSERT_EQ(native_border(schema, key), border);
        ASSERT_EQ(native_key(schema, border), key) << schema << ' ' << power << ' ' << step;
        ASSERT_EQ(native_key(schema, std::nextafter(border, kInfinity)), key + 1) << schema << ' ' << border;
        if (border == kLeastNormal) continue;
        ASSERT_EQ(native_key(schema, std::nextafter(border, 0)), key) << schema << ' ' << border;
      }
    }
  }
}

/// The fractions of schema 8 in client_golang, from 0.5 on; none where its source is not installed.
std::vector<double> borders_of_client_golang() {
  std::ifstream file("/usr/share/gocode/src/github.com/prometheus/client_golang/prometheus/histogram.go");
  std::string line;
  while (std::getline(file, line) && line.find("// Schema 8:") == line.npos) {
  }
  std::vector<double> borders;
  for (std::string word; file >> word && word[0] != '}';) {
    if (word != "{") borders.push_back(std::strtod(word.c_str(), nullptr));
  }
  return borders;
}

// They multiply doubles to get theirs, and so are up to 4 units of the last place below the powers.
TEST(NativeBorders, AreThoseOfClientGolangButForTheLastDigit) {
  const std::vector<double> theirs = borders_of_client_golang();
  if (theirs.empty()) GTEST_SKIP() << "golang-github-prometheus-client-golang-dev is not installed";
  ASSERT_EQ(theirs.size(), 256u);
  for (int step = 0; step < 256; ++step) {
    const double ours = native_border(8, step) / 2;
    EXPECT_LE(std::abs(ours - theirs[step]) / 0x1p-53, 4) << step;
  }
  // As they look a value up.
  const auto key_of = [&](int schema, double value) {
    int exponent = 0;
    const double fraction = std::frexp(value, &exponent);
    int key = 0;
    while (key < 1 << schema && theirs[static_cast<std::size_t>(key << (8 - schema))] < fraction) ++key;
    return key + (exponent - 1) * (1 << schema);
  };
  std::mt19937_64 random(3);
  std::uniform_real_distribution<double> power(-1020, 1020);
  for (int i = 0; i < 50'000; ++i) {
    const double value = std::exp2(power(random));
    const int schema = static_cast<int>(random() % 9);
    ASSERT_EQ(native_key(schema, value), key_of(schema, value)) << value;
  }
}

TEST(NativeBorders, OfCoarseSchemasArePowersOfTwoFarApart) {
  for (int schema = kMinNativeSchema; schema < 0; ++schema) {
    const int apart = 1 << -schema;
    for (int key = -1022 / apart; key < 1024 / apart; ++key) {
      const double border = std::ldexp(1.0, key * apart);
      ASSERT_EQ(native_border(schema, key), border);
      ASSERT_EQ(native_key(schema, border), key);
      ASSERT_EQ(native_key(schema, std::nextafter(border, kInfinity)), key + 1);
    }
  }
}

TEST(NativeBorders, EndAtTheLargestDouble) {
  for (int schema = kMinNativeSchema; schema <= kMaxNativeSchema; ++schema) {
    const int last = native_key(schema, kLargest);
    EXPECT_EQ(last, coarser_native_key(1024 * 256, kMaxNativeSchema - schema));
    EXPECT_EQ(native_border(schema, last), kLargest);
  }
}

TEST(NativeKey, IsThatOfTheFirstBorderThatIsNotBelow) {
  std::mt19937_64 random(17);
  std::uniform_real_distribution<double> power(-1020, 1020);
  for (int i = 0; i < 200'000; ++i) {
    const double value = std::exp2(power(random));
    const int schema = static_cast<int>(random() % 13) + kMinNativeSchema;
    const int key = native_key(schema, value);
    ASSERT_LE(value, native_border(schema, key)) << schema;
    ASSERT_GT(value, native_border(schema, key - 1)) << schema;
  }
}

TEST(NativeSchema, IsTheCoarsestWhoseBucketsAreNotWiderThanTheFactor) {
  const std::vector<std::pair<double, int>> all = {{1.1, 3},       {1.2, 2},    {1.5, 1},  {2, 0},     {4, -1},
                                                   {1.0905, 4},    {1.0906, 3}, {1.05, 4}, {1.005, 8}, {1.0001, 8},
                                                   {1.9999999, 1}, {3.99, 0},   {256, -3}, {1e9, -4}};
  for (const auto& [factor, schema] : all) EXPECT_EQ(native_schema(factor), schema) << factor;
}

/// Where values go: {value, cell}.
void expect_cells(const NativeWindow& window, const std::vector<std::pair<double, std::uint32_t>>& all) {
  for (const auto& [value, cell] : all) EXPECT_EQ(window.cell_of(value), cell) << value;
}

TEST(NativeWindow, HasACellUpToItsLowBorderAndACellAboveItsHighOne) {
  const auto window = NativeWindow::of(std::vector<double>{0, 0.5, 8});
  ASSERT_TRUE(window);
  EXPECT_EQ(window->bound_count(), 5u) << "0.5, 1, 2, 4, 8";
  EXPECT_EQ(window->bound(0), 0.5);
  EXPECT_EQ(window->bound(4), 8);
  expect_cells(*window, {{0, 0},
                         {-0.0, 0},
                         {std::numeric_limits<double>::denorm_min(), 0},
                         {std::nextafter(kLeastNormal, 0), 0},
                         {kLeastNormal, 0},
                         {0.5, 0},
                         {std::nextafter(0.5, 1), 1},
                         {1, 1},
                         {8, 4},
                         {std::nextafter(8, 9), 5},
                         {kLargest, 5},
                         {kInfinity, 5}});
}

TEST(NativeWindow, MayReachFromTheLeastNormalNumberToTheLargest) {
  const auto window = NativeWindow::of(std::vector<double>{-1, kLeastNormal, kLargest});
  ASSERT_TRUE(window);
  expect_cells(*window, {{std::numeric_limits<double>::denorm_min(), 0},
                         {kLeastNormal, 0},
                         {std::nextafter(kLeastNormal, 1), 1},
                         {kLargest, window->bound_count() - 1},
                         {kInfinity, window->bound_count()}});
}

TEST(NativeBounds, AreTheBordersAroundLowAndHigh) {
  EXPECT_EQ(native_bounds(1, 4, 1.1), (std::array<double, 3>{3, 1, 4})) << "borders stay";
  EXPECT_EQ(native_bounds(1.1, 3.9, 2), (std::array<double, 3>{0, 1, 4}));
  EXPECT_EQ(native_bounds(0.9, 4.1, 2), (std::array<double, 3>{0, 0.5, 8}));
  EXPECT_EQ(native_bounds(1, 1e300, 65536)[2], std::ldexp(1, 1008));
  EXPECT_EQ(native_bounds(1, kLargest, 1.1)[2], kLargest);
  for (const double factor : {1.003, 1.1, 1.3, 5.0, 300.0}) {
    const auto bounds = native_bounds(6.1e-5, 250, factor);
    EXPECT_TRUE(NativeWindow::of(bounds)) << factor;
    EXPECT_LE(bounds[1], 6.1e-5);
    EXPECT_GE(bounds[2], 250);
  }
}

TEST(NativeRefusal, SaysWhatToDo) {
  const auto refusal = [](double low, double high, double factor = 1.1) {
    return native_refusal(native_bounds(low, high, factor), 1021);
  };
  EXPECT_EQ(refusal(1e-4, 300), "");
  const std::string no_low = "low of native buckets must be the least value that matters, above 0";
  for (const double low : {0.0, -1.0, 1e-310, std::nan(""), kInfinity}) EXPECT_EQ(refusal(low, 1), no_low) << low;
  const std::string no_high = "high of native buckets must be above low, and finite";
  for (const double high : {0.0, 0.5, 1.0, -2.0, std::nan(""), kInfinity}) EXPECT_EQ(refusal(1, high), no_high) << high;
  const std::string no_factor = "the factor of native buckets must be above 1, such as 1.1";
  for (const double factor : {1.0, 0.0, -2.0, std::nan(""), kInfinity})
    EXPECT_EQ(refusal(1, 2, factor), no_factor) << factor;
  EXPECT_EQ(refusal(1e-9, 1e9, 1.01),
            "native buckets that need 7655 bounds, at most 1021: take the factor 1.0443, or narrow low and high");
  EXPECT_EQ(refusal(1e-9, 1e9, 1.0443), "");
}

}  // namespace
}  // namespace shmetrics::shm
