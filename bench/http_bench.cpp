// What does a scrape over HTTP cost the exporter, beside the work that it cannot do without?
//
// Eight processes have counted SERIES series. Then, by turns in the same run:
//   alone    read, merge, render and gzip the segment in this process
//   plain    the same without gzip by the real exporter, to one client over loopback that keeps its connection
//   gzip     the same with gzip
//   tls      plain, by a second exporter that speaks TLS 1.3; then with gzip, as Prometheus asks
// All are processor time of all threads, user and system, a scrape; the exporter's holds its self metrics, HTTP,
// authentication and the way between its threads. Then requests a second, one after the other, the exporter's ratio to
// `alone`, and what it had in memory at most: for these, and in fresh ones for 1, 8 and 32 clients that ask one after
// the other and read nothing until all have asked, so that each holds an answer of its own.
//
// Run: build/release/bin/http_bench [SCRAPES [SERIES]]
#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "bench/counted_segment.hpp"
#include "collector/render.hpp"
#include "collector/scraper.hpp"
#include "exporter/scrape/compression.hpp"
#include "tests/exporter/certificates.hpp"
#include "tests/running_exporter.hpp"

namespace {

constexpr int kTurns = 5;

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Work {
  double cpu = 0, wall = 0;  // seconds
};

using shmetrics::bench::cpu_seconds;
using shmetrics::bench::memory_mb;
using shmetrics::tests::HttpClient;
using shmetrics::tests::RunningExporter;

std::string request(bool gzips) {
  return std::string("GET /metrics HTTP/1.1\r\nHost: localhost\r\n") +
         (gzips ? "Accept-Encoding: gzip\r\n\r\n" : "\r\n");
}

/// A connection that stays; a new one when the exporter ends it after some requests.
class KeptConnection {
 public:
  explicit KeptConnection(const RunningExporter& exporter) : exporter_(exporter) {}

  std::size_t scrape(bool gzips) {
    if (client_ == nullptr) client_ = std::make_unique<HttpClient>(exporter_.connect());
    const auto response = client_->exchange(request(gzips));
    if (response.status != 200 || (response.header("Content-Encoding") == "gzip") != gzips) std::abort();
    if (response.header("Connection") == "close") client_.reset();
    return response.body.size();
  }

 private:
  const RunningExporter& exporter_;
  std::unique_ptr<HttpClient> client_;
};

class KeptTlsConnection {
 public:
  explicit KeptTlsConnection(std::uint16_t port) : address_("127.0.0.1:" + std::to_string(port)) {}
  ~KeptTlsConnection() {
    BIO_free_all(stream_);
    SSL_CTX_free(context_);
  }
  KeptTlsConnection(const KeptTlsConnection&) = delete;
  KeptTlsConnection& operator=(const KeptTlsConnection&) = delete;

  std::size_t scrape(bool gzips) {
    if (stream_ == nullptr) connect();
    const std::string asked = request(gzips);
    if (BIO_write(stream_, asked.data(), static_cast<int>(asked.size())) <= 0) std::abort();
    std::string answer;
    while (answer.find("\r\n\r\n") == std::string::npos) read_more(answer);
    const std::size_t head = answer.find("\r\n\r\n") + 4;
    const std::size_t length = answer.find("Content-Length: ");
    const bool is_gzip = answer.find("Content-Encoding: gzip") < head;
    if (!answer.starts_with("HTTP/1.1 200") || length > head || is_gzip != gzips) std::abort();
    const std::size_t size = std::stoul(answer.substr(length + 16));
    while (answer.size() < head + size) read_more(answer);
    if (answer.rfind("Connection: close", head) != std::string::npos) {
      BIO_free_all(stream_);
      stream_ = nullptr;
    }
    return size;
  }

 private:
  void connect() {
    stream_ = BIO_new_ssl_connect(context_);
    BIO_set_conn_hostname(stream_, address_.c_str());
    if (BIO_do_connect(stream_) <= 0) std::abort();
  }
  void read_more(std::string& answer) const {
    char bytes[16384];
    const int count = BIO_read(stream_, bytes, sizeof bytes);
    if (count <= 0) std::abort();
    answer.append(bytes, static_cast<std::size_t>(count));
  }

