#include <gtest/gtest.h>
#include <shmetrics/shmetrics.hpp>

#include <string>

#include "tests/allocations.hpp"

namespace shmetrics {
namespace {

TEST(Route, PartsThatAreIdsBecomePlaceholders) {
  const std::pair<const char*, const char*> cases[] = {
      {"/users/123", "/users/:id"},
      {"/users/123/orders/9b2e6f3c-0b1d-4c8e-9f00-1234567890ab", "/users/:id/orders/:id"},
      {"/users/9B2E6F3C-0B1D-4C8E-9F00-1234567890AB/", "/users/:id/"},
      {"/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/:id"},
      {"/01arz3ndektsv4rrffq69g5fav/x", "/:id/x"},
      {"/objects/507f1f77bcf86cd799439011", "/objects/:id"},
      {"/blobs/da39a3ee5e6b4b0d3255bfef95601890afd80709", "/blobs/:id"},
      {"/by-mail/jo.doe@example.org/edit", "/by-mail/:id/edit"},
      {"/by-mail/jo%40example.org", "/by-mail/:id"},
      {"/1/2/3", "/:id/:id/:id"},
      {"/0", "/:id"},
      {"7", ":id"},
      {"/users/123?expand=1", "/users/:id"},
      {"/users/123#top", "/users/:id"},
  };
  for (const auto& [path, route] : cases) EXPECT_EQ(normalize_route(path), route) << path;
}

TEST(Route, EverythingElseStaysAsItIs) {
  for (const char* path : {"/",
                           "",
                           "/users",
                           "/users/",
                           "//",
                           "/api/v1/contacts",
                           "/v2",
                           "/feedface",
                           "/deadbeef",
                           "/a1",
                           "/12a",
                           "/-5",
                           "/1.5",
                           "/users/:id",
                           "/@handle",
                           "/name@",
                           "/a@b",
                           "/a@.",
                           "/9b2e6f3c-0b1d-4c8e-9f00-1234567890ag",
                           "/81ARZ3NDEKTSV4RRFFQ69G5FAV",
                           "/01ARZ3NDEKTSV4RRFFQ69G5FAU",
                           "/caf\xc3\xa9",
                           "/123456789012345g"}) {
    EXPECT_EQ(normalize_route(path), path);
  }
}

TEST(Route, QueryAndFragmentAreCutOff) {
  EXPECT_EQ(normalize_route("/search?q=1"), "/search");
  EXPECT_EQ(normalize_route("/a#b?c"), "/a");
  EXPECT_EQ(normalize_route("?x"), "");
}

TEST(Route, NothingIsAllocatedWhenNothingChanges) {
  const std::string path = "/api/v1/contacts/and/a/path/that/is/longer/than/any/small/string";
  const std::size_t before = tests::allocations();
  const Route route = normalize_route(path);
  EXPECT_EQ(tests::allocations(), before);
  EXPECT_EQ(route.view().data(), path.data());
}

TEST(Route, ATemporaryStringIsKept) {
  for (const std::string path : {"/api/v1/contacts/and/a/path/that/is/longer/than/any/small/string", "/short", ""}) {
    std::string temporary = path + "?a=1";
    const std::size_t before = tests::allocations();
    const Route route = normalize_route(std::move(temporary));
    EXPECT_EQ(tests::allocations(), before);
    temporary.assign(path.size() + 1, '-');
    EXPECT_EQ(route, path);
  }
  EXPECT_EQ(normalize_route(std::string("/users/123/edit?a=1")), "/users/:id/edit");
}

TEST(Route, ARouteIsAStringWhereOneIsWanted) {
  const std::string text = normalize_route("/users/123");
  const std::string_view view = text;
  EXPECT_EQ(view, "/users/:id");
  EXPECT_EQ(std::string(normalize_route("/users")), "/users");
}

}  // namespace
}  // namespace shmetrics
