#include "exporter/scrape/shared_scrapes.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <future>
#include <semaphore>
#include <stdexcept>

#include "exporter/scrape/self_metrics.hpp"
#include "tests/allocations.hpp"
#include "tests/child_process.hpp"

namespace shmetrics::exporter {
namespace {

namespace asio = boost::asio;
using Text = std::shared_ptr<const std::string>;

class SharedScrapesTest : public ::testing::Test {
 protected:
  /// Asks in the io thread; the answer comes by run().
  void ask(ScrapeQuery query, std::chrono::milliseconds patience = std::chrono::seconds(20), Peer peer = {}) {
    const std::size_t place = outcomes_.size();
    outcomes_.emplace_back();
    const auto deadline = std::chrono::steady_clock::now() + patience;
    asio::co_spawn(io_, scrapes_.get(std::move(query), peer, deadline),
                   [this, place](const std::exception_ptr&, SharedScrapes::Outcome outcome) {
                     outcomes_[place] = std::move(outcome);
                   });
  }
  void run() {
    io_.restart();
    io_.run_for(std::chrono::seconds(20));
  }
  const std::string& text(std::size_t place) { return *std::get<Text>(outcomes_.at(place).value()); }
  bool is_late(std::size_t place) {
    return std::get<ScrapeFailure>(outcomes_.at(place).value()) == ScrapeFailure::kLate;
  }
  static ScrapeQuery named(const char* name) { return {.representation = {}, .names = {name}}; }

