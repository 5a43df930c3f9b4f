// Scrapes of the real exporter: formats, codings, filters, and what limits do to them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <list>
#include <memory>
#include <shmetrics/shmetrics.hpp>

#include "tests/collector/text_checker.hpp"
#include "tests/openmetrics_judge.hpp"
#include "tests/running_exporter.hpp"

namespace shmetrics::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* kOpenmetrics = "Accept: application/openmetrics-text;version=1.0.0\r\n";
constexpr const char* kOpenmetricsType = "application/openmetrics-text; version=1.0.0; charset=utf-8";

std::string fields(const std::string& more) {
  return "Host: localhost\r\n" + more;
}
std::string scrape_request(const std::string& more = {}, const std::string& query = {}) {
  return "GET /metrics" + query + " HTTP/1.1\r\n" + fields(more) + "\r\n";
}

/// Segments for all tests of a process: one with every kind, each with a value, and a big one.
class ScrapeTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = std::make_unique<TemporaryFolder>();
    const Registry registry = open("crm.seg");
    registry.counter("crm_requests_total", "Requests \"in\"", {"route"}).with("/a\"\\\n").inc(7);
    registry.gauge("crm_active", "Active", {}, GaugeMode::liveall).set(3);
    registry.histogram("crm_wait_seconds", "Waits", {"queue"}, {0.5, 1.0}).with("mail").observe(0.3);
    registry.summary("crm_response_bytes", "Sizes").observe(1e9);
    registry.info("crm_build_info", "Build", {{"version", "1.2.3"}});
  }
  static void TearDownTestSuite() { directory_.reset(); }
  static Registry open(const std::string& name) {
    Options options;
    options.path = directory_->file(name);
    options.directory_bytes = 8 << 20;
    options.series_per_family = 100'000;
    return Registry::open(options);
  }
  /// A segment whose text takes some megabytes: more than sockets hold.
  static std::string big_segment() {
    const auto family = open("big.seg").counter("crm_big_total", "Big", {"label"});
    for (int i = 0; i < 20'000; ++i) family.with(std::string(200, 'x') + std::to_string(i)).inc();
    return directory_->file("big.seg");
  }
  static ExporterSetup setup(std::vector<std::string> flags = {}) {
    return {.flags = std::move(flags), .segment = directory_->file("crm.seg")};
  }

  static inline std::unique_ptr<TemporaryFolder> directory_;
};

