#include "exporter/handler.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace shmetrics::exporter {
namespace {

class HandlerTest : public ::testing::Test {
 protected:
  HandlerTest() {
    site_.version = "1.2.3";
    site_.collect = [this] {
      ++collected_;
      return std::string("a 1\n");
    };
  }
  /// From this machine, hence let in.
  Response local(std::string_view method, std::string_view target) {
    return ask(method, target, {.kind = Peer::Kind::kUnix});
  }
  Response foreign(std::string_view method, std::string_view target) { return ask(method, target, {}); }

  static std::string header(const Response& response, std::string_view name) {
    for (const auto& [key, value] : response.headers) {
      if (key == name) return value;
    }
    return {};
  }

  Site site_;
  int collected_ = 0;

 private:
  Response ask(std::string_view method, std::string_view target, const Peer& peer) {
    const Field host{"Host", "localhost"};
    return respond(site_, {.peer = peer, .method = method, .target = target, .fields = {&host, 1}});
  }
};

TEST_F(HandlerTest, TheMetricsAreOnBothPathsWithTheExactContentType) {
  for (const char* target : {"/api/metrics", "/metrics", "/api/metrics?x=y"}) {
    const Response response = local("GET", target);
    EXPECT_EQ(response.status, 200U);
    EXPECT_EQ(response.body, "a 1\n");
    EXPECT_EQ(response.route, Route::kMetrics);
    EXPECT_EQ(header(response, "Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
    EXPECT_EQ(header(response, "Vary"), "Accept, Accept-Encoding");
  }
}

TEST_F(HandlerTest, ATelemetryPathOfTheUsersReplacesTheFirstAlone) {
  site_.telemetry_path = "/stats";
  EXPECT_EQ(local("GET", "/stats").status, 200U);
  EXPECT_EQ(local("GET", "/metrics").status, 200U);
  EXPECT_EQ(local("GET", "/api/metrics").status, 404U);
}

TEST_F(HandlerTest, EveryResponseForbidsCachingSniffingAndReferrers) {
  for (const char* target : {"/metrics", "/", "/-/healthy", "/nothing"}) {
    const Response response = local("GET", target);
    EXPECT_EQ(header(response, "Cache-Control"), "no-store");
    EXPECT_EQ(header(response, "X-Content-Type-Options"), "nosniff");
    EXPECT_EQ(header(response, "Referrer-Policy"), "no-referrer");
  }
}

TEST_F(HandlerTest, WhoIsNotLetInCannotTellPathsAndMethodsApartAndNothingIsCollected) {
  const Response first = foreign("GET", "/metrics");
  EXPECT_EQ(header(first, "WWW-Authenticate"), "Bearer realm=\"shmetrics\"");
  for (const auto& [method, target] : {std::pair{"GET", "/"},
                                       {"POST", "/metrics"},
                                       {"GET", "/nothing"},
                                       {"POST", "/-/healthy"},
                                       {"GET", "/metrics?token=x"}}) {
    const Response response = foreign(method, target);
    EXPECT_EQ(response.status, 401U) << target;
    EXPECT_EQ(response.body, first.body);
    EXPECT_EQ(response.headers, first.headers);
  }
  EXPECT_EQ(collected_, 0);
}

TEST_F(HandlerTest, HealthNeedsNoCredentialAndNoSegment) {
  for (const char* target : {"/-/healthy", "/-/ready", "/-/healthy?token=wrong"}) {
    const Response response = foreign("GET", target);
    EXPECT_EQ(response.status, 200U);
    EXPECT_EQ(response.body, "ok\n");
    EXPECT_EQ(response.route, Route::kHealth);
  }
  EXPECT_EQ(collected_, 0);
}

TEST_F(HandlerTest, UnknownPathsAre404AndOtherMethodsAre405WithAllow) {
  for (const char* target : {"/nothing", "/api/metrics/", "/API/metrics", "//metrics", "/-/", "/%6detrics"}) {
    EXPECT_EQ(local("GET", target).status, 404U) << target;
    EXPECT_EQ(local("POST", target).status, 404U) << target;
  }
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "get", "TRACE"}) {
    for (const char* target : {"/api/metrics", "/", "/-/ready"}) {
      const Response response = local(method, target);
      EXPECT_EQ(response.status, 405U) << method << target;
      EXPECT_EQ(header(response, "Allow"), "GET, HEAD");
    }
  }
}

TEST_F(HandlerTest, HeadHasTheHeadersOfGet) {
  for (const char* target : {"/metrics", "/", "/-/healthy", "/nothing"}) {
    const Response head = local("HEAD", target), get = local("GET", target);
    EXPECT_TRUE(head.omits_body);
    EXPECT_FALSE(get.omits_body);
    EXPECT_EQ(head.headers, get.headers);
    EXPECT_EQ(head.body, get.body);
  }
}

TEST_F(HandlerTest, TheLandingPageLinksWhatThereIsAndEscapesIt) {
  site_.telemetry_path = "/a\"<b>&'c";
  const Response response = local("GET", "/");
  EXPECT_EQ(header(response, "Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(response.route, Route::kIndex);
  EXPECT_NE(response.body.find("href=\"/a&quot;&lt;b&gt;&amp;&#39;c\""), std::string::npos);
  EXPECT_NE(response.body.find("1.2.3"), std::string::npos);
  EXPECT_NE(response.body.find("/-/healthy"), std::string::npos);
}

TEST_F(HandlerTest, ACollectionThatFailsIs500WithoutDetail) {
  site_.collect = []() -> std::string { throw std::runtime_error("/secret/path"); };
  const Response response = local("GET", "/metrics");
  EXPECT_EQ(response.status, 500U);
  EXPECT_EQ(response.body.find("secret"), std::string::npos);
}

TEST_F(HandlerTest, MalformedRequestsGet400AndTheConnectionCloses) {
  EXPECT_EQ(refuse_malformed().status, 400U);
  EXPECT_TRUE(refuse_malformed().closes);
  EXPECT_FALSE(local("GET", "/metrics").closes);
}

}  // namespace
}  // namespace shmetrics::exporter
