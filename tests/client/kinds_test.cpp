// The kinds beside counter, livesum gauge and histogram; and the ten gauge modes, with workers that live, die and are
// adopted.
#include <gtest/gtest.h>
#include <unistd.h>
#include <shmetrics/shmetrics.hpp>

#include <cmath>
#include <ctime>
#include <limits>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "collector/check.hpp"
#include "tests/forked.hpp"
#include "tests/scrape.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics {
namespace {

// Before main: nothing of the library may depend on the order of initialisers.
const std::string early_path = "/dev/shm/shmetrics-test-early-" + std::to_string(getpid()) + ".seg";
const Registry early_registry = [] {
  Options options;
  options.path = early_path;
  std::error_code error;
  const Registry registry = Registry::open(options, error);
  registry.counter("early_total", "E").inc(2);
  return registry;
}();
const std::string early_text = [] {
  const tests::Scrape scrape = tests::scrape(early_path);
  unlink(early_path.c_str());
  return scrape.text;
}();

constexpr double kInfinity = std::numeric_limits<double>::infinity();

class KindsTest : public ::testing::Test {
 protected:
  KindsTest() {
    Options options;
    options.path = path_;
    registry_ = Registry::open(options);
  }
  tests::Scrape scrape() const { return tests::scrape(path_); }

