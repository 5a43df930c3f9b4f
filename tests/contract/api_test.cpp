// Every snippet of the API's contract, as a user would write it. It must compile as it stands.
#include <gtest/gtest.h>
#include <shmetrics/shmetrics.hpp>
#include <shmetrics/testing.hpp>

#include <array>
#include <latch>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>

namespace {

using shmetrics::testing::TemporarySegment;

TEST(Contract, OptionsAndTheTwoWaysToOpen) {
  const TemporarySegment elsewhere;
  shmetrics::Options options;
  options.path = elsewhere.path() + ".other";
  options.start = shmetrics::Start::attach;
  options.start = shmetrics::Start::fresh;
  options.workers = 16;
  options.slots = 32;
  options.cells = 4096;
  options.directory_bytes = 65536;
  options.mode = 0640;
  options.group = getegid();
  options.series_per_family = 500;
  options.quiet = true;
  options.on_error = [](const char* line) { ADD_FAILURE() << line; };
  auto registry = shmetrics::Registry::open(options);
  std::error_code error;
  auto quiet = shmetrics::Registry::open(options, error);
  EXPECT_TRUE(registry && quiet);
  EXPECT_FALSE(error || registry.error());
  EXPECT_EQ(registry.path(), options.path);
  static_assert(noexcept(shmetrics::Registry::open(options, error)));
  static_assert(noexcept(shmetrics::default_registry()));
}

TEST(Contract, TheSnippetOfEveryKind) {
  const TemporarySegment segment;
  auto registry = segment.registry();

  auto requests =
      registry.counter("crm_http_requests_total", "Total number of HTTP requests", {"method", "route", "status_code"});
  requests.with("GET", "/users/:id", "200").inc();
  shmetrics::Counter hits = requests.with("GET", "/", "200");
  hits.inc();
  hits.inc(5);

  auto cost = registry.float_counter("crm_cost_dollars_total", "Money spent", {});
  cost.inc(0.25);
  auto active = registry.gauge("crm_active_connections", "Open connections", {}, shmetrics::GaugeMode::livesum);
  auto duration = registry.histogram("crm_http_request_duration_seconds", "Duration of HTTP requests", {"route"},
                                     shmetrics::exponential_buckets(0.001, 2.0, 12));
  auto explicit_bounds = registry.histogram("crm_db_query_duration_seconds", "Queries", {"table"}, {0.1, 0.5, 1.0});
  auto default_bounds = registry.histogram("crm_job_duration_seconds", "Jobs", {});
  auto linear = registry.histogram("crm_size", "Sizes", {}, shmetrics::linear_buckets(10, 10, 5));
  auto native =
      registry.native_histogram("crm_wait_seconds", "Waits", {"queue"}, {.low = 1e-4, .high = 60, .factor = 1.1});
  auto sizes = registry.summary("crm_response_bytes", "Response size", {});
  registry.info("crm_build_info", "Build", {{"version", "1.2.3"}});
  active.inc();
  active.dec();
  active.set(3.0);
  active.set_to_current_time();
  { shmetrics::Timer timer(duration.with("/")); }
  { shmetrics::Timer timer(sizes); }
  { shmetrics::InFlight guard(active); }
  duration.with("/").observe(0.012);
  explicit_bounds.with("users").observe(0.2);
  native.with("mail").observe(0.5);
  default_bounds.observe(1);
  linear.observe(15);

  EXPECT_EQ(segment.value("crm_http_requests_total", {{"method", "GET"}, {"route", "/"}, {"status_code", "200"}}), 6);
  EXPECT_EQ(segment.value("crm_cost_dollars_total"), 0.25);
  EXPECT_EQ(segment.value("crm_http_request_duration_seconds_count", {{"route", "/"}}), 2);
  EXPECT_EQ(segment.value("crm_db_query_duration_seconds_bucket", {{"table", "users"}, {"le", "0.5"}}), 1);
  EXPECT_EQ(segment.value("crm_job_duration_seconds_bucket", {{"le", "+Inf"}}), 1);
  EXPECT_EQ(segment.value("crm_response_bytes_count"), 1);
  EXPECT_EQ(segment.value("crm_build_info", {{"version", "1.2.3"}}), 1);
  EXPECT_NE(segment.text().find("# TYPE crm_http_requests_total counter\n"), std::string::npos);
}

TEST(Contract, LabelsInEveryForm) {
  const TemporarySegment segment;
  auto registry = segment.registry();
  auto none = registry.counter("none_total", "Without labels");
  auto braces = registry.counter("braces_total", "Without labels", {});
  auto one = registry.counter("one_total", "One label", {"l"});
  auto limited = registry.counter("limited_total", "Limited", {"l"}, shmetrics::FamilyOptions{.series_limit = 7});
  auto mode = registry.gauge("worker_load", "Load", {"kind"}, shmetrics::GaugeMode::liveall);
  none.inc();
  braces.inc();
  const std::string text = "a";
  const std::string_view view = "a";
  one.with("a").inc();
  one.with(text).inc();
  one.with(view).inc();
  const std::array<std::string_view, 1> values = {"a"};
  one.with(std::span<const std::string_view>(values)).inc();
  limited.with("x").inc();
  mode.with("x").set(1);
  EXPECT_EQ(segment.value("one_total", {{"l", "a"}}), 4);
  EXPECT_FALSE(one.error());
  EXPECT_TRUE(static_cast<bool>(one));
  EXPECT_EQ(registry.counter("bad", "Refused").error().message(),
            "counter 'bad' must end in '_total': use 'bad_total'");
}

TEST(Contract, HandlesAreSmallAndTriviallyCopyable) {
  static_assert(std::is_trivially_copyable_v<shmetrics::Counter> && sizeof(shmetrics::Counter) <= 16);
  static_assert(std::is_trivially_copyable_v<shmetrics::FloatCounter> && sizeof(shmetrics::FloatCounter) <= 16);
  static_assert(std::is_trivially_copyable_v<shmetrics::Gauge> && sizeof(shmetrics::Gauge) <= 16);
  static_assert(std::is_trivially_copyable_v<shmetrics::Histogram> && sizeof(shmetrics::Histogram) <= 16);
  static_assert(std::is_trivially_copyable_v<shmetrics::Summary> && sizeof(shmetrics::Summary) <= 16);
}

TEST(Contract, ARefusedFamilyIsInertAndSaysWhy) {
  const TemporarySegment segment;
  auto registry = segment.registry();
  auto jobs = registry.counter("app_jobs_total", "Jobs", {"queue"});
  jobs.with("mail").inc();
  auto other = registry.gauge("app_jobs", "a name that the counter produces", {"queue"});
  auto again = registry.counter("app_jobs_total", "Jobs", {"queue", "kind"});  // another schema in the same process
  EXPECT_EQ(other.error(), shmetrics::Errc::invalid_argument);
  EXPECT_FALSE(again);
  EXPECT_EQ(again.error(), shmetrics::Errc::incompatible);
  again.with("mail", "urgent").inc();  // no crash; counted as dropped
  EXPECT_EQ(segment.value("app_jobs_total", {{"queue", "mail"}}), 1);
}

TEST(Contract, AllElevenGaugeModes) {
  using enum shmetrics::GaugeMode;
  const TemporarySegment segment;
  int declared = 0;
  for (const shmetrics::GaugeMode mode :
       {livesum, livemin, livemax, liveall, livemostrecent, sum, min, max, mostrecent, all, shared}) {
    const auto gauge = segment.registry().gauge("g" + std::to_string(declared++), "G", {}, mode);
    EXPECT_FALSE(gauge.error());
    gauge.set(1);
  }
}

TEST(Contract, RoutesAreNormalised) {
  EXPECT_EQ(shmetrics::normalize_route("/users/123/orders/9b2e6f3c-0b1d-4c8e-9f00-1234567890ab"),
            "/users/:id/orders/:id");
}

TEST(Contract, ATestSegmentNamesBoundsAsTheScrapeDoes) {
  const TemporarySegment segment;
  segment.registry().histogram("sizes_bytes", "S", {}, {0.0001, 100000}).observe(5);
  EXPECT_EQ(segment.value("sizes_bytes_bucket", {{"le", "100000"}}), 1) << segment.text();
  EXPECT_EQ(segment.value("sizes_bytes_bucket", {{"le", "0.0001"}}), 0);
  EXPECT_EQ(segment.value("sizes_bytes_bucket", {{"le", "+Inf"}}), 1);
}

TEST(Contract, AThreadMayEndAfterItsTestSegment) {
  std::latch counted(1), is_gone(1);
  std::thread thread;
  {
    const TemporarySegment segment;
    thread = std::thread([&, hits = segment.registry().counter("a_total", "A")] {
      hits.inc();
      counted.count_down();
      is_gone.wait();
    });
    counted.wait();
  }
  is_gone.count_down();
  thread.join();
}

TEST(Contract, MoreSegmentsInTurnThanAProcessHoldsAtOnce) {
  for (int i = 0; i < 30; ++i) {
    const TemporarySegment segment;
    segment.registry().counter("a_total", "A").inc(i);
    EXPECT_EQ(segment.value("a_total"), i);
  }
}

TEST(Contract, AStaleHandleTakesNoUpdatesOfALaterSegment) {
  std::optional<TemporarySegment> first(std::in_place);
  const shmetrics::Histogram stale = first->registry().histogram("h", "H");
  first.reset();
  for (int i = 0; i < 7; ++i) const TemporarySegment between;
  const TemporarySegment ninth;
  const shmetrics::Counter hits = ninth.registry().counter("a_total", "A");
  stale.observe(1);
  hits.inc();
  EXPECT_EQ(ninth.value("a_total"), 1);
}

}  // namespace