  std::string address_;
  SSL_CTX* context_ = SSL_CTX_new(TLS_client_method());
  BIO* stream_ = nullptr;
};

/// Of a fresh exporter, in MB, once that many clients wait for their answers.
double peak_mb_of_clients(const std::string& segment, int count) {
  RunningExporter exporter({.segment = segment});
  std::vector<HttpClient> clients;
  for (int i = 0; i < count; ++i) {
    clients.push_back(exporter.connect());
    clients.back().send(request(false));
    usleep(100'000);  // those that come together share one look at the segment, and one text
  }
  for (HttpClient& client : clients) {
    if (client.read_response().status != 200) std::abort();
  }
  return memory_mb(exporter.child().pid());
}

}  // namespace

int main(int argc, char** argv) {
  const int scrapes = argc > 1 ? std::atoi(argv[1]) : 1000;
  const int series = argc > 2 ? std::atoi(argv[2]) : 10'000;
  if (scrapes < kTurns || series < 1) return std::fprintf(stderr, "usage: http_bench [SCRAPES [SERIES]]\n"), 2;
  const shmetrics::bench::CountedSegment counted(series);
  const std::string& path = counted.path();
  RunningExporter exporter({.segment = path});
  KeptConnection connection(exporter);
  shmetrics::tests::Authority authority;
  authority.sign("server", "IP:127.0.0.1");
  std::ofstream(authority.file("web.yml")) << "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n";
  RunningExporter tls_exporter({.flags = {"--web.config.file=" + authority.file("web.yml")}, .segment = path});
  KeptTlsConnection tls_connection(tls_exporter.port());
  shmetrics::collector::Scraper scraper(path);
  std::size_t text_bytes = 0, gzip_bytes = 0;
  const auto scrape_alone = [&] {
    std::string body;
    shmetrics::exporter::GzipStream stream(body);
    shmetrics::collector::TextOutput out([&stream](std::string_view piece) { stream.add(piece); });
    scraper.read();
    shmetrics::collector::FamilyGroups(scraper.view()).for_each({}, [&](auto parts) {
      shmetrics::collector::render_text(parts, out);
    });
    stream.finish();
    text_bytes = out.size();
    gzip_bytes = body.size();
  };
  const auto require_all = [&](std::size_t bytes) {
    if (bytes < text_bytes) std::abort();
  };
  const int each = scrapes / kTurns;
  const auto measure = [&](Work& work, pid_t worker, auto scrape) {
    const Work before{cpu_seconds(worker), wall_seconds()};
    for (int i = 0; i < each; ++i) scrape();
    work.cpu += cpu_seconds(worker) - before.cpu;
    work.wall += wall_seconds() - before.wall;
  };
  Work alone, plain, gzip, tls, tls_gzip;
  for (int turn = -1; turn < kTurns; ++turn) {
    if (turn == 0) alone = plain = gzip = tls = tls_gzip = {};  // the first warmed up all and does not count
    measure(alone, getpid(), scrape_alone);
    measure(plain, exporter.child().pid(), [&] { require_all(connection.scrape(false)); });
    measure(gzip, exporter.child().pid(), [&] { connection.scrape(true); });
    measure(tls, tls_exporter.child().pid(), [&] { require_all(tls_connection.scrape(false)); });
    measure(tls_gzip, tls_exporter.child().pid(), [&] { tls_connection.scrape(true); });
  }
  const double count = each * kTurns;
  const auto print = [&](const char* name, const Work& work) {
    std::printf("%-9s %.3f ms of processor time a scrape, %.0f a second, %.2f of alone\n", name, work.cpu / count * 1e3,
                count / work.wall, work.cpu / alone.cpu);
  };
  std::printf("%d series of %d processes, %zu bytes of text, %zu in gzip\n", series, shmetrics::bench::kProcesses,
              text_bytes, gzip_bytes);
  print("alone", alone);
  print("plain", plain);
  print("gzip", gzip);
  print("tls", tls);
  print("tls, gzip", tls_gzip);
  std::printf("memory at most: %.1f MB, with TLS %.1f MB", memory_mb(exporter.child().pid()),
              memory_mb(tls_exporter.child().pid()));
  for (const int clients : {1, 8, 32}) std::printf("; %d waiting %.1f MB", clients, peak_mb_of_clients(path, clients));
  std::printf("\n");
  return 0;
}
