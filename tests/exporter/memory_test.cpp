// What the exporter may take of memory: docs/operations.md, "Memory".
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <list>
#include <shmetrics/shmetrics.hpp>
#include <sstream>

#include "tests/forked.hpp"
#include "tests/running_exporter.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics::tests {
namespace {

using ::testing::HasSubstr;

/// What stands behind `key` in the file.
std::string word_behind(const std::string& path, const std::string& key) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  const std::size_t at = text.str().find(key);
  if (at == std::string::npos) throw std::runtime_error(path + " has no " + key);
  std::string word;
  std::istringstream(text.str().substr(at + key.size())) >> word;
  return word;
}

std::uint64_t peak_bytes(pid_t pid) {
  return std::stoull(word_behind("/proc/" + std::to_string(pid) + "/status", "VmHWM:")) * 1024;
}

/// As many and as long series of default Options as there can be: text of 260 MB from a file of 4 MB.
void make_largest(const std::string& path) {
  shmetrics::Options options;
  options.path = path;
  auto registry = shmetrics::Registry::open(options);
  auto family = registry.histogram("crm_largest", "Largest", {"a", "b", "c"}, shmetrics::linear_buckets(1, 1, 64));
  const std::string quotes(1000, '"');
  for (int i = 0; i < 1000; ++i) family.with(std::to_string(i) + quotes, quotes, quotes).observe(3);
}

/// Text of 30 MB in one family, which a kilobyte of gzip can hold.
void make_long(const std::string& path) {
  shmetrics::Options options;
  options.path = path;
  options.directory_bytes = 64 << 20;
  options.series_per_family = 40'000;
  auto registry = shmetrics::Registry::open(options);
  auto family = registry.counter("crm_long_total", "Long", {"x"});
  for (int i = 0; i < 30'000; ++i) family.with(std::to_string(i) + std::string(1000, 'x')).inc();
}

std::uint64_t peak_of_scrape(const std::string& segment, const std::string& fields) {
  RunningExporter exporter({.segment = segment});
  exporter.text(fields);
  return peak_bytes(exporter.child().pid());
}

std::string request(const std::string& target, const std::string& coding) {
  return "GET " + target + " HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: " + coding + "\r\n\r\n";
}

TEST(Memory, TheLargestSegmentOfDefaultOptionsFitsTheLimitsThatAreShipped) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "a sanitizer takes a multiple of the memory that the limits are about";
#endif
  unsetenv("SHMETRICS_OUTPUTS");  // 64 MiB of one family take promtool two minutes, and tell nothing
  const TemporaryFolder folder;
  ASSERT_EQ(wait_for(forked([&] { return make_largest(folder.file("a.seg")), 0; })), 0);
  RunningExporter exporter({.segment = folder.file("a.seg")});
  for (const char* coding : {"identity", "gzip"}) {
    std::list<HttpClient> clients;
    // Each asks for something else, so nothing is shared; and none takes it at once.
    for (int i = 0; i < 4; ++i) {
      clients.push_back(exporter.connect());
      clients.back().send(request("/metrics?name[]=crm_largest&name[]=q" + std::to_string(i), coding));
    }
    int served = 0;
    for (HttpClient& client : clients) {
      const unsigned status = client.read_response().status;
      EXPECT_TRUE(status == 200 || status == 503) << status;
      served += status == 200;
    }
    EXPECT_GE(served, 1);
  }
  const std::string text = exporter.get("/metrics").body;
  EXPECT_THAT(text, HasSubstr("\nshmetrics_segment_up 1\n"));
  EXPECT_LT(text.size(), 66U << 20);
  const std::uint64_t unit =
      std::stoull(word_behind(SHMETRICS_SOURCE_DIR "/deploy/systemd/shmetrics-exporter.service", "\nMemoryMax=")) << 20;
  const std::uint64_t pod = std::stoull(word_behind(SHMETRICS_SOURCE_DIR "/deploy/kubernetes/deployment.yaml",
                                                    "requests: {memory: 32Mi}, limits: {memory: "))
                            << 20;
  const std::uint64_t peak = peak_bytes(exporter.child().pid());
  RecordProperty("peak_mib", static_cast<int>(peak >> 20));
  EXPECT_LT(peak, std::min(unit, pod));
}

TEST(Memory, AScrapeInGzipNeverHoldsItsTextInAnyFormat) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "a sanitizer keeps what is freed";
#endif
  unsetenv("SHMETRICS_OUTPUTS");
  constexpr std::uint64_t kTextBytes = 30'000'000;
  const TemporaryFolder folder;
  ASSERT_EQ(wait_for(forked([&] { return make_long(folder.file("a.seg")), 0; })), 0);
  for (const std::string format : {"", "Accept: application/openmetrics-text;version=1.0.0\r\n", kAcceptProtobuf}) {
    const std::uint64_t plain = peak_of_scrape(folder.file("a.seg"), format);
    const std::uint64_t gzip = peak_of_scrape(folder.file("a.seg"), format + "Accept-Encoding: gzip\r\n");
    RecordProperty("plain_mib", static_cast<int>(plain >> 20));
    RecordProperty("gzip_mib", static_cast<int>(gzip >> 20));
    EXPECT_LT(gzip + kTextBytes * 3 / 4, plain) << format;
  }
}

}  // namespace
}  // namespace shmetrics::tests