TEST_F(ScrapeTest, EachFormatHasItsExactTypeAndItsOwnText) {
  const RunningExporter exporter(setup());
  const HttpResponse text = exporter.get("/metrics");
  EXPECT_EQ(text.header("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(TextChecker::problem(text.body), "");
  const HttpResponse old = exporter.get("/metrics", fields("Accept: application/openmetrics-text\r\n"));
  EXPECT_EQ(old.header("Content-Type"), "application/openmetrics-text; version=0.0.1; charset=utf-8");
  const HttpResponse open = exporter.get("/metrics", fields(kOpenmetrics));
  EXPECT_EQ(open.header("Content-Type"), kOpenmetricsType);
  EXPECT_EQ(open.header("Vary"), "Accept, Accept-Encoding");
  for (const std::string& body : {old.body, open.body}) {
    EXPECT_TRUE(body.ends_with("\n# EOF\n"));
    EXPECT_THAT(body, HasSubstr("# TYPE crm_requests counter\n# HELP crm_requests Requests \\\"in\\\"\n"));
    EXPECT_THAT(body, HasSubstr("\ncrm_wait_seconds_bucket{queue=\"mail\",le=\"1.0\"} 1\n"));
    EXPECT_LT(std::stod(body.substr(body.find("\nshmetrics_scrape_duration_seconds ") + 35)), 20);
    EXPECT_THAT(body, HasSubstr("# UNIT process_cpu_seconds seconds\n"));
    EXPECT_THAT(body, HasSubstr("# TYPE shmetrics_exporter_requests counter\n"));
    EXPECT_THAT(body, Not(HasSubstr("crm_requests_created")));
  }
}

TEST_F(ScrapeTest, AnIndependentParserReadsAllOfItWithAndWithoutCreatedSeries) {
  if (!has_openmetrics_judge()) GTEST_SKIP() << kNoJudge;
  for (const char* flag : {"--no-web.created-series", "--web.created-series"}) {
    const RunningExporter exporter(setup({flag}));
    const Outcome judged = judge_openmetrics(exporter.get("/metrics", fields(kOpenmetrics)).body);
    EXPECT_EQ(judged.code, 0) << judged.error;
    EXPECT_THAT(judged.out, HasSubstr("[\"crm_requests\", \"counter\", \"\", \"Requests \\\"in\\\"\"]\n"));
    EXPECT_THAT(judged.out, HasSubstr("[\"process_resident_memory_bytes\", \"gauge\", \"bytes\", "));
  }
}

TEST_F(ScrapeTest, CreatedSeriesComeWithTheFlagInOpenmetricsAlone) {
  const RunningExporter exporter(setup({"--web.created-series"}));
  const std::string body = exporter.get("/metrics", fields(kOpenmetrics)).body;
  for (const char* series : {"\ncrm_requests_created{route=\"/a\\\"\\\\\\n\"} 1", "\ncrm_response_bytes_created 1",
                             "\ncrm_wait_seconds_created{queue=\"mail\"} 1"}) {
    EXPECT_THAT(body, HasSubstr(series));
  }
  EXPECT_THAT(body, Not(HasSubstr("crm_active_created")));
  const std::size_t at = body.find("crm_response_bytes_created ");
  const double created = std::stod(body.substr(body.find(' ', at)));
  EXPECT_NEAR(created, static_cast<double>(time(nullptr)), 600);
  EXPECT_THAT(exporter.get("/metrics").body, Not(HasSubstr("_created ")));
}

TEST_F(ScrapeTest, GzipIsTheSameBytesForThoseWhoAskUnlessItIsOff) {
  const std::string query = "?name[]=crm_requests_total&name[]=crm_wait_seconds_count";
  const std::string ask = fields("Accept-Encoding: gzip\r\n");
  const RunningExporter exporter(setup());
  const std::string plain = exporter.get("/metrics" + query).body;
  EXPECT_THAT(plain, StartsWith("# HELP crm_requests_total "));
  const HttpResponse zipped = exporter.get("/metrics" + query, ask);
  EXPECT_EQ(zipped.header("Content-Encoding"), "gzip");
  const char* script = "import gzip, sys; sys.stdout.buffer.write(gzip.decompress(sys.stdin.buffer.read()))";
  EXPECT_EQ(run_command({kPython, "-c", script}, zipped.body).out, plain);
  EXPECT_EQ(exporter.get("/metrics" + query, fields("Accept-Encoding: gzip;q=0\r\n")).body, plain);
  const RunningExporter other(setup({"--no-web.compression"}));
  EXPECT_EQ(other.get("/metrics" + query, ask).header("Content-Encoding"), "");
  EXPECT_EQ(other.get("/metrics" + query, ask).body, plain);
}

TEST_F(ScrapeTest, AFilterTakesFamiliesByTheirNameOrASamples) {
  const RunningExporter exporter(setup());
  const auto get = [&](const std::string& query, const char* accept = "") {
    return exporter.get("/metrics?" + query, fields(accept)).body;
  };
  EXPECT_EQ(get("name%5B%5D=crm_wait_seconds_sum"),
            "# HELP crm_wait_seconds Waits\n# TYPE crm_wait_seconds histogram\n"
            "crm_wait_seconds_bucket{queue=\"mail\",le=\"0.5\"} 1\n"
            "crm_wait_seconds_bucket{queue=\"mail\",le=\"1\"} 1\n"
            "crm_wait_seconds_bucket{queue=\"mail\",le=\"+Inf\"} 1\n"
            "crm_wait_seconds_sum{queue=\"mail\"} 0.3\ncrm_wait_seconds_count{queue=\"mail\"} 1\n");
  EXPECT_EQ(get("name[]=crm_build&name[]=shmetrics_segment_up", kOpenmetrics),
            "# TYPE crm_build info\n# HELP crm_build Build\ncrm_build_info{version=\"1.2.3\"} 1\n"
            "# TYPE shmetrics_segment_up gauge\n"
            "# HELP shmetrics_segment_up Whether the segment could be read in this scrape.\n"
            "shmetrics_segment_up 1\n# EOF\n");
  EXPECT_EQ(get("name[]=crm"), "");
  EXPECT_EQ(get("name[]=crm", kOpenmetrics), "# EOF\n");
}

TEST_F(ScrapeTest, HeadHasTheLengthAndNoBodyAndTheConnectionGoesOn) {
  const RunningExporter exporter(setup());
  auto client = exporter.connect();
  for (const std::string coding : {"", "Accept-Encoding: gzip\r\n"}) {
    const std::string target =
        "/metrics?name[]=crm_requests_total HTTP/1.1\r\n" + fields(kOpenmetrics) + coding + "\r\n";
    const HttpResponse head = client.exchange("HEAD " + target);
    const HttpResponse get = client.exchange("GET " + target);
    EXPECT_EQ(head.header("Content-Type"), kOpenmetricsType);
    EXPECT_EQ(head.header("Content-Encoding"), get.header("Content-Encoding"));
    EXPECT_EQ(head.header("Content-Length"), std::to_string(get.body.size()));
  }
}

TEST_F(ScrapeTest, WhenTheScrapersTimeIsOverIt503AndTheConnectionGoesOn) {
  RunningExporter exporter(setup());
  auto client = exporter.connect();
  const HttpResponse late = client.exchange(scrape_request("X-Prometheus-Scrape-Timeout-Seconds: 1e-12\r\n"));
  EXPECT_EQ(late.status, 503);
  EXPECT_EQ(late.header("Retry-After"), "1");
  EXPECT_TRUE(exporter.child().says("status=503 cause=scrape_timeout "));
  for (const char* seconds : {"10", "NaN", "-1", "1e300", "0", "soon"}) {
    const std::string field = std::string("X-Prometheus-Scrape-Timeout-Seconds: ") + seconds + "\r\n";
    EXPECT_EQ(client.exchange(scrape_request(field)).status, 200) << seconds;
  }
  EXPECT_THAT(exporter.get("/metrics").body, HasSubstr("requests_total{code=\"503\",handler=\"metrics\"} 1\n"));
}

TEST_F(ScrapeTest, ScrapesBeyondTheLimitAre503AndCountedUntilOneIsWritten) {
  RunningExporter exporter({.flags = {"--web.max-requests=2"}, .segment = big_segment()});
  std::list<HttpClient> slow;
  for (const char* from : {"127.0.0.2", "127.0.0.3"}) {
    slow.push_back(HttpClient::tcp4(exporter.port(), "127.0.0.1", from));
    slow.back().send(scrape_request());  // and does not read
  }
  HttpResponse refused;
  EXPECT_TRUE(eventually([&] { return (refused = exporter.get("/metrics")).status == 503; }));
  EXPECT_EQ(refused.header("Retry-After"), "1");
  EXPECT_EQ(refused.body, "too many scrapes at once\n");
  EXPECT_TRUE(exporter.child().says("msg=\"request refused\" status=503 cause=max_requests "));
  EXPECT_TRUE(exporter.is_healthy());
  for (HttpClient& client : slow) EXPECT_EQ(client.read_response().status, 200);
  HttpResponse served;
  EXPECT_TRUE(eventually([&] { return (served = exporter.get("/metrics")).status == 200; }));
  EXPECT_THAT(served.body, Not(HasSubstr("requests_total{code=\"503\",handler=\"metrics\"} 0\n")));
}

TEST_F(ScrapeTest, OnePeerHasNoMoreThanHalfOfTheScrapesInFlight) {
  RunningExporter exporter({.flags = {"--web.max-requests=4"}, .segment = big_segment()});
  std::list<HttpClient> slow;
  for (int i = 0; i < 2; ++i) {
    slow.push_back(HttpClient::tcp4(exporter.port(), "127.0.0.1", "127.0.0.2"));
    slow.back().send(scrape_request());  // and does not read
  }
  const auto status_for = [&](const char* from) {
    HttpClient client = HttpClient::tcp4(exporter.port(), "127.0.0.1", from);
    client.send(scrape_request());
    return client.read_response().status;
  };
  EXPECT_TRUE(eventually([&] { return status_for("127.0.0.2") == 503; }));
  EXPECT_EQ(status_for("127.0.0.3"), 200);
  for (HttpClient& client : slow) EXPECT_EQ(client.read_response().status, 200);
  EXPECT_TRUE(eventually([&] { return status_for("127.0.0.2") == 200; }));
}

TEST_F(ScrapeTest, TwoHundredAtOnceAreAllServedWhereThereIsNoLimit) {
  const RunningExporter exporter(setup({"--web.max-requests=0"}));
  std::list<HttpClient> clients;
  for (int i = 0; i < 200; ++i) {
    const std::string from = "127.0.2." + std::to_string(1 + i / 50);
    clients.push_back(HttpClient::tcp4(exporter.port(), "127.0.0.1", from.c_str()));
  }
  int i = 0;
  for (HttpClient& client : clients) client.send(scrape_request(i++ % 2 == 0 ? "" : kOpenmetrics));
  i = 0;
  for (HttpClient& client : clients) {
    const HttpResponse response = client.read_response();
    EXPECT_EQ(response.status, 200);
    EXPECT_THAT(response.body, HasSubstr("\ncrm_requests_total{route=\"/a\\\"\\\\\\n\"} 7\n"));
    EXPECT_EQ(response.body.ends_with("# EOF\n"), i++ % 2 == 1);
  }
}

TEST_F(ScrapeTest, WhatTheResponseHasNoRoomForIsLeftOutWholeAndCounted) {
  RunningExporter exporter({.flags = {"--web.max-response-bytes=100k"}, .segment = big_segment()});
  const std::string body = exporter.get("/metrics").body;
  EXPECT_EQ(TextChecker::problem(body), "");
  EXPECT_LT(body.size(), 120'000U);
  EXPECT_THAT(body, HasSubstr("shmetrics_quarantined{what=\"series\"} 19"));
  EXPECT_THAT(body, HasSubstr("\nprocess_start_time_seconds "));
  EXPECT_TRUE(exporter.child().says("raise --web.max-response-bytes"));
}

}  // namespace
}  // namespace shmetrics::tests
