// Peers that mean harm, many at once: what the exporter takes of the machine stays bounded, who is right is served
// meanwhile, and nobody sees a metric without a credential.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <list>

#include "tests/exporter/large_segment.hpp"
#include "tests/running_exporter.hpp"

namespace shmetrics::tests {
namespace {

const std::string kBearer = std::string("Authorization: Bearer ") + kToken + "\r\n";
const std::string kGet = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n";

struct Use {
  long rss_kb = 0, threads = 0;
};

Use use_of(pid_t pid) {
  const std::string proc = "/proc/" + std::to_string(pid);
  Use use;
  std::ifstream status(proc + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) use.rss_kb = std::stol(line.substr(6));
    if (line.starts_with("Threads:")) use.threads = std::stol(line.substr(8));
  }
  return use;
}

/// By its own word: /proc shows them to who may debug it alone.
long descriptors_of(const RunningExporter& exporter) {
  return std::lround(exporter.values(kBearer)["process_open_fds"]);
}

#ifdef __SANITIZE_ADDRESS__
constexpr long kMostGrowthKb = 512 * 1024;  // freed memory stays in its quarantine
#else
constexpr long kMostGrowthKb = 64 * 1024;
#endif
constexpr long kMostThreads = 8;

/// A scraper with a token that comes again and again, from an address of its own.
class RightClient {
 public:
  explicit RightClient(std::uint16_t port) : thread_([this, port] { scrape_on(port); }) {}
  ~RightClient() { stop(); }
  struct Answers {
    int served = 0, told_to_wait = 0, failed = 0;
    std::string first_failure = {};
  };
  Answers stop() {
    is_stopped_ = true;
    if (thread_.joinable()) thread_.join();
    return answers_;
  }

 private:
  void scrape_on(std::uint16_t port) {
    do {
      try {
        auto client = HttpClient::tcp4(port, "127.0.0.1", "127.0.9.9");
        const HttpResponse response = client.exchange(kGet + kBearer + "\r\n");
        if (response.status == 200) {
          ++answers_.served;
        } else if (response.status == 503) {
          ++answers_.told_to_wait;
        } else {
          note_failure(std::to_string(response.status) + " " + response.body);
        }
      } catch (const std::exception& error) {
        note_failure(error.what());
      }
      // Each leaves a port that rests for a minute, and there are 28,000.
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      // On a busy machine a test may end before its first.
    } while (!is_stopped_ || (answers_.served == 0 && answers_.failed == 0));
  }
  void note_failure(const std::string& what) {
    if (answers_.failed++ == 0) answers_.first_failure = "scrape " + std::to_string(answers_.served) + ": " + what;
  }
  std::atomic<bool> is_stopped_ = false;
  Answers answers_;  // of the thread, until it has ended
  std::thread thread_;
};

class Hostile : public ::testing::Test {
 protected:
  Hostile() { (void)exporter_.get("/metrics", "Host: x\r\n" + kBearer); }
  ~Hostile() override {
    EXPECT_TRUE(exporter_.child().runs()) << exporter_.child().err();
    const auto [served, told_to_wait, failed, first_failure] = right_client_.stop();
    EXPECT_GT(served, 0);
    EXPECT_EQ(failed, 0) << first_failure << "\n" << exporter_.child().err();
    if (!is_full_of_scrapes_) {
      EXPECT_EQ(told_to_wait, 0) << exporter_.child().err();
    }
  }

  HttpClient connect_from(int peer) const {
    const std::string from = "127.0.1." + std::to_string(1 + peer);
    return HttpClient::tcp4(exporter_.port(), "127.0.0.1", from.c_str());
  }
  void expect_bounded(const char* when) {
    const Use now = use_of(exporter_.child().pid());
    const long descriptors = descriptors_of(exporter_);
    std::printf("%s: %ld KiB more, %ld threads, %ld descriptors\n", when, now.rss_kb - before_.rss_kb, now.threads,
                descriptors);
    EXPECT_LT(now.rss_kb - before_.rss_kb, kMostGrowthKb) << when;
    EXPECT_LE(now.threads, kMostThreads) << when;
    EXPECT_LT(descriptors, 512 + 40) << when;
  }
  /// All of them are closed in the end.
  void expect_no_leak() {
    EXPECT_TRUE(eventually([&] { return descriptors_of(exporter_) <= descriptors_before_ + 5; }));
  }

