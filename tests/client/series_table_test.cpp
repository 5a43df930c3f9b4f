// The look-up of label values where another process has scribbled over the directory.
#include "client/series_table.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <vector>

#include "shm/layout.hpp"

namespace shmetrics::detail {
namespace {

TEST(SeriesTable, OfARecordThatIsTooShortForItsLabelsNothingIsReadBehindTheDirectory) {
  constexpr std::size_t kPage = shm::kPageBytes;
  void* const memory = mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto* const directory = static_cast<std::byte*>(memory);
  ASSERT_EQ(mprotect(directory + kPage, kPage, PROT_NONE), 0);

  constexpr std::uint32_t kFamily = 7;
  constexpr std::uint32_t kRecordBytes = 48;  // of one label
  const std::vector<std::string_view> values(16, "value");
  const shm::SeriesRecord record{{}, 0, kFamily, 100};
  const std::uint16_t length = 5;
  std::memcpy(directory + kPage - kRecordBytes, &record, sizeof record);
  std::memcpy(directory + kPage - kRecordBytes + sizeof record, &length, sizeof length);

  SeriesTable table(directory, 2048);
  table.add(kFamily, values, kPage - kRecordBytes, kRecordBytes);
  EXPECT_EQ(table.find(kFamily, values), SeriesTable::kUnknown);
  munmap(memory, 2 * kPage);
}

}  // namespace
}  // namespace shmetrics::detail