  static constexpr std::uint64_t kMostBytes = 100'000;
  std::atomic<int> reads_ = 0, renderings_ = 0;
  std::function<void()> during_read_ = [] {};
  RequestCounts counts_;
  ScrapeSource source_{.read =
                           [this] {
                             ++reads_;
                             during_read_();
                           },
                       .render =
                           [this](const ScrapeQuery& query, const RequestCounts& counts) {
                             ++renderings_;
                             return std::to_string(reads_) + (query.has_filter() ? query.names[0] : "") +
                                    (query.coding == Coding::kGzip ? "z" : "") + std::string(counts.in_flight, '!');
                           }};
  asio::io_context io_{1};
  SharedScrapes scrapes_{io_, source_, counts_, kMostBytes};
  std::vector<std::optional<SharedScrapes::Outcome>> outcomes_;
};

TEST_F(SharedScrapesTest, ThoseThatComeTogetherShareOneReadAndARenderingEachQuery) {
  for (int i = 0; i < 20; ++i) ask({});
  ask(named("a"));
  ask(named("b"));
  ask(named("a"));
  run();
  // The first one starts a collection, the rest came while it ran.
  EXPECT_EQ(reads_, 2);
  EXPECT_EQ(renderings_, 1 + 3);
  EXPECT_EQ(text(0), "1");
  for (std::size_t i = 1; i < 20; ++i) EXPECT_EQ(std::get<Text>(*outcomes_[i]), std::get<Text>(*outcomes_[1]));
  EXPECT_EQ(text(20), "2a");
  EXPECT_EQ(text(21), "2b");
  EXPECT_EQ(std::get<Text>(*outcomes_[20]), std::get<Text>(*outcomes_[22]));
}

TEST_F(SharedScrapesTest, WhileResponsesThatNobodyTakesFillTheBudgetNoMoreAreMade) {
  std::string large(kMostBytes, 'x');
  source_.render = [&](const ScrapeQuery&, const RequestCounts&) { return large; };
  ask({});
  run();
  ask(named("a"));
  run();
  EXPECT_EQ(std::get<ScrapeFailure>(outcomes_[1].value()), ScrapeFailure::kFull);
  outcomes_[0].reset();  // taken
  ask(named("a"));
  run();
  EXPECT_EQ(text(2).size(), kMostBytes);
}

TEST_F(SharedScrapesTest, NoPeerHasMoreThanHalfOfTheBudgetSoThatNoneShutsOutTheOthers) {
  const Peer greedy{.address = {1}}, greedy_too{.address = {1}, .port = 7}, other{.address = {2}};
  const std::string text_of_a_quarter(kMostBytes / 4, 'x');
  source_.render = [&](const ScrapeQuery&, const RequestCounts&) { return text_of_a_quarter; };
  constexpr std::chrono::seconds kPatience{20};
  for (const char* name : {"a", "b", "c"}) ask(named(name), kPatience, name[0] == 'b' ? greedy_too : greedy);
  run();
  EXPECT_EQ(text(1).size(), kMostBytes / 4);
  EXPECT_EQ(std::get<ScrapeFailure>(outcomes_[2].value()), ScrapeFailure::kFull);
  ask(named("d"), kPatience, other);
  run();
  EXPECT_EQ(text(3).size(), kMostBytes / 4);
  outcomes_[0].reset();  // taken
  ask(named("e"), kPatience, greedy);
  run();
  EXPECT_EQ(text(4).size(), kMostBytes / 4);
}

TEST_F(SharedScrapesTest, APeerWithoutRoomTakesNothingFromOneThatAsksTheSame) {
  const Peer greedy{.address = {1}}, other{.address = {2}}, first{.address = {3}};
  const std::string text_of_a_quarter(kMostBytes / 4, 'x');
  source_.render = [&](const ScrapeQuery&, const RequestCounts&) { return text_of_a_quarter; };
  constexpr std::chrono::seconds kPatience{20};
  for (const char* name : {"a", "b"}) ask(named(name), kPatience, greedy);
  run();
  ask({}, kPatience, first);  // while that is collected, the next two come together
  ask(named("c"), kPatience, greedy);
  ask(named("c"), kPatience, other);
  run();
  EXPECT_EQ(std::get<ScrapeFailure>(outcomes_[3].value()), ScrapeFailure::kFull);
  EXPECT_EQ(text(4).size(), kMostBytes / 4);
}

TEST_F(SharedScrapesTest, WhoComesWhileItReadsGetsALaterRead) {
  // The second request is made inside the first read, so what that read saw may be older than the request.
  during_read_ = [this] {
    if (reads_ == 1) asio::post(io_, [this] { ask({}); });
    if (reads_ == 1) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  };
  ask({});
  run();
  EXPECT_EQ(text(0), "1");
  EXPECT_EQ(text(1), "2");
}

TEST_F(SharedScrapesTest, TheIoThreadGoesOnWhileItCollects) {
  std::binary_semaphore seen{0};
  bool has_run = false;
  during_read_ = [&] {
    asio::post(io_, [&] {
      has_run = true;
      seen.release();
    });
    ASSERT_TRUE(seen.try_acquire_for(std::chrono::seconds(20)));
  };
  ask({});
  run();
  EXPECT_TRUE(has_run);
  EXPECT_EQ(text(0), "1");
}

TEST_F(SharedScrapesTest, ADeadlineEndsTheWaitAndNotTheCollection) {
  during_read_ = [] { std::this_thread::sleep_for(std::chrono::milliseconds(300)); };
  ask({}, std::chrono::milliseconds(50));
  ask({}, std::chrono::milliseconds(0));
  ask({});
  run();
  EXPECT_TRUE(is_late(0));
  EXPECT_TRUE(is_late(1));
  EXPECT_EQ(text(2), "2");
}

TEST_F(SharedScrapesTest, NothingIsCollectedForThoseWhoseTimeWasOverInTheQueue) {
  during_read_ = [] { std::this_thread::sleep_for(std::chrono::milliseconds(300)); };
  ask({});
  ask(named("a"), std::chrono::milliseconds(50));
  run();
  EXPECT_TRUE(is_late(1));
  EXPECT_EQ(reads_, 1);
}

TEST_F(SharedScrapesTest, WhoseTimeIsOverLeavesNothingBehindWhileItCollects) {
  constexpr std::size_t kMany = 200;
  const std::size_t before = tests::live_allocations();
  bool is_free = false;
  during_read_ = [&] { is_free = tests::eventually([&] { return tests::live_allocations() < before + kMany; }); };
  ask({});
  for (std::size_t i = 0; i < kMany; ++i) ask(named(std::to_string(i).c_str()), std::chrono::milliseconds(200));
  run();
  EXPECT_TRUE(is_free);
  for (std::size_t i = 1; i <= kMany; ++i) EXPECT_TRUE(is_late(i)) << i;
}

TEST_F(SharedScrapesTest, WhicheverAllocationFailsTheNextOneIsServed) {
  during_read_ = [] { tests::fail_allocation(0); };
  for (std::size_t nth = 1; nth < 40; ++nth) {
    asio::post(io_, [nth] { tests::fail_allocation(nth); });
    ask({});
    run();
    ask({}, std::chrono::seconds(2));
    run();
    ASSERT_TRUE(std::holds_alternative<Text>(outcomes_.back().value())) << nth;
  }
}

TEST_F(SharedScrapesTest, WhatCollectingThrowsIsAFailureAndTheNextOneIsServed) {
  during_read_ = [this] {
    if (reads_ == 1) throw std::runtime_error("broken");
  };
  ask({});
  run();
  EXPECT_EQ(std::get<ScrapeFailure>(*outcomes_[0]), ScrapeFailure::kBroken);
  ask({});
  run();
  EXPECT_EQ(text(1), "2");
}

TEST_F(SharedScrapesTest, GzipAndIdentityAreDifferentRenderings) {
  ask({});
  ask({.representation = {}, .coding = Coding::kGzip, .names = {}});
  run();
  EXPECT_EQ(text(0), "1");
  EXPECT_EQ(text(1), "2z");
}

TEST_F(SharedScrapesTest, ASnapshotOfNoSegmentIsAFailureOfItsOwn) {
  source_.render = [](const ScrapeQuery&, const RequestCounts&) { return std::string(); };
  ask({.representation = {}, .coding = Coding::kGzip, .snapshot_of = "x"});
  run();
  EXPECT_EQ(std::get<ScrapeFailure>(*outcomes_[0]), ScrapeFailure::kUnknown);
}

TEST_F(SharedScrapesTest, TheCountsAreThoseOfTheIoThread) {
  counts_.in_flight = 2;
  ask({});
  run();
  EXPECT_EQ(text(0), "1!!");
}

TEST_F(SharedScrapesTest, ItsEndDoesNotNeedThoseThatWait) {
  auto other = std::make_unique<asio::io_context>(1);
  auto scrapes = std::make_unique<SharedScrapes>(*other, source_, counts_, kMostBytes);
  std::atomic<bool> is_over = false;
  during_read_ = [&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    is_over = true;
  };
  asio::co_spawn(*other, scrapes->get({}, {}, std::chrono::steady_clock::now() + std::chrono::seconds(20)),
                 [](const std::exception_ptr&, const SharedScrapes::Outcome&) { FAIL(); });
  other->run_one_for(std::chrono::milliseconds(10));
  ASSERT_TRUE(tests::eventually([&] { return reads_ == 1; })) << "it is at work when it ends";
  scrapes.reset();
  EXPECT_TRUE(is_over.load()) << "it waits for the read that is under way";
  other.reset();
  EXPECT_EQ(reads_, 1) << "and begins no other";
}

}  // namespace
}  // namespace shmetrics::exporter
