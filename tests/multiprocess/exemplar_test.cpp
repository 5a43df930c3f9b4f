// Workers that give an exemplar with each update at full speed, killed at random and replaced, under a reader: what it
// shows is always what one worker gave in one moment.
#include <gtest/gtest.h>
#include <shmetrics/shmetrics.hpp>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "collector/plain_family.hpp"
#include "collector/scraper.hpp"
#include "tests/forked.hpp"
#include "tests/shared_memory.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kWorkers = 4;
constexpr int kKills = 150;
constexpr int kLeastShown = 1000;

/// Labels that follow from the value, of lengths that change with it: of two values mixed, they tell.
class Given {
 public:
  explicit Given(std::uint64_t value) {
    std::fill(std::begin(text_), std::end(text_), 'x');
    std::to_chars(text_, text_ + sizeof text_, value * 2654435761u);
    exemplar_ = {{text_, 20 + value % 20}, {text_, 1 + value % 16}};
  }
  operator const Exemplar&() const { return exemplar_; }
  bool is(const collector::PlainExemplar& shown) const {
    return shown.labels.size() == 2 && shown.labels[0].second == exemplar_.trace_id &&
           shown.labels[1].second == exemplar_.span_id;
  }

 private:
  char text_[40];
  Exemplar exemplar_;
};

class ExemplarTortureTest : public ::testing::Test {
 protected:
  struct Shared {
    std::atomic<bool> stop;
    std::atomic<std::uint64_t> updates;
  };

  ExemplarTortureTest() {
    Options options;
    options.path = path_;
    const Registry registry = Registry::open(options);
    hits_ = registry.counter("hits_total", "Hits", {}, {.exemplars = true});
    sizes_ = registry.histogram("sizes", "Sizes", {}, {100, 500}, {.exemplars = true});
    lengths_ = registry.native_histogram("lengths", "Lengths", {}, {.low = 128, .high = 512}, {.exemplars = true});
  }
  ~ExemplarTortureTest() override { shared_.stop = true; }

  pid_t start() {
    return tests::forked([&] {
      for (std::uint64_t i = static_cast<std::uint64_t>(getpid()); !shared_.stop; ++i) {
        hits_.inc(i % 1000, Given(i % 1000));
        sizes_.observe(static_cast<double>(i % 1000), Given(i % 1000));
        lengths_.observe(static_cast<double>(i % 1000), Given(i % 1000));
        shared_.updates.fetch_add(1, std::memory_order_relaxed);
      }
      return 0;
    });
  }

  /// Returns how many exemplars there were.
  int look(collector::Scraper& scraper) {
    EXPECT_TRUE(scraper.read().up);
    int shown = 0;
    for (const collector::PlainFamily& family : plain_families(scraper.view())) {
      for (const collector::PlainExemplar& exemplar : family.series.at(0).exemplars) {
        const Given given(static_cast<std::uint64_t>(exemplar.value));
        EXPECT_TRUE(given.is(exemplar)) << family.name << " " << exemplar.value << " " << exemplar.labels.at(0).second;
        ++shown;
      }
    }
    return shown;
  }

  tests::TemporaryFolder folder_;
  std::string path_ = folder_.file("a.seg");
  Counter hits_;
  Histogram sizes_, lengths_;
  Shared& shared_ = tests::shared<Shared>();
};

TEST_F(ExemplarTortureTest, NoMixtureOfTwoIsEverShown) {
  std::vector<pid_t> workers;
  for (int i = 0; i < kWorkers; ++i) workers.push_back(start());
  collector::Scraper scraper(path_);
  std::mt19937 random(17);
  int shown = 0, looks = 0, kills = 0;
  const auto end = Clock::now() + std::chrono::seconds(60);
  while ((kills < kKills || shown < kLeastShown) && Clock::now() < end && !HasFailure()) {
    shown += look(scraper);
    if (++looks % 5 != 0 || kills >= kKills) continue;
    pid_t& victim = workers[random() % workers.size()];
    ASSERT_EQ(tests::kill_and_wait(victim), -SIGKILL);
    victim = start();
    ++kills;
  }
  shared_.stop = true;
  for (const pid_t worker : workers) EXPECT_EQ(tests::wait_for(worker), 0);
  EXPECT_EQ(look(scraper), 1 + 3 + 4) << "of the counter, each bucket, and each octave, when nobody writes";
  EXPECT_GE(shown, kLeastShown) << "they must be seen to be judged";
  std::printf("%d exemplars in %d looks, %d kills, %llu updates\n", shown, looks, kills,
              static_cast<unsigned long long>(shared_.updates.load()));
}

}  // namespace
}  // namespace shmetrics