  RunningExporter exporter_{{.flags = {"--no-web.localhost-bypass"}}};
  Use before_ = use_of(exporter_.child().pid());
  long descriptors_before_ = descriptors_of(exporter_);
  RightClient right_client_{exporter_.port()};
  bool is_full_of_scrapes_ = false;  // then a 503 is right for everybody
};

TEST_F(Hostile, TwoHundredScrapersAtOnceAreAllAnswered) {
  is_full_of_scrapes_ = true;
  std::list<HttpClient> scrapers;
  for (int i = 0; i < 200; ++i) scrapers.push_back(connect_from(i / 50));
  for (HttpClient& scraper : scrapers) scraper.send(kGet + kBearer + "\r\n");
  int served = 0, busy = 0;
  for (HttpClient& scraper : scrapers) {
    const int status = scraper.read_response().status;
    served += status == 200;
    busy += status == 503;
  }
  std::printf("200 scrapers at once: %d served, %d told to come later\n", served, busy);
  EXPECT_EQ(served + busy, 200);
  EXPECT_GT(served, 0);
  expect_bounded("200 scrapers");
  scrapers.clear();
  expect_no_leak();
}

TEST_F(Hostile, FiveHundredSlowPeersTakeAPlaceAndNoMore) {
  std::list<HttpClient> peers;
  for (int i = 0; i < 500; ++i) {
    peers.push_back(connect_from(i / 60));
    peers.back().send("GET /metrics HTTP/1.1\r\nHost: loc");
  }
  for (int round = 0; round < 20; ++round) {
    for (HttpClient& peer : peers) peer.send("a");
  }
  expect_bounded("500 slow peers");
  peers.clear();
  expect_no_leak();
}

TEST_F(Hostile, HalfRequestsAreForgotten) {
  for (int i = 0; i < 1000; ++i) connect_from(i % 20).send(kGet.substr(0, i % kGet.size()));
  expect_bounded("1,000 half requests");
  expect_no_leak();
}

TEST_F(Hostile, LongAndTwistedRequestsNeitherCrashItNorGetAMetric) {
  const std::string many(1024 * 1024, 'x');
  const std::string trailer = "X: " + std::string(70'000, 'x') + "\r\n";
  // What answers each of them. A megabyte may still be coming when the connection is closed, and take the answer along.
  struct Twisted {
    std::string bytes;
    int status;
    bool may_be_cut = false;
  };
  const std::vector<Twisted> requests{
      {kGet + "X: " + many + "\r\n\r\n", 400, true},
      {"GET /metrics?" + many + " HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, true},
      {kGet + "Transfer-Encoding: chunked\r\n" + kBearer + "\r\n0\r\n" + trailer + "\r\n", 400, true},
      {kGet + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + kBearer + "\r\n", 400},
      {kGet + "Transfer-Encoding: chunked\r\n" + kBearer + "\r\nffffffff;" + many, 400, true},
      {kGet + "Content-Length: 0\r\nContent-Length: 5\r\n" + kBearer + "\r\nhello", 400},
      {kGet + "Content-Length: 5\r\nContent-Length: 5\r\n" + kBearer + "\r\nhello", 400},
      {kGet + "Host: other\r\n" + kBearer + "\r\n", 400},
      {kGet + kBearer + kBearer + "\r\n", 401},
      {kGet + kBearer + "Authorization: Bearer wrong\r\n\r\n", 401},
      {kGet + "Authorization: Bearer " + std::string(10'000, 'x') + "\r\n\r\n", 401},
      {"GET http://localhost/metrics HTTP/1.1\r\nHost: localhost\r\n" + kBearer + "\r\n", 400},
      {"GET /metr\xc3\xaf"
       "cs HTTP/1.1\r\nHost: localhost\r\n" +
           kBearer + "\r\n",
       400},
      {"GET /metrics\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
      {kGet + "\r\n", 401},
      {many, 400, true}};
  for (int round = 0; round < 5; ++round) {
    std::list<HttpClient> peers;
    for (const Twisted& request : requests) {
      peers.push_back(connect_from(round));
      peers.back().send(request.bytes);
    }
    auto peer = peers.begin();
    for (const Twisted& request : requests) {
      SCOPED_TRACE(std::to_string(&request - requests.data()) + ": " + request.bytes.substr(0, 100));
      try {
        const HttpResponse response = peer++->read_response();
        EXPECT_EQ(response.status, request.status);
        EXPECT_EQ(response.body.find("shmetrics_"), std::string::npos);
      } catch (const std::runtime_error& error) {
        EXPECT_TRUE(request.may_be_cut) << error.what();
      }
    }
  }
  expect_bounded("twisted requests");
  expect_no_leak();
}

TEST_F(Hostile, APipelineIsAnsweredInOrderAndEnds) {
  auto peer = connect_from(0);
  std::thread sender([&] {
    const std::string unknown = "GET /nothing HTTP/1.1\r\nHost: localhost\r\n" + kBearer + "\r\n";
    for (int i = 0; i < 600; ++i) peer.send(unknown + kGet + kBearer + "\r\n");
  });
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(peer.read_response().status, i % 2 == 0 ? 404 : 200);
  EXPECT_TRUE(peer.is_closed_by_peer());
  sender.join();
  expect_bounded("a pipeline");
}

/// Closing while bytes of the peer are unread, or still to come, makes the kernel throw away what the peer has not yet
/// taken.
TEST_F(Hostile, NothingOfAPipelineIsLostToAPeerThatReadsLate) {
  const std::string unknown = "GET /nothing HTTP/1.1\r\nHost: localhost\r\n" + kBearer + "\r\n";
  auto peer = connect_from(0);
  for (int i = 0; i < 1000; ++i) peer.send(unknown);
  std::this_thread::sleep_for(std::chrono::seconds(2));
  peer.send(unknown);  // behind the end, which the peer has not read of
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(peer.read_response().status, 404) << i;
  EXPECT_TRUE(peer.is_closed_by_peer());
}

TEST(HostileReaders, ThatTakeNothingDoNotMultiplyALargeResponse) {
  const TemporaryFolder directory;
  const LargeSegment segment(directory.file("large.seg"));
  RunningExporter exporter({.segment = directory.file("large.seg")});
  EXPECT_EQ(exporter.get("/metrics").status, 200);
  const Use before = use_of(exporter.child().pid());
  std::list<HttpClient> peers;
  for (int i = 0; i < 30; ++i) {
    peers.push_back(exporter.connect());
    peers.back().send(kGet + "\r\n");
  }
  EXPECT_TRUE(exporter.is_healthy());
  const Use now = use_of(exporter.child().pid());
  const long responses_kb = 30L * LargeSegment::kSeries * static_cast<long>(LargeSegment::kBytesPerSeries) / 1024;
  std::printf("30 readers that take nothing: %ld KiB more, their responses are %ld KiB\n", now.rss_kb - before.rss_kb,
              responses_kb);
  EXPECT_LT(now.rss_kb - before.rss_kb, responses_kb + kMostGrowthKb);
}

TEST(HostileReaders, ThatAskForManyThingsAndTakeNothingLeaveOthersTheirResponses) {
  const TemporaryFolder directory;
  const LargeSegment segment(directory.file("large.seg"));
  RunningExporter exporter({.flags = {"--web.max-inflight-bytes=20MiB"}, .segment = directory.file("large.seg")});
  std::list<HttpClient> peers;
  for (int i = 0; i < 20; ++i) {
    peers.push_back(exporter.connect());
    peers.back().send("GET /metrics?name[]=crm_large_total&name[]=" + std::to_string(i) +
                      " HTTP/1.1\r\nHost: localhost\r\n\r\n");
  }
  EXPECT_TRUE(exporter.child().says("cause=max_inflight_bytes")) << exporter.child().err();
  auto other = HttpClient::tcp4(exporter.port(), "127.0.0.1", "127.0.0.2");
  EXPECT_EQ(other.exchange(kGet + "\r\n").status, 200);
}

}  // namespace
}  // namespace shmetrics::tests
