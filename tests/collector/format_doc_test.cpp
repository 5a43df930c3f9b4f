// docs/segment-format.md is normative: its worked example and its numbers are those of the code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
#include <fstream>
#include <sstream>

#include "tests/collector/segment_builder.hpp"

namespace shmetrics {
namespace {

using ::testing::HasSubstr;

std::string page() {
  std::stringstream text;
  text << std::ifstream(SHMETRICS_DOCS "/segment-format.md").rdbuf();
  return text.str();
}

// The bytes of the example: lines of an offset, blanks, up to sixteen bytes in hexadecimal, blanks, words.
std::string example_bytes() {
  constexpr std::size_t kColumn = 6, kWidth = 3;
  std::string bytes;
  std::istringstream lines(page());
  for (std::string line; std::getline(lines, line);) {
    const std::size_t digits = line.find_first_not_of(' ');
    if (digits >= kColumn || line.find_first_not_of("0123456789", digits) != kColumn - 2) continue;
    for (std::size_t at = kColumn; at + 1 < line.size() && std::isxdigit(line[at]) != 0 && line[at + 2] == ' ';
         at += kWidth) {
      bytes += static_cast<char>(std::stoi(line.substr(at, 2), nullptr, 16));
    }
  }
  return bytes;
}

TEST(FormatDoc, TheWorkedExampleIsWhatAWriterWrites) {
  shm::CellCursor cells;
  shm::Schema schema = test::counter("app_hits_total", {"path"});
  schema.help = "Hits";
  const std::uint64_t created = 1'700'000'000'000'000'000;
  std::string expected =
      shm::encode_family(schema, {.created_unix_ns = created, .series_limit = 1000, .supersedes = 0}, cells);
  const std::vector<std::string_view> values{"/"};
  expected += shm::encode_series(64, schema.type, 0, values, created + 1'000'000'000, cells);
  EXPECT_EQ(example_bytes(), expected);
}

TEST(FormatDoc, TheDefaultGeometryLiesWhereThePageSays) {
  const shm::Geometry shape;
  for (const std::uint64_t offset : {shape.slot_table(), shape.directory(), shape.spill_cells(), shape.process_slot(0),
                                     shape.thread_slot(0), shape.file_bytes()}) {
    std::string grouped = std::to_string(offset);
    for (std::size_t at = grouped.size(); at > 3;) grouped.insert(at -= 3, ",");
    EXPECT_THAT(page(), HasSubstr(grouped));
  }
}

TEST(FormatDoc, TheFingerprintAndTheMagicAreThoseOfThePage) {
  std::ostringstream numbers;
  numbers << std::hex << "0x" << shm::kMagic << " 0x";
  numbers.fill('0');
  numbers.width(16);
  numbers << shm::kAbiFingerprint;
  const std::string text = numbers.str();
  EXPECT_THAT(page(), HasSubstr(text.substr(0, 18)));
  EXPECT_THAT(page(), HasSubstr(text.substr(19)));
}

}  // namespace
}  // namespace shmetrics
