// Certificates of a test's own, made by openssl: an authority, and what it signs.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include "tests/child_process.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics::tests {

class Authority {
 public:
  explicit Authority(const std::string& name = "authority") : name_(name) {
    openssl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key("ca"),
             "-out", certificate("ca"), "-days", "30", "-subj", "/CN=" + name_, "-addext",
             "basicConstraints=critical,CA:TRUE"});
  }
  /// Files NAME.pem and NAME.key. `sans` as openssl has them, for example DNS:localhost; 0 days: it has expired.
  void sign(const std::string& name, const std::string& sans, const std::string& usage = "serverAuth", int days = 30) {
    openssl({"req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key(name), "-out",
             file("request"), "-subj", "/CN=" + name});
    std::ofstream(file("extensions")) << "subjectAltName=" << sans << "\nextendedKeyUsage=" << usage << "\n";
    openssl({"x509", "-req", "-in", file("request"), "-CA", certificate("ca"), "-CAkey", key("ca"), "-CAcreateserial",
             "-days", std::to_string(days), "-extfile", file("extensions"), "-out", certificate(name)});
    if (days == 0) sleep(1);
  }
  std::string certificate(const std::string& name) const { return file(name + ".pem"); }
  std::string key(const std::string& name) const { return file(name + ".key"); }
  std::string file(const std::string& name) const { return folder_.file(name); }

 private:
  static void openssl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "/usr/bin/openssl");
    const Outcome outcome = run_command(arguments);
    if (outcome.code != 0) throw std::runtime_error("openssl: " + outcome.error);
  }
  std::string name_;
  TemporaryFolder folder_;
};

}  // namespace shmetrics::tests
