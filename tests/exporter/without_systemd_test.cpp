// systemd.cpp as it is built where libsystemd is not.
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "exporter/http/systemd.hpp"

namespace shmetrics::exporter {
namespace {

TEST(WithoutSystemd, TheFlagSaysThatItIsNotBuiltIn) {
  try {
    take_systemd_sockets();
    FAIL() << "took sockets";
  } catch (const std::runtime_error& error) {
    EXPECT_EQ(std::string(error.what()), "--web.systemd-socket is not built in; build with libsystemd-dev installed");
  }
  tell_systemd(ServiceState::kReady);
}

}  // namespace
}  // namespace shmetrics::exporter
