// What goes over the wire: HTTP as the exporter speaks it, and what it answers to those who do not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/running_exporter.hpp"

namespace shmetrics::tests {
namespace {

using ::testing::HasSubstr;

const std::string kHost = "Host: localhost\r\n";

std::string repeated(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

TEST(Wire, ResponsesCarryTheHeadersOfTheContract) {
  const RunningExporter exporter;
  const HttpResponse response = exporter.get("/api/metrics");
  EXPECT_EQ(response.header("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(response.header("Cache-Control"), "no-store");
  EXPECT_EQ(response.header("X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(response.header("Referrer-Policy"), "no-referrer");
  EXPECT_EQ(response.header("Vary"), "Accept, Accept-Encoding");
  EXPECT_THAT(response.header("Date"), HasSubstr(" GMT"));
  EXPECT_EQ(response.header("Server"), "");
}

TEST(Wire, HeadHasALengthAndNoBody) {
  const RunningExporter exporter;
  auto client = exporter.connect();
  const HttpResponse head = client.exchange("HEAD /-/healthy HTTP/1.1\r\n" + kHost + "\r\n");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.header("Content-Length"), "3");
  const HttpResponse metrics = client.exchange("HEAD /metrics HTTP/1.1\r\n" + kHost + "\r\n");
  EXPECT_GT(std::stoi(metrics.header("Content-Length")), 500);
  EXPECT_EQ(metrics.header("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  // Were there a body, it would be taken for this response.
  EXPECT_EQ(client.exchange("GET /-/ready HTTP/1.1\r\n" + kHost + "\r\n").body, "ok\n");
}

TEST(Wire, AConnectionServesManyRequests) {
  const RunningExporter exporter;
  auto client = exporter.connect();
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(client.exchange("GET /metrics HTTP/1.1\r\n" + kHost + "\r\n").status, 200);
  }
  EXPECT_EQ(client.exchange("GET /metrics HTTP/1.1\r\n" + kHost + "Connection: close\r\n\r\n").status, 200);
  EXPECT_TRUE(client.is_closed_by_peer());
}

TEST(Wire, PipelinedRequestsAreAnsweredInOrder) {
  const RunningExporter exporter;
  auto client = exporter.connect();
  const std::string padding = "X-Padding: " + std::string(3000, 'x') + "\r\n";
  client.send(repeated("GET /metrics HTTP/1.1\r\n" + kHost + padding + "\r\nGET /nothing HTTP/1.1\r\n" + kHost +
                           "\r\nHEAD /-/ready HTTP/1.1\r\n" + kHost + "\r\nPOST / HTTP/1.1\r\n" + kHost + "\r\n",
                       20));
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(client.read_response().status, 200);
    EXPECT_EQ(client.read_response().status, 404);
    EXPECT_EQ(client.read_response(false).status, 200);
    EXPECT_EQ(client.read_response().status, 405);
  }
}

TEST(Wire, Http10ClosesUnlessAskedNotTo) {
  const RunningExporter exporter;
  auto client = exporter.connect();
  EXPECT_EQ(client.exchange("GET /-/ready HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").status, 200);
  EXPECT_EQ(client.exchange("GET /-/ready HTTP/1.0\r\n\r\n").status, 200);
  EXPECT_TRUE(client.is_closed_by_peer());
}

TEST(Wire, MalformedRequestsGet400AndAClosedConnection) {
  RunningExporter exporter;
  const std::string get = "GET /-/healthy HTTP/1.1\r\n";
  const std::string trailer = "X-Trailer: " + std::string(70000, 'x') + "\r\n";
  const std::vector<std::pair<const char*, std::string>> malformed{
      {"no Host", get + "\r\n"},
      {"two Hosts", get + kHost + "Host: other\r\n\r\n"},
      {"absolute form", "GET http://localhost/-/healthy HTTP/1.1\r\n" + kHost + "\r\n"},
      {"asterisk form", "OPTIONS * HTTP/1.1\r\n" + kHost + "\r\n"},
      {"a byte above ASCII in the target", "GET /-/healthy\xc3\xa9 HTTP/1.1\r\n" + kHost + "\r\n"},
      {"a control byte in the target", "GET /-/healthy\x01 HTTP/1.1\r\n" + kHost + "\r\n"},
      {"a body", get + kHost + "Content-Length: 5\r\n\r\nhello"},
      {"a large body", get + kHost + "Content-Length: 99999999999\r\n\r\nhello"},
      {"a length that is none", get + kHost + "Content-Length: five\r\n\r\n"},
      {"chunks", get + kHost + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"identity coding", get + kHost + "Transfer-Encoding: identity\r\n\r\n"},
      {"gzip coding", get + kHost + "Transfer-Encoding: gzip\r\n\r\n"},
      {"both lengths", get + kHost + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"chunks in HTTP/1.0", "GET /-/healthy HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"a chunked trailer of 70 KB", get + kHost + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + trailer + "\r\n"},
      {"a chunk extension of 70 KB", get + kHost + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(70000, 'x')},
      {"101 fields", get + kHost + repeated("A: b\r\n", 100) + "\r\n"},
      {"3,000 fields", get + kHost + repeated("A:b\r\n", 3000) + "\r\n"},
      {"a field of 70 KB", get + kHost + trailer + "\r\n"},
      {"17 KB of header", get + kHost + "A: " + std::string(17000, 'x') + "\r\n\r\n"},
      {"a target of 70 KB", "GET /" + std::string(70000, 'x') + " HTTP/1.1\r\n" + kHost + "\r\n"},
      {"bare line feeds", "GET /-/healthy HTTP/1.1\nHost: localhost\n\n"},
      {"a blank before the colon", get + "Host : localhost\r\n\r\n"},
      {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
      {"another version", "GET /-/healthy HTTP/1.2\r\n" + kHost + "\r\n"},
      {"no version", "GET /-/healthy\r\n\r\n"},
      {"TLS", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11) + std::string(500, 'x')},
      {"zero bytes", std::string(100, '\0')}};
  for (const auto& [name, bytes] : malformed) {
    SCOPED_TRACE(name);
    auto client = exporter.connect();
    client.send(bytes);
    EXPECT_EQ(client.read_response().status, 400);
    EXPECT_TRUE(client.is_closed_by_peer());
    ASSERT_TRUE(exporter.child().runs());
  }
  EXPECT_TRUE(exporter.is_healthy());
  EXPECT_THAT(exporter.get("/metrics").body, HasSubstr("requests_total{code=\"400\",handler=\"other\"} 28\n"));
}

TEST(Wire, APeerThatDoesNotCloseAfterTheLastAnswerIsLetGoAfterASecond) {
  const RunningExporter exporter;
  auto peer = exporter.connect();
  EXPECT_EQ(peer.exchange("GET /-/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").status, 200);
  EXPECT_TRUE(peer.is_closed_by_peer());
  const auto open_connections = [&] {
    const std::string text = exporter.get("/metrics").body;
    return std::stod(text.substr(text.find("\nprocess_open_fds ") + 18));
  };
  const double before = open_connections();
  EXPECT_TRUE(eventually([&] { return open_connections() < before; })) << "its descriptor";
}

TEST(Wire, WhatFollowsAMalformedRequestIsNotServed) {
  const RunningExporter exporter;
  auto client = exporter.connect();
  client.send("GET /-/healthy HTTP/1.1\r\n" + kHost + "Content-Length: 60\r\n\r\nGET /-/healthy HTTP/1.1\r\n" + kHost +
              "\r\n");
  EXPECT_EQ(client.read_response().status, 400);
  EXPECT_TRUE(client.is_closed_by_peer());
}

TEST(Wire, AHeaderJustBelowTheLimitIsServed) {
  const RunningExporter exporter;
  EXPECT_EQ(exporter.get("/-/healthy", kHost + "A: " + std::string(16000, 'x') + "\r\n").status, 200);
  EXPECT_EQ(exporter.get("/-/healthy", kHost + repeated("A: b\r\n", 99)).status, 200);
}

TEST(Wire, ARequestMayComeByteByByte) {
  const RunningExporter exporter;
  auto client = exporter.connect();
  for (const char c : "GET /-/healthy HTTP/1.1\r\n" + kHost + "\r\n") client.send({&c, 1});
  EXPECT_EQ(client.read_response().status, 200);
}

TEST(Wire, ThePagesAreThere) {
  const RunningExporter exporter;
  const HttpResponse page = exporter.get("/");
  EXPECT_EQ(page.header("Content-Type"), "text/html; charset=utf-8");
  EXPECT_THAT(page.body, HasSubstr("href=\"./api/metrics\""));
  EXPECT_THAT(page.body, HasSubstr("(revision "));
  const HttpResponse stranger = exporter.get("/", "Host: example.org\r\n");
  EXPECT_EQ(stranger.status, 401);
  EXPECT_THAT(stranger.body, ::testing::Not(HasSubstr("revision")));
  EXPECT_EQ(exporter.get("/api/metrics/").status, 404);
  const RunningExporter moved({.flags = {"--web.telemetry-path=/stats"}});
  EXPECT_THAT(moved.get("/").body, HasSubstr("href=\"./stats\""));
  EXPECT_EQ(moved.get("/stats").status, 200);
  EXPECT_EQ(moved.get("/metrics").status, 200);
}

}  // namespace
}  // namespace shmetrics::tests
