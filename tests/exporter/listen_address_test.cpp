#include "exporter/http/listen_address.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace shmetrics::exporter {
namespace {

TEST(ListenAddress, TheFourFormsAreUnderstood) {
  EXPECT_EQ(parse_listen_address(":9100").host, "");
  EXPECT_EQ(parse_listen_address(":9100").port, "9100");
  EXPECT_EQ(parse_listen_address("localhost:0").host, "localhost");
  EXPECT_EQ(parse_listen_address("127.0.0.1:65535").port, "65535");
  EXPECT_EQ(parse_listen_address("[::1]:5000").host, "::1");
  EXPECT_EQ(parse_listen_address("unix:/run/a:b.sock").path, "/run/a:b.sock");
  EXPECT_TRUE(parse_listen_address("unix:/run/a.sock").is_unix());
  EXPECT_FALSE(parse_listen_address(":1").is_unix());
}

TEST(ListenAddress, AnythingElseIsRefusedInOneLineThatShowsTheForms) {
  for (const std::string& text :
       {std::string(), std::string("5000"), std::string("localhost"), std::string("localhost:"),
        std::string("localhost:http"), std::string(":65536"), std::string(":-1"), std::string("::1:5000"),
        std::string("[::1]"), std::string("[]:1"), std::string("[::1:1"), std::string("http://localhost:1"),
        std::string("a b:1"), std::string("unix:"), std::string("unix:relative"), "unix:/" + std::string(107, 'x')}) {
    try {
      parse_listen_address(text);
      ADD_FAILURE() << text;
    } catch (const std::invalid_argument& error) {
      EXPECT_NE(std::string(error.what()).find("unix:/PATH"), std::string::npos);
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace shmetrics::exporter
