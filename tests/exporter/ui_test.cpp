// The live page: who may have which of its files, and what comes with them.
#include "exporter/http/ui.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/exporter/asked.hpp"

namespace shmetrics::exporter {
namespace {

class UiTest : public ::testing::Test {
 protected:
  UiTest() { site_.ui = ui_files(); }
  Response ask(std::string_view target, std::vector<Field> fields = {}, const Peer& peer = kUnixPeer,
               std::string_view method = "GET") const {
    fields.push_back({"Host", "localhost"});
    return respond_to(site_, {.peer = peer, .method = method, .target = target, .fields = fields});
  }
  Response foreign(std::string_view target, std::vector<Field> fields = {}, std::string_view method = "GET") const {
    return ask(target, std::move(fields), {}, method);
  }
  static std::string header(const Response& response, std::string_view name) {
    const auto& headers = answer_of(response).headers;
    EXPECT_LE(std::ranges::count(headers, name, [](const auto& field) { return field.first; }), 1) << name;
    for (const auto& [key, value] : headers) {
      if (key == name) return value;
    }
    return {};
  }

  Site site_;
};

TEST_F(UiTest, EveryFileHasItsTypeAPolicyThatForbidsInlineAndForeignAndATag) {
  const std::pair<const char*, const char*> files[] = {{"/ui/", "text/html; charset=utf-8"},
                                                       {"/ui/?x=y", "text/html; charset=utf-8"},
                                                       {"/ui/app.js", "text/javascript; charset=utf-8"},
                                                       {"/ui/uplot.js", "text/javascript; charset=utf-8"},
                                                       {"/ui/style.css", "text/css; charset=utf-8"},
                                                       {"/ui/icon.svg", "image/svg+xml"}};
  for (const auto& [target, type] : files) {
    const Response response = ask(target);
    EXPECT_EQ(answer_of(response).status, 200U) << target;
    EXPECT_EQ(answer_of(response).route, Route::kUi);
    EXPECT_FALSE(answer_of(response).body->empty()) << target;
    EXPECT_EQ(header(response, "Content-Type"), type);
    EXPECT_EQ(header(response, "X-Content-Type-Options"), "nosniff");
    EXPECT_EQ(header(response, "Cache-Control"), "no-cache");
    const std::string policy = header(response, "Content-Security-Policy");
    EXPECT_TRUE(policy.starts_with("default-src 'none'; ")) << policy;
    for (const char* hole : {"unsafe", "http", "data:", "blob:", "*"}) EXPECT_EQ(policy.find(hole), policy.npos);
    EXPECT_EQ(header(response, "ETag").size(), 18U);
  }
}

TEST_F(UiTest, ThePageHasNoScriptOrStyleWithinAndNothingFromElsewhere) {
  const std::string page = *answer_of(ask("/ui/")).body;
  for (const char* what : {" style=", "<style", " onclick=", "http://", "https://"}) {
    EXPECT_EQ(page.find(what), page.npos) << what;
  }
  for (std::size_t at = page.find("<script"); at != page.npos; at = page.find("<script", at + 1)) {
    const std::string tag = page.substr(at, page.find("</script>", at) - at);
    EXPECT_TRUE(tag.ends_with(">") && tag.find(" src=\"") != tag.npos) << tag;
  }
}

TEST_F(UiTest, WhoHasTheTagGets304WithTheLengthAndNoBody) {
  const Response whole = ask("/ui/app.js");
  const std::string tag = header(whole, "ETag");
  for (const std::string& known : {tag, "W/" + tag, "\"other\", " + tag, std::string("*")}) {
    const Response response = ask("/ui/app.js", {{"If-None-Match", known}});
    EXPECT_EQ(answer_of(response).status, 304U) << known;
    EXPECT_TRUE(answer_of(response).omits_body);
    EXPECT_EQ(answer_of(response).body->size(), answer_of(whole).body->size());
    EXPECT_EQ(header(response, "ETag"), tag);
  }
  for (const char* other : {"\"other\"", "", "other"}) {
    EXPECT_EQ(answer_of(ask("/ui/app.js", {{"If-None-Match", other}})).status, 200U) << other;
  }
}

TEST_F(UiTest, CompressedItIsShorterAndHasATagOfItsOwn) {
  const Response plain = ask("/ui/app.js"), compressed = ask("/ui/app.js", {{"Accept-Encoding", "gzip"}});
  EXPECT_EQ(header(compressed, "Content-Encoding"), "gzip");
  EXPECT_EQ(header(plain, "Content-Encoding"), "");
  EXPECT_EQ(header(plain, "Vary"), "Accept-Encoding");
  EXPECT_EQ(answer_of(compressed).body->substr(0, 2), "\x1f\x8b");
  EXPECT_LT(answer_of(compressed).body->size(), answer_of(plain).body->size());
  EXPECT_NE(header(compressed, "ETag"), header(plain, "ETag"));
  site_.compression = false;
  EXPECT_EQ(header(ask("/ui/app.js", {{"Accept-Encoding", "gzip"}}), "Content-Encoding"), "");
}

TEST_F(UiTest, WithoutACredentialThereIsNothingButThePagesOwnFiles) {
  for (const char* target : {"/ui/", "/api/v1/snapshot", "/ui/nothing.js", "/ui", "/"}) {
    const Response response = foreign(target);
    EXPECT_EQ(answer_of(response).status, 401U) << target;
    EXPECT_EQ(*answer_of(response).body, "unauthorized\n");
    EXPECT_FALSE(is_order(response));
  }
  for (const UiFile& file : ui_files()) {
    if (file.name.empty()) continue;
    const std::string target = "/ui/" + std::string(file.name);
    for (const char* method : {"GET", "HEAD"})
      EXPECT_EQ(*answer_of(foreign(target, {}, method)).body, file.bytes) << target;
    for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get"}) {
      EXPECT_EQ(*answer_of(foreign(target, {}, method)).body, "unauthorized\n") << method;
    }
  }
  for (const char* beside : {"/ui/app.js/", "/ui//app.js", "/ui/./app.js", "/ui/%61pp.js", "/UI/app.js", "/app.js"}) {
    EXPECT_EQ(answer_of(foreign(beside)).status, 401U) << beside;
  }
  EXPECT_EQ(answer_of(foreign("/api/v1/snapshot", {{"Authorization", "Bearer wrong"}})).status, 401U);
}

TEST_F(UiTest, ABrowserThatIsRefusedIsAskedForTheTokenByThePage) {
  const Response refusal = foreign("/ui/", {{"Accept", "text/html,*/*;q=0.8"}});
  EXPECT_EQ(answer_of(refusal).status, 401U);
  EXPECT_EQ(header(refusal, "WWW-Authenticate"), "Bearer realm=\"shmetrics\"");
  EXPECT_EQ(header(refusal, "Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(header(refusal, "Cache-Control"), "no-store");
  EXPECT_EQ(header(refusal, "ETag"), "");
  EXPECT_EQ(*answer_of(refusal).body, *answer_of(ask("/ui/")).body);
  EXPECT_EQ(*answer_of(foreign("/", {{"Accept", "text/html"}})).body, "unauthorized\n");
}

TEST_F(UiTest, WithoutTheSlashItLeadsToThePageAlsoABrowserThatHasToGiveATokenThere) {
  for (const Response& response : {ask("/ui"), ask("/ui?x=y"), foreign("/ui", {{"Accept", "text/html"}})}) {
    EXPECT_EQ(answer_of(response).status, 301U);
    EXPECT_EQ(header(response, "Location"), "ui/") << "relative: behind a proxy there may be a prefix";
    EXPECT_EQ(answer_of(response).route, Route::kUi);
  }
  EXPECT_EQ(answer_of(ask("/ui", {}, kUnixPeer, "POST")).status, 405U);
  EXPECT_EQ(answer_of(foreign("/ui", {{"Accept", "text/html"}}, "POST")).status, 401U);
  site_.ui = {};
  EXPECT_EQ(answer_of(ask("/ui")).status, 404U);
}

TEST_F(UiTest, TheSnapshotIsWantedOfTheFirstSegmentOrTheNamedOne) {
  Response response = ask("/api/v1/snapshot");
  EXPECT_EQ(answer_of(response).status, 200U);
  EXPECT_EQ(answer_of(response).route, Route::kUi);
  EXPECT_EQ(std::get<ScrapeOrder>(response).query.snapshot_of, "");
  EXPECT_EQ(header(response, "Content-Type"), "application/json");
  EXPECT_EQ(header(response, "Cache-Control"), "no-store");
  response = ask("/api/v1/snapshot?segment=a%20b", {{"Accept-Encoding", "gzip"}});
  EXPECT_EQ(std::get<ScrapeOrder>(response).query.snapshot_of, "a b");
  EXPECT_EQ(std::get<ScrapeOrder>(response).query.coding, Coding::kGzip);
  EXPECT_EQ(header(response, "Content-Encoding"), "gzip");
  response = failed(std::get<ScrapeOrder>(response), ScrapeFailure::kUnknown);
  EXPECT_EQ(answer_of(response).status, 404U);
  EXPECT_EQ(header(response, "Content-Encoding"), "");
}

TEST_F(UiTest, OtherMethodsAre405AndHeadHasTheHeadersOfGet) {
  for (const char* target : {"/ui/", "/ui/app.js", "/api/v1/snapshot"}) {
    EXPECT_EQ(answer_of(ask(target, {}, kUnixPeer, "POST")).status, 405U);
    EXPECT_EQ(header(ask(target, {}, kUnixPeer, "POST"), "Allow"), "GET, HEAD");
    const Response head = ask(target, {}, kUnixPeer, "HEAD"), get = ask(target);
    EXPECT_TRUE(answer_of(head).omits_body);
    EXPECT_EQ(answer_of(head).headers, answer_of(get).headers);
    EXPECT_EQ(answer_of(head).body->size(), answer_of(get).body->size());
  }
  EXPECT_EQ(answer_of(ask("/ui/nothing.js")).status, 404U);
}

TEST_F(UiTest, TheLandingPageLinksToItAndWithoutItThereIsNothing) {
  EXPECT_NE(answer_of(ask("/")).body->find("href=\"./ui/\""), std::string::npos);
  site_.ui = {};
  EXPECT_EQ(answer_of(ask("/")).body->find("/ui/"), std::string::npos);
  for (const char* target : {"/ui/", "/ui/app.js", "/api/v1/snapshot"}) EXPECT_EQ(answer_of(ask(target)).status, 404U);
  EXPECT_EQ(answer_of(foreign("/ui/app.js")).status, 401U);
}

}  // namespace
}  // namespace shmetrics::exporter