  tests::TemporaryFolder folder_;
  std::string path_ = folder_.file("a.seg");
  Registry registry_;
};

TEST_F(KindsTest, AStaticRegistryOpensBeforeMain) {
  EXPECT_FALSE(early_registry.error()) << early_registry.error().message();
  EXPECT_NE(early_text.find("\nearly_total 2\n"), std::string::npos) << early_text;
}

TEST_F(KindsTest, FloatCountersAddFractions) {
  const auto cost = registry_.float_counter("cost_dollars_total", "C", {"model"});
  cost.with("a").inc(0.25);
  cost.with("a").inc(0.5);
  cost.with("a").inc();
  EXPECT_EQ(scrape()["cost_dollars_total{model=\"a\"}"], 1.75);
}

TEST_F(KindsTest, FloatCountersRefuseWhatIsNoIncrement) {
  const FloatCounter cost = registry_.float_counter("cost_total", "C");
  for (const double bad : {-1.0, std::nan(""), kInfinity, -kInfinity}) cost.inc(bad);
  cost.inc(0);
  cost.inc(std::numeric_limits<double>::max());
  const tests::Scrape result = scrape();
  EXPECT_EQ(result["cost_total"], std::numeric_limits<double>::max());
  EXPECT_EQ(tests::count_of(result.status.values_refused, "negative"), 1u);
  EXPECT_EQ(tests::count_of(result.status.values_refused, "nan"), 1u);
  EXPECT_EQ(tests::count_of(result.status.values_refused, "infinite"), 2u);
}

TEST_F(KindsTest, FloatCountersStayAtTheLargestDoubleAndCountWhatIsBeyond) {
  Options options;
  options.path = folder_.file("one_slot.seg");
  options.slots = 1;
  const FloatCounter cost = Registry::open(options).float_counter("cost_total", "C");
  const auto expect_most = [&](std::uint64_t infinite) {
    const tests::Scrape result = tests::scrape(options.path);
    EXPECT_EQ(result["cost_total"], std::numeric_limits<double>::max());
    EXPECT_EQ(tests::count_of(result.status.values_refused, "infinite"), infinite);
    EXPECT_EQ(result.status.quarantined_slots, 0u);
    EXPECT_EQ(collector::check_segment(options.path).verdict, collector::CheckReport::Verdict::kSound);
  };
  const auto pass_it = [&] {
    for (int i = 0; i < 3; ++i) cost.inc(1e308);
  };
  pass_it();
  expect_most(1);
  std::thread(pass_it).join();  // in the spill, since it has no slot
  expect_most(2);
}

TEST_F(KindsTest, AnUnsetGaugeIsGoneUnlessAnotherWorkerShowsIt) {
  const auto depth = registry_.gauge("depth", "D", {"queue"}, GaugeMode::max);
  const Gauge sum = registry_.gauge("open", "O", {}, GaugeMode::livesum);
  depth.with("never set").unset();
  depth.with("mine").set(3);
  depth.with("ours").set(3);
  sum.set(4);
  const pid_t other = tests::forked_to_stay([&] {
    depth.with("ours").set(2);
    sum.set(1);
  });
  for (const Gauge& gauge : {depth.with("mine"), depth.with("ours"), sum}) {
    gauge.unset();
    gauge.unset();
  }
  const tests::Scrape result = scrape();
  EXPECT_FALSE(result.has("depth{queue=\"never set\"}"));
  EXPECT_FALSE(result.has("depth{queue=\"mine\"}"));
  EXPECT_EQ(result["depth{queue=\"ours\"}"], 2) << "the other worker's";
  EXPECT_EQ(result["open"], 1);
  EXPECT_EQ(tests::dropped_of(result.status), 0u);
  tests::kill_and_wait(other);
  EXPECT_EQ(scrape()["open"], 0) << "a sum of none is 0";
  depth.with("mine").inc();
  EXPECT_EQ(scrape()["depth{queue=\"mine\"}"], 1) << "begins anew";
}

TEST_F(KindsTest, NamesWithColonsAreExposedAsTheyAre) {
  registry_.counter("vllm:requests_total", "R").inc(2);
  registry_.histogram("vllm:wait_seconds", "W", {}, {1}).observe(0.5);
  const tests::Scrape result = scrape();
  EXPECT_EQ(result["vllm:requests_total"], 2);
  EXPECT_EQ(result["vllm:wait_seconds_bucket{le=\"1\"}"], 1);
  EXPECT_EQ(result.status.quarantined_families, 0u);
}

TEST_F(KindsTest, LenientNamesAreExposedAsTheyAreAndNoNameIsThereTwice) {
  const FamilyOptions lenient{.naming = Naming::lenient};
  EXPECT_TRUE(registry_.counter("requests", "").error()) << "without asking";
  registry_.counter("requests", "", {}, lenient).inc(2);
  registry_.gauge("sockets_total", "S", {}, GaugeMode::sum, lenient).set(3);
  registry_.gauge("queue_count", "Q", {}, GaugeMode::sum, lenient).set(4);
  registry_.gauge("process_open_fds", "F", {}, GaugeMode::sum, lenient).set(5);
  EXPECT_TRUE(registry_.gauge("requests", "R", {}, GaugeMode::sum, lenient).error());
  EXPECT_TRUE(registry_.summary("queue", "Q", {}, lenient).error()) << "its queue_count is there";
  const tests::Scrape result = scrape();
  for (const auto& [name, value] : std::map<std::string, double>{
           {"requests", 2}, {"sockets_total", 3}, {"queue_count", 4}, {"process_open_fds", 5}}) {
    EXPECT_EQ(result[name], value) << name;
  }
  EXPECT_EQ(result.values.size(), 4u);
}

TEST_F(KindsTest, NamingIsNoPartOfASchema) {
  registry_.counter("jobs_total", "J").inc();
  const auto lenient = registry_.counter("jobs_total", "J", {}, {.naming = Naming::lenient});
  EXPECT_FALSE(lenient.error()) << lenient.error().message();
  lenient.inc();
  const pid_t other = tests::forked([&] {
    registry_.counter("jobs_total", "J", {}, {.naming = Naming::lenient}).inc();
    return 0;
  });
  EXPECT_EQ(tests::wait_for(other), 0);
  EXPECT_EQ(scrape()["jobs_total"], 3);
  EXPECT_TRUE(scrape().status.family_generations.empty()) << "one family, and no second generation";
}

TEST_F(KindsTest, SummariesHaveSumAndCount) {
  const auto sizes = registry_.summary("response_bytes", "S", {"route"});
  sizes.with("/").observe(100);
  sizes.with("/").observe(50.5);
  sizes.with("/").observe(std::nan(""));
  const tests::Scrape result = scrape();
  EXPECT_EQ(result["response_bytes_sum{route=\"/\"}"], 150.5);
  EXPECT_EQ(result["response_bytes_count{route=\"/\"}"], 2);
  EXPECT_EQ(result.values.size(), 2u);
  EXPECT_EQ(tests::count_of(result.status.values_refused, "nan"), 1u);
}

TEST_F(KindsTest, AnInfoIsShownWhileAWorkerThatKnowsItLives) {
  const std::string series = "app_build_info{version=\"1.2.3\",commit=\"abc\"}";
  const tests::Baton done;
  const pid_t parent = tests::forked_to_stay([&] {
    if (registry_.info("app_build_info", "Build", {{"version", "1.2.3"}, {"commit", "abc"}})) std::abort();
    const Counter hits = registry_.counter("a_total", "A");
    const pid_t child = fork();
    if (child == 0) {
      hits.inc();
      done.pass();
      pause();
    }
  });
  done.receive();
  EXPECT_EQ(scrape()[series], 1) << "declared, and inherited by fork";
  tests::kill_and_wait(parent);
  EXPECT_EQ(scrape()[series], 1) << "the child lives";
  const auto rows = [&] {
    collector::Scraper scraper(path_);
    scraper.read();
    return scraper.workers();
  };
  for (const auto& row : rows()) {
    if (row.state == collector::WorkerState::kLive) kill(static_cast<pid_t>(row.pid), SIGKILL);
  }
  for (int i = 0; i < 1000 && scrape().has(series); ++i) usleep(1000);
  EXPECT_FALSE(scrape().has(series)) << "nobody lives who knows it";
  const pid_t again = tests::forked_to_stay([&] {
    if (registry_.info("app_build_info", "Build", {{"version", "1.2.3"}, {"commit", "abc"}})) std::abort();
  });
  EXPECT_EQ(scrape()[series], 1) << "also of a worker that has only declared";
  tests::kill_and_wait(again);
}

TEST_F(KindsTest, AnInfoDeclaredLateIsShownAtOnce) {
  registry_.counter("a_total", "A").inc();
  EXPECT_FALSE(registry_.info("late_info", "Late", {{"x", "y"}}));
  EXPECT_EQ(scrape()["late_info{x=\"y\"}"], 1);
  EXPECT_EQ(registry_.info("bad", "B", {{"x", "y"}}), Errc::invalid_argument);
  EXPECT_EQ(Registry().info("app_info", "A", {}), Errc::not_ready);
}

TEST_F(KindsTest, SetToCurrentTimeIsUnixSeconds) {
  const Gauge last = registry_.gauge("last_run_timestamp_seconds", "L", {}, GaugeMode::mostrecent);
  const auto before = static_cast<double>(std::time(nullptr));
  last.set_to_current_time();
  const double seen = scrape()["last_run_timestamp_seconds"];
  EXPECT_GE(seen, before);
  EXPECT_LE(seen, static_cast<double>(std::time(nullptr)) + 1);
}

TEST_F(KindsTest, LabelNamesMayBeKnownAtRunTimeOnly) {
  const std::vector<std::string_view> names = {"a", "b"};
  const auto hits = registry_.counter("a_total", "A", RuntimeLabels(names));
  const std::vector<std::string_view> values = {"1", "2"};
  hits.with(std::span(values)).inc();
  hits.with("1", "2").inc();
  hits.with("1").inc();  // of the wrong number
  EXPECT_EQ(scrape()["a_total{a=\"1\",b=\"2\"}"], 2);
  EXPECT_EQ(scrape().values.size(), 1u) << "inert";
}

TEST_F(KindsTest, NoLabelNamesAreFineToo) {
  const RuntimeLabels none(std::span<const std::string_view>{});
  const std::span<const std::string_view> no_values;
  registry_.counter("a_total", "A", none).with(no_values).inc();
  registry_.gauge("b", "B", none, GaugeMode::max).with(no_values).set(2);
  EXPECT_EQ(scrape()["a_total"], 1);
  EXPECT_EQ(scrape()["b"], 2);
}

TEST_F(KindsTest, AModeThatIsNoneIsRefusedAndHurtsNobody) {
  const auto wrong = registry_.gauge("a", "A", {}, static_cast<GaugeMode>(77)).error();
  EXPECT_EQ(wrong, Errc::invalid_argument);
  EXPECT_EQ(wrong.message(), "'a' has no mode of a gauge: see GaugeMode");
  EXPECT_FALSE(registry_.gauge("a", "A", {}, GaugeMode::all).error());
}

TEST_F(KindsTest, AFamilyMayHaveASeriesLimitOfItsOwn) {
  const auto few = registry_.counter("few_total", "F", {"l"}, {.series_limit = 2});
  for (int i = 0; i < 5; ++i) few.with(std::to_string(i)).inc();
  EXPECT_EQ(scrape()["few_total{l=\"__overflow__\"}"], 3);
}

TEST_F(KindsTest, AUnitMustEndTheName) {
  EXPECT_FALSE(registry_.histogram("d_seconds", "D", {}, {1}, {.unit = "seconds"}).error());
  EXPECT_FALSE(registry_.float_counter("cpu_seconds_total", "C", {}, {.unit = "seconds"}).error());
  const auto wrong = registry_.float_counter("cpu_total", "C", {}, {.unit = "seconds"}).error();
  EXPECT_NE(wrong.message().find("'cpu_seconds_total'"), std::string::npos) << wrong.message();
}

TEST_F(KindsTest, NamingTheOverflowSeriesGivesTheOverflowSeries) {
  const auto hits = registry_.counter("a_total", "A", {"l"});
  hits.with("__overflow__").inc();
  hits.with("\xff").inc();
  EXPECT_EQ(scrape()["a_total{l=\"__overflow__\"}"], 2);
  EXPECT_EQ(scrape().status.quarantined_series, 0u);
}

TEST_F(KindsTest, TheDefaultRegistryOpensWhatTheEnvironmentNames) {
  const std::string path = folder_.file("default.seg");
  setenv("SHMETRICS_SEGMENT", path.c_str(), 1);
  const Registry registry = default_registry();
  EXPECT_EQ(registry.path(), path);
  registry.counter("a_total", "A").inc();
  default_registry().counter("a_total", "A").inc();
  EXPECT_EQ(tests::scrape(path)["a_total"], 2);
}

TEST_F(KindsTest, TheDefaultRegistryNeverThrowsAndSaysWhatIsWrong) {
  setenv("SHMETRICS_SEGMENT", folder_.file("no/such/a.seg").c_str(), 1);
  const Registry inert = default_registry();
  EXPECT_FALSE(inert);
  EXPECT_NE(inert.error().message().find("no/such"), std::string::npos);
  EXPECT_EQ(default_registry().error(), Errc::not_ready) << "not tried at each call";
}

/// Two workers set each gauge, to 3 and to 5; then the one with 5 is killed; then a third takes its entry over. Entry 0
/// is this process's, which only declares.
TEST_F(KindsTest, EachGaugeModeOverADeathAndAnAdoption) {
  const GaugeMode modes[] = {GaugeMode::livesum, GaugeMode::livemin, GaugeMode::livemax, GaugeMode::livemostrecent,
                             GaugeMode::sum,     GaugeMode::min,     GaugeMode::max,     GaugeMode::mostrecent,
                             GaugeMode::liveall, GaugeMode::all};
  const char* const names[] = {"livesum", "livemin", "livemax",    "livemostrecent", "sum",
                               "min",     "max",     "mostrecent", "liveall",        "all"};
  std::vector<Gauge> gauges;
  for (std::size_t i = 0; i < std::size(modes); ++i) gauges.push_back(registry_.gauge(names[i], "G", {}, modes[i]));
  const auto worker = [&](double value) {
    return tests::forked_to_stay([&] {
      for (const Gauge& gauge : gauges) gauge.set(value);
    });
  };
  const auto shows = [&](std::initializer_list<std::pair<const char*, double>> expected) {
    const tests::Scrape result = scrape();
    EXPECT_EQ(result.values, (std::map<std::string, double>(expected.begin(), expected.end()))) << result.text;
  };

  shows({{"livesum", 0}, {"sum", 0}});
  const pid_t first = worker(3);
  const pid_t second = worker(5);
  shows({{"livesum", 8},
         {"livemin", 3},
         {"livemax", 5},
         {"livemostrecent", 5},
         {"sum", 8},
         {"min", 3},
         {"max", 5},
         {"mostrecent", 5},
         {"liveall{worker=\"1\"}", 3},
         {"liveall{worker=\"2\"}", 5},
         {"all{worker=\"1\"}", 3},
         {"all{worker=\"2\"}", 5}});
  tests::kill_and_wait(second);
  shows({{"livesum", 3},
         {"livemin", 3},
         {"livemax", 3},
         {"livemostrecent", 3},
         {"sum", 8},
         {"min", 3},
         {"max", 5},
         {"mostrecent", 5},
         {"liveall{worker=\"1\"}", 3},
         {"all{worker=\"1\"}", 3},
         {"all{worker=\"2\"}", 5}});
  const pid_t third = worker(4);
  // `sum` went on at the 5 that it found, and set() put 4 in its place; `min` and `max` keep what the dead one had.
  shows({{"livesum", 7},
         {"livemin", 3},
         {"livemax", 4},
         {"livemostrecent", 4},
         {"sum", 7},
         {"min", 3},
         {"max", 5},
         {"mostrecent", 4},
         {"liveall{worker=\"1\"}", 3},
         {"liveall{worker=\"2\"}", 4},
         {"all{worker=\"1\"}", 3},
         {"all{worker=\"2\"}", 4}});
  tests::kill_and_wait(first);
  tests::kill_and_wait(third);
  shows({{"livesum", 0},
         {"sum", 7},
         {"min", 3},
         {"max", 5},
         {"mostrecent", 4},
         {"all{worker=\"1\"}", 3},
         {"all{worker=\"2\"}", 4}});
}

TEST_F(KindsTest, IncrementsAndDecrementsOfASumStayExactOverDeaths) {
  const Gauge balance = registry_.gauge("balance", "B", {}, GaugeMode::sum);
  for (int i = 0; i < 20; ++i) {
    tests::kill_and_wait(tests::forked_to_stay([&] {
      balance.inc(3);
      balance.dec(2);
    }));
  }
  EXPECT_EQ(scrape()["balance"], 20);
}

}  // namespace
}  // namespace shmetrics
