// Debian's nginx in front of the exporter: on a private configuration, never the system's service.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "tests/running_exporter.hpp"

namespace shmetrics::tests {
namespace {

using ::testing::HasSubstr;

constexpr const char* kNginx = "/usr/sbin/nginx";
const std::string kBearer = std::string("Authorization: Bearer ") + kToken + "\r\n";

std::string shipped_configuration(const std::string& exporter_socket) {
  std::ifstream file(SHMETRICS_SOURCE_DIR "/deploy/nginx/shmetrics.conf");
  std::stringstream text;
  text << file.rdbuf();
  std::string configuration = text.str();
  const std::string shipped = "unix:/run/shmetrics-exporter/web.sock;";
  const std::size_t found = configuration.find(shipped);
  if (found == std::string::npos) throw std::runtime_error("deploy/nginx/shmetrics.conf has another socket");
  return configuration.replace(found, shipped.size(), "unix:" + exporter_socket + ";");
}

/// One process in the foreground, on a unix socket in `directory`.
class RunningNginx {
 public:
  RunningNginx(const TemporaryFolder& directory, const std::string& location)
      : socket_(directory.file("nginx.sock")), child_(command_of(directory, location, socket_)) {
    if (!eventually([this] { return access(socket_.c_str(), F_OK) == 0 || !child_.runs(); }) || !child_.runs()) {
      throw std::runtime_error("nginx does not start: " + child_.err());
    }
  }
  HttpResponse get(const std::string& fields, const std::string& target = "/api/metrics") const {
    return HttpClient::unix_socket(socket_).exchange("GET " + target + " HTTP/1.1\r\nHost: localhost\r\n" + fields +
                                                     "\r\n");
  }

 private:
  static ChildProcess::Command command_of(const TemporaryFolder& directory, const std::string& location,
                                          const std::string& socket) {
    std::ofstream(directory.file("nginx.conf"))
        << "daemon off;\nmaster_process off;\nerror_log stderr;\npid " << directory.file("nginx.pid")
        << ";\nevents {}\nhttp {\n  access_log off;\n  client_body_temp_path " << directory.file("body")
        << ";\n  proxy_temp_path " << directory.file("proxy") << ";\n  fastcgi_temp_path " << directory.file("fastcgi")
        << ";\n  uwsgi_temp_path " << directory.file("uwsgi") << ";\n  scgi_temp_path " << directory.file("scgi")
        << ";\n  server {\n    listen unix:" << socket << ";\n"
        << location << "\n  }\n}\n";
    return {.argv = {kNginx, "-e", "stderr", "-c", directory.file("nginx.conf")}};
  }
  std::string socket_;
  ChildProcess child_;
};

class Nginx : public ::testing::Test {
 protected:
  void SetUp() override {
    if (access(kNginx, X_OK) != 0) GTEST_SKIP() << "no nginx here";
  }
  TemporaryFolder directory_;
};

TEST_F(Nginx, WithOurFileNobodyIsLetInWithoutAToken) {
  const std::string socket = directory_.file("exporter.sock");
  // Also with the bypass on, which is how it must not be run behind a proxy.
  for (const char* bypass : {"--no-web.localhost-bypass", "--web.localhost-bypass"}) {
    const TemporaryFolder place;
    const RunningExporter exporter({.flags = {bypass}, .listen_address = "unix:" + socket});
    const RunningNginx nginx(place, shipped_configuration(socket));
    EXPECT_EQ(nginx.get("").status, 401) << bypass;
    EXPECT_EQ(nginx.get("Authorization: Bearer wrong\r\n").status, 401);
    const HttpResponse response = nginx.get(kBearer);
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.header("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
    EXPECT_THAT(response.body, HasSubstr("shmetrics_segment_up 0\n"));
    EXPECT_EQ(nginx.get(kBearer + "Content-Length: 5\r\n\r\nhello").status, 200) << "the body is not passed on";
    EXPECT_EQ(nginx.get(kBearer, "/metrics").status, 404) << "only the one path is passed on";
  }
}

TEST_F(Nginx, WithABareProxyPassNobodyIsLetInWithoutAToken) {
  for (const char* bypass : {"--no-web.localhost-bypass", "--web.localhost-bypass"}) {
    const TemporaryFolder place;
    const RunningExporter exporter({.flags = {bypass}});
    const RunningNginx nginx(place,
                             "location / { proxy_pass http://127.0.0.1:" + std::to_string(exporter.port()) + "; }");
    EXPECT_EQ(nginx.get("").status, 401) << bypass;
    EXPECT_EQ(nginx.get("Authorization: Bearer wrong\r\n").status, 401);
    EXPECT_EQ(nginx.get(kBearer).status, 200);
    EXPECT_EQ(nginx.get("", std::string("/metrics?token=") + kToken).status, 200);
    EXPECT_EQ(nginx.get("", "/-/healthy").status, 200);
  }
}

}  // namespace
}  // namespace shmetrics::tests
