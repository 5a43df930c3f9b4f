// Each system call of the exporter fails once, at each of its calls: it starts and serves, or says why not in one line;
// and as soon as the fault is over, what it serves is right, also of a segment that has taken the place of the first.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <shmetrics/shmetrics.hpp>

#include <algorithm>

#include "tests/faults/each_fault.hpp"
#include "tests/forked.hpp"
#include "tests/running_exporter.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics::tests {
namespace {

class ExporterSyscallTest : public ::testing::Test {
 protected:
  /// A new segment at the path, with one counter.
  void count(int n) {
    const pid_t pid = forked([&] {
      Options options;
      options.path = segment_;
      options.start = Start::fresh;
      Registry::open(options).counter("a_total", "A").inc(n);
      return 0;
    });
    ASSERT_EQ(wait_for(pid), 0);
  }

  std::string body_of(std::uint16_t port) {
    try {
      const auto response =
          HttpClient::tcp4(port).exchange("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
      EXPECT_EQ(response.status, 200);
      return response.body;
    } catch (const std::runtime_error&) {
      return {};  // the connection was lost to the fault
    }
  }

  /// Whether there was such a call.
  bool fail(const char* function, std::uint64_t nth, int error) {
    plan_->begin(function, nth, error);
    count(3);
    ChildProcess exporter(
        {.argv = {SHMETRICS_EXPORTER_PROGRAM, "--segment", segment_, "--web.listen-address=127.0.0.1:0"},
         .environment = {"SHMETRICS_FAULT_PLAN=" + plan_path_, "LD_PRELOAD=" SHMETRICS_FAULT_LIBRARY}});
    if (!exporter.says("\"listening\"")) {
      EXPECT_EQ(exporter.exit_code(), 1) << exporter.err();
      EXPECT_FALSE(exporter.err().empty());
      EXPECT_GT(plan_->hits, 0u);
      return true;
    }
    const std::uint16_t port = listening_port(exporter.err());
    body_of(port);
    count(5);
    body_of(port);
    const bool was_hit = plan_->hits > 0;
    plan_->nth = 0;
    EXPECT_NE(body_of(port).find("\na_total 5\n"), std::string::npos) << "the fault is over";
    EXPECT_TRUE(exporter.runs()) << exporter.err();
    return was_hit;
  }

  TemporaryFolder folder_;
  std::string segment_ = folder_.file("a.seg");
  std::string plan_path_ = folder_.file("plan");
  FaultPlan* plan_ = [this] {
    const int fd = ::open(plan_path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (ftruncate(fd, sizeof(FaultPlan)) != 0) throw std::runtime_error("ftruncate");
    void* at = mmap(nullptr, sizeof(FaultPlan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return new (at) FaultPlan{};
  }();
};

TEST_F(ExporterSyscallTest, NoSingleFailureEndsItOrSpoilsATotal) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer must come before all preloaded libraries";
#endif
  const auto faults = each_fault(0, SHMETRICS_FAULT_STRIDE, [&](auto... fault) { return fail(fault...); });
  for (const char* const name : {"fcntl", "fstat", "fstatfs", "lseek", "mmap", "open", "pread", "read"}) {
    EXPECT_TRUE(faults.contains(name)) << name << " is not interposed any more";
  }
}

}  // namespace
}  // namespace shmetrics::tests
