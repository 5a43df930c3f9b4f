// docs/segment-format.md is normative: its worked example and its numbers are those of the code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "shm/directory.hpp"
#include "shm/geometry.hpp"

namespace shmetrics {
namespace {

using ::testing::HasSubstr;

std::string page() {
  std::stringstream text;
  text << std::ifstream(SHMETRICS_DOCS "/segment-format.md").rdbuf();
  return text.str();
}

// The bytes of the example, as pieces of a directory that are not 0: lines of an offset, blanks, up to sixteen bytes in
// hexadecimal, blanks, words.
std::map<std::uint64_t, std::string> example_pieces() {
  const std::regex kLine("^ *([0-9]+)  ((?:[0-9a-f]{2} ){0,15}[0-9a-f]{2})(?:   .*)?$");
  std::map<std::uint64_t, std::string> pieces;
  std::uint64_t end = 0;
  std::string* piece = nullptr;
  std::istringstream lines(page());
  for (std::string line; std::getline(lines, line);) {
    std::smatch found;
    if (!std::regex_match(line, found, kLine)) continue;
    const std::uint64_t offset = std::stoull(found[1]);
    if (piece == nullptr || offset != end) piece = &pieces[offset];
    std::istringstream bytes(found[2]);
    bytes >> std::hex;
    for (unsigned byte = 0; bytes >> byte;) *piece += static_cast<char>(byte);
    end = offset + (found[2].length() + 1) / 3;
  }
  return pieces;
}

std::string word(std::uint64_t value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

TEST(FormatDoc, TheWorkedExampleIsWhatAWriterWrites) {
  shm::Schema schema;
  schema.type = shm::MetricType::kCounter;
  schema.cell_kind = shm::CellKind::kUnsigned;
  schema.name = "app_hits_total";
  schema.help = "Hits";
  schema.labels = {"path"};
  const std::uint64_t created = 1'700'000'000'000'000'000;
  shm::CellCursor cells;
  const std::string family = shm::encode_family(schema, created, 1000, cells);
  const std::vector<std::string_view> values{"/"};
  const std::string series =
      shm::encode_series(0, schema.type, shm::series_cells(schema), values, created + 1'000'000'000, cells);

  const auto heap = static_cast<std::uint32_t>(shm::Geometry{}.heap());
  const shm::IndexEntry first{heap, static_cast<std::uint32_t>(family.size())};
  const shm::IndexEntry second{static_cast<std::uint32_t>(first.end()), static_cast<std::uint32_t>(series.size())};
  const std::map<std::uint64_t, std::string> expected{
      {0, word(second.end())},
      {sizeof(shm::DirectoryHead), word(first.word()) + word(second.word()) + word(0)},
      {heap, family + series}};
  EXPECT_EQ(example_pieces(), expected);
}

TEST(FormatDoc, TheDefaultGeometryLiesWhereThePageSays) {
  const shm::Geometry shape;
  for (const std::uint64_t offset :
       {shape.slot_table(), shape.directory(), shape.directory() + shape.heap(), shape.spill_cells(),
        shape.process_slot(0), shape.thread_slot(0), shape.file_bytes()}) {
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
