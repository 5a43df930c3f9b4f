#include "exporter/http/handler.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "exporter/http/ui.hpp"
#include "tests/exporter/asked.hpp"

namespace shmetrics::exporter {
namespace {

class HandlerTest : public ::testing::Test {
 protected:
  HandlerTest() { site_.version = "1.2.3"; }
  /// From this machine, hence let in.
  Response local(std::string_view method, std::string_view target) { return ask(method, target, kUnixPeer); }
  Response foreign(std::string_view method, std::string_view target) { return ask(method, target, {}); }

  static std::string header(const Response& response, std::string_view name) {
    for (const auto& [key, value] : answer_of(response).headers) {
      if (key == name) return value;
    }
    return {};
  }

  Site site_;
  std::vector<Field> fields_;  // sent beside Host

 private:
  Response ask(std::string_view method, std::string_view target, const Peer& peer) {
    std::vector<Field> fields{{"Host", "localhost"}};
    fields.insert(fields.end(), fields_.begin(), fields_.end());
    return respond_to(site_, {.peer = peer, .method = method, .target = target, .fields = fields});
  }
};

TEST_F(HandlerTest, TheMetricsAreOnBothPathsWithTheExactContentType) {
  for (const char* target : {"/api/metrics", "/metrics", "/api/metrics?x=y"}) {
    const Response response = local("GET", target);
    EXPECT_EQ(answer_of(response).status, 200U);
    EXPECT_EQ(std::get<ScrapeOrder>(response).query, ScrapeQuery{});
    EXPECT_EQ(answer_of(response).route, Route::kMetrics);
    EXPECT_EQ(header(response, "Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
    EXPECT_EQ(header(response, "Vary"), "Accept, Accept-Encoding");
  }
}

TEST_F(HandlerTest, ATelemetryPathOfTheUsersReplacesTheFirstAlone) {
  site_.telemetry_path = "/stats";
  EXPECT_EQ(answer_of(local("GET", "/stats")).status, 200U);
  EXPECT_EQ(answer_of(local("GET", "/metrics")).status, 200U);
  EXPECT_EQ(answer_of(local("GET", "/api/metrics")).status, 404U);
}

TEST_F(HandlerTest, EveryResponseForbidsCachingSniffingAndReferrers) {
  for (const char* target : {"/metrics", "/", "/-/healthy", "/nothing"}) {
    const Response response = local("GET", target);
    EXPECT_EQ(header(response, "Cache-Control"), "no-store");
    EXPECT_EQ(header(response, "X-Content-Type-Options"), "nosniff");
    EXPECT_EQ(header(response, "Referrer-Policy"), "no-referrer");
    EXPECT_EQ(header(response, "Cross-Origin-Resource-Policy"), "same-origin");
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
    EXPECT_EQ(answer_of(response).status, 401U) << target;
    EXPECT_EQ(*answer_of(response).body, *answer_of(first).body);
    EXPECT_EQ(answer_of(response).headers, answer_of(first).headers);
    EXPECT_FALSE(is_order(response));
  }
}

TEST_F(HandlerTest, HealthNeedsNoCredentialAndNoSegment) {
  for (const char* target : {"/-/healthy", "/-/ready", "/-/healthy?token=wrong"}) {
    const Response response = foreign("GET", target);
    EXPECT_EQ(answer_of(response).status, 200U);
    EXPECT_EQ(*answer_of(response).body, "ok\n");
    EXPECT_EQ(answer_of(response).route, Route::kHealth);
    EXPECT_FALSE(is_order(response));
  }
}

TEST_F(HandlerTest, UnknownPathsAre404AndOtherMethodsAre405WithAllow) {
  for (const char* target : {"/nothing", "/api/metrics/", "/API/metrics", "//metrics", "/-/", "/%6detrics"}) {
    EXPECT_EQ(answer_of(local("GET", target)).status, 404U) << target;
    EXPECT_EQ(answer_of(local("POST", target)).status, 404U) << target;
  }
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "get", "TRACE"}) {
    for (const char* target : {"/api/metrics", "/", "/-/ready"}) {
      const Response response = local(method, target);
      EXPECT_EQ(answer_of(response).status, 405U) << method << target;
      EXPECT_EQ(header(response, "Allow"), "GET, HEAD");
    }
  }
}

TEST_F(HandlerTest, HeadHasTheHeadersOfGet) {
  for (const char* target : {"/metrics", "/", "/-/healthy", "/nothing"}) {
    const Response head = local("HEAD", target), get = local("GET", target);
    EXPECT_TRUE(answer_of(head).omits_body);
    EXPECT_FALSE(answer_of(get).omits_body);
    EXPECT_EQ(answer_of(head).headers, answer_of(get).headers);
    EXPECT_EQ(*answer_of(head).body, *answer_of(get).body);
    EXPECT_EQ(is_order(head), is_order(get));
  }
}

TEST_F(HandlerTest, TheLandingPageLinksWhatThereIsAndEscapesIt) {
  site_.telemetry_path = "/a\"<b>&'c";
  const Response response = local("GET", "/");
  EXPECT_EQ(header(response, "Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(answer_of(response).route, Route::kIndex);
  EXPECT_NE(header(response, "Content-Security-Policy").find("frame-ancestors 'none'"), std::string::npos);
  EXPECT_NE(answer_of(response).body->find("href=\"./a&quot;&lt;b&gt;&amp;&#39;c\""), std::string::npos);
  EXPECT_NE(answer_of(response).body->find("1.2.3"), std::string::npos);
  EXPECT_NE(answer_of(response).body->find("/-/healthy"), std::string::npos);
}

TEST_F(HandlerTest, LinksOfTheLandingPageAreRelativeForBehindAProxyThereMayBeAPrefix) {
  site_.ui = ui_files();
  for (const char* path : {"/api/metrics", "/a:b"}) {
    site_.telemetry_path = path;
    const std::string page = *answer_of(local("GET", "/")).body;
    for (const std::string& link : {"." + site_.telemetry_path, std::string("./ui/"), std::string("./-/healthy")}) {
      EXPECT_NE(page.find("href=\"" + link + "\""), std::string::npos) << link;
    }
    EXPECT_EQ(page.find("=\"/"), std::string::npos) << page;
  }
}

TEST_F(HandlerTest, TheHeadersSayWhatTheScrapeWillBe) {
  fields_ = {{"Accept", "application/openmetrics-text;version=1.0.0;escaping=values"},
             {"Accept-Encoding", "gzip"},
             {"X-Prometheus-Scrape-Timeout-Seconds", "10"}};
  Response response = local("GET", "/metrics?name[]=up");
  EXPECT_EQ(header(response, "Content-Type"),
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=values");
  EXPECT_EQ(header(response, "Content-Encoding"), "gzip");
  EXPECT_EQ(std::get<ScrapeOrder>(response).query.names, std::vector<std::string>{"up"});
  EXPECT_EQ(std::get<ScrapeOrder>(response).patience, std::chrono::seconds(10));
  site_.compression = false;
  response = local("GET", "/metrics");
  EXPECT_EQ(header(response, "Content-Encoding"), "");
  EXPECT_EQ(std::get<ScrapeOrder>(response).query.coding, Coding::kIdentity);
}

TEST_F(HandlerTest, AScrapeThatFailsIs503WithRetryAfterOr500WithoutDetail) {
  fields_ = {{"Accept-Encoding", "gzip"}};
  for (const auto& [failure, status] : {std::pair{ScrapeFailure::kBusy, 503U},
                                        {ScrapeFailure::kFull, 503U},
                                        {ScrapeFailure::kLate, 503U},
                                        {ScrapeFailure::kBroken, 500U}}) {
    const Response response = failed(std::get<ScrapeOrder>(local("HEAD", "/metrics")), failure);
    EXPECT_EQ(answer_of(response).status, status);
    EXPECT_EQ(header(response, "Retry-After"), status == 503 ? "1" : "");
    EXPECT_EQ(header(response, "Content-Type"), "text/plain; charset=utf-8");
    EXPECT_EQ(header(response, "Content-Encoding"), "");
    EXPECT_EQ(answer_of(response).route, Route::kMetrics);
    EXPECT_TRUE(answer_of(response).omits_body);
    EXPECT_FALSE(answer_of(response).closes);
    EXPECT_FALSE(is_order(response));
  }
}

TEST_F(HandlerTest, WhosePasswordHasToWaitGets503WithRetryAfter) {
  const Request request = Asked{.target = "/metrics"}.request();
  const Response response =
      respond(site_, request, target_of(site_, request), {site_.settings, {Verdict::kPasswordsWaiting}});
  EXPECT_EQ(answer_of(response).status, 503U);
  EXPECT_EQ(header(response, "Retry-After"), "1");
  EXPECT_EQ(answer_of(response).route, Route::kMetrics);
  EXPECT_FALSE(is_order(response));
}

TEST_F(HandlerTest, MalformedRequestsGet400AndTheConnectionCloses) {
  EXPECT_EQ(refuse_malformed().status, 400U);
  EXPECT_TRUE(refuse_malformed().closes);
  EXPECT_FALSE(answer_of(local("GET", "/metrics")).closes);
}

}  // namespace
}  // namespace shmetrics::exporter
