// Golden bytes: what a program of layout version 2 wrote yesterday, one of today still writes and reads.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

#include "shm/directory.hpp"
#include "shm/segment.hpp"

namespace shmetrics::shm {
namespace {

constexpr char kGolden[] = SHMETRICS_GOLDEN "/layout_v2.hex";

std::string hex(const std::string& title, const void* data, std::size_t bytes) {
  std::ostringstream out;
  out << "# " << title << "\n";
  for (std::size_t at = 0; at < bytes; at += 16) {
    char line[32];
    std::snprintf(line, sizeof line, "%06zx", at);
    out << line;
    for (std::size_t i = at; i < at + 16 && i < bytes; ++i) {
      std::snprintf(line, sizeof line, " %02x", static_cast<const unsigned char*>(data)[i]);
      out << line;
    }
    out << "\n";
  }
  return out.str();
}

std::string encoded() {
  Header header{};
  header.magic = kMagic;
  header.layout_version = kLayoutVersion;
  header.abi_fingerprint = kAbiFingerprint;
  const Geometry geometry;
  header.file_bytes = geometry.file_bytes();
  header.directory_bytes = geometry.directory_bytes;
  header.workers = geometry.workers;
  header.thread_slots = geometry.thread_slots;
  header.cells = geometry.cells;
  header.created_unix_ns = 0x1122334455667788;
  for (std::uint8_t i = 0; i < 16; ++i) {
    header.segment_id[i] = i;
    header.boot_id[i] = static_cast<std::uint8_t>(0xf0 + i);
  }
  CellCursor cells;
  Schema histogram;
  histogram.type = MetricType::kHistogram;
  histogram.name = "crm_http_request_duration_seconds";
  histogram.help = "Duration of HTTP requests";
  histogram.labels = {"method", "route"};
  histogram.bounds = {0.1, 1, 10};
  const std::string family = encode_family(histogram, 0x0102030405060708, 1000, cells);
  const std::string_view values[] = {"GET", "/users/:id"};
  const std::string series =
      encode_series(0, histogram.type, series_cells(histogram), values, 0x1112131415161718, cells);
  return hex("header, first 112 bytes", &header, 112) + hex("family record", family.data(), family.size()) +
         hex("series record", series.data(), series.size());
}

TEST(Layout, VersionTwoIsWhatItWas) {
  std::ifstream file(kGolden);
  std::ostringstream golden;
  golden << file.rdbuf();
  EXPECT_EQ(encoded(), golden.str())
      << "if the layout changed on purpose: raise kLayoutVersion and write a new golden file";
}

TEST(Layout, RegionsFollowEachOtherOnPages) {
  for (const Geometry& geometry :
       {Geometry{}, Geometry{1, 1, kGrowthCells, kPageBytes}, Geometry{31, 7, 4 * kGrowthCells, 8192}}) {
    EXPECT_GE(geometry.slot_table(), geometry.worker_table() + geometry.workers * sizeof(WorkerEntry));
    EXPECT_GE(geometry.directory(), geometry.slot_table() + (geometry.thread_slots + 2) * sizeof(SlotEntry));
    EXPECT_EQ(geometry.heap() + geometry.heap_bytes(), geometry.directory_bytes);
    EXPECT_EQ(sizeof(DirectoryHead) + geometry.index_entries() * sizeof(SharedWord), geometry.heap());
    EXPECT_EQ(geometry.spill_cells(), geometry.directory() + geometry.directory_bytes);
    EXPECT_EQ(sizeof(DirectoryHead) + std::uint64_t{geometry.index_entries()} * 8, geometry.heap());
    EXPECT_EQ(geometry.process_slot(0), geometry.gauge_spill_cells() + geometry.slot_bytes());
    EXPECT_EQ(geometry.thread_slot(0), geometry.process_slot(geometry.workers));
    EXPECT_EQ(geometry.file_bytes(), geometry.thread_slot(geometry.thread_slots));
    for (const std::uint64_t offset : {geometry.slot_table(), geometry.directory(), geometry.spill_cells(),
                                       geometry.process_slot(0), geometry.thread_slot(0)}) {
      EXPECT_EQ(offset % kPageBytes, 0u);
    }
  }
}

TEST(Layout, GeometryOutsideTheCapsIsRefused) {
  const Geometry good;
  EXPECT_TRUE(good.within_caps());
  const auto refused = [&](auto change) {
    Geometry bad = good;
    change(bad);
    return !bad.within_caps();
  };
  EXPECT_TRUE(refused([](Geometry& g) { g.workers = 0; }));
  EXPECT_TRUE(refused([](Geometry& g) { g.workers = kMaxWorkers + 1; }));
  EXPECT_TRUE(refused([](Geometry& g) { g.thread_slots = kMaxThreadSlots + 1; }));
  EXPECT_TRUE(refused([](Geometry& g) { g.cells = kGrowthCells + 1; }));
  EXPECT_TRUE(refused([](Geometry& g) { g.cells = kMaxCells + kGrowthCells; }));
  EXPECT_TRUE(refused([](Geometry& g) { g.directory_bytes = 100; }));
}

}  // namespace
}  // namespace shmetrics::shm
