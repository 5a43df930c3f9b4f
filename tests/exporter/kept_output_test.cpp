// What the judges get does not depend on which threads of a test have scraped.
#include "tests/kept_output.hpp"

#include <gtest/gtest.h>

#include <barrier>
#include <exception>
#include <thread>
#include <vector>

#include "tests/temporary_folder.hpp"

namespace shmetrics::tests {
namespace {

TEST(KeptOutput, ThreadsThatKeepTheSameTextAtOnceWriteItOnce) {
  const TemporaryFolder folder;
  setenv("SHMETRICS_OUTPUTS", folder.file("").c_str(), 1);
  constexpr int kTexts = 50;
  std::vector<std::thread> threads;
  std::vector<std::exception_ptr> failures(4);
  std::barrier together(4);
  for (std::exception_ptr& failure : failures) {
    threads.emplace_back([&] {
      for (int i = 0; i < kTexts; ++i) {
        together.arrive_and_wait();
        try {
          keep_output("text/plain; version=0.0.4", std::string(10'000 + i, 'x'));
        } catch (...) {
          failure = std::current_exception();
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& failure : failures) EXPECT_EQ(failure, nullptr);
  const auto files = std::filesystem::directory_iterator(folder.file(""));
  EXPECT_EQ(std::distance(begin(files), end(files)), kTexts);
}

}  // namespace
}  // namespace shmetrics::tests
