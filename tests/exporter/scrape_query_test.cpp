#include "exporter/request/scrape_query.hpp"

#include <gtest/gtest.h>

#include "tests/exporter/asked.hpp"

namespace shmetrics::exporter {
namespace {

using Names = std::vector<std::string>;

ScrapeQuery query_of(std::string_view target, std::vector<Field> fields = {}, bool with_compression = true) {
  Site site;
  site.compression = with_compression;
  fields.push_back({"Host", "localhost"});
  return std::get<ScrapeOrder>(respond_to(site, {.target = target, .fields = fields})).query;
}

TEST(ScrapeQuery, NamesAreDecodedSortedAndThereOnce) {
  EXPECT_EQ(query_of("/metrics").names, Names{});
  EXPECT_EQ(query_of("/metrics?name[]=b&x=y&name%5B%5d=a&name[]=b").names, (Names{"a", "b"}));
  EXPECT_EQ(query_of("/metrics?name[]=%75p").names, Names{"up"});
  EXPECT_EQ(query_of("/metrics?name=a&names[]=b&NAME[]=c").names, Names{});
}

TEST(ScrapeQuery, ANameThatSaysNothingStillFilters) {
  for (const char* target : {"/metrics?name[]=", "/metrics?name[]", "/metrics?name[]=%zz"}) {
    EXPECT_TRUE(query_of(target).has_filter()) << target;
    EXPECT_FALSE(query_of(target).wants({"up"})) << target;
  }
}

TEST(ScrapeQuery, AFamilyIsWantedByAnyNameThatItProduces) {
  const ScrapeQuery query = query_of("/metrics?name[]=a_sum&name[]=b");
  EXPECT_TRUE(query.wants({"a", "a_bucket", "a_sum"}));
  EXPECT_TRUE(query.wants({"b"}));
  EXPECT_FALSE(query.wants({"a"}));
  EXPECT_FALSE(query.wants({"bb", "B"}));
  EXPECT_TRUE(query_of("/metrics").wants({"whatever"}));
}

TEST(ScrapeQuery, LinesOfAFieldAreOneList) {
  const ScrapeQuery query = query_of("/metrics", {{"accept", "text/plain;q=0.1"},
                                                  {"Accept-Encoding", "br"},
                                                  {"Accept", "application/openmetrics-text;version=1.0.0"},
                                                  {"accept-encoding", "gzip"}});
  EXPECT_EQ(query.representation.format, Format::kOpenmetrics100);
  EXPECT_EQ(query.coding, Coding::kGzip);
}

TEST(ScrapeQuery, WithoutCompressionGzipIsNotChosen) {
  EXPECT_EQ(query_of("/metrics", {{"Accept-Encoding", "gzip"}}, false).coding, Coding::kIdentity);
}

TEST(ScrapeQuery, ATimeoutIsAFiniteNumberAboveZeroOrNothing) {
  const auto timeout = [](std::string_view text) {
    return Asked{.fields = {{"Host", "localhost"}, {"X-Prometheus-Scrape-Timeout-Seconds", text}}}.request().patience;
  };
  EXPECT_EQ(timeout("10"), std::chrono::seconds(10));
  EXPECT_EQ(timeout("0.5"), std::chrono::milliseconds(500));
  EXPECT_EQ(timeout("1e3"), std::chrono::seconds(1000));
  for (const char* nothing : {"", "0", "-1", "nan", "inf", "1e999", "10s", " 10", "ten", "0x10"}) {
    EXPECT_FALSE(timeout(nothing)) << nothing;
  }
  EXPECT_FALSE(Asked{}.request().patience);
}

}  // namespace
}  // namespace shmetrics::exporter
