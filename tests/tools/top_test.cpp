// `shmetrics top`, from its arithmetic to a real terminal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "tests/collector/segment_builder.hpp"
#include "tests/tools/pseudo_terminal.hpp"
#include "tests/tools/run_program.hpp"
#include "tools/printable.hpp"
#include "tools/top_frame.hpp"

namespace shmetrics::tools {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using tests::Outcome;
using tests::PseudoTerminal;
using tests::run_program;

constexpr char kEnter[] = "\x1b[?1049h", kLeave[] = "\x1b[?1049l", kFrameEnd[] = "\x1b[J";

TEST(Printable, ControlCharactersDoNotReachATerminal) {
  EXPECT_EQ(printable("a\x1b[31mb\x07\x7f\xc2\x9bZ"), "a?[31mb???Z");
  EXPECT_EQ(printable("caf\u00e9 \u4e2d \u00a0"), "caf\u00e9 \u4e2d \u00a0");
}

TEST(Printable, WhatWouldNotBeSeenOrTurnsItsNeighboursAroundIsShownByNumber) {
  EXPECT_EQ(printable("live\u202eetats"), "live<U+202E>etats");
  EXPECT_EQ(printable("a\u200b\u2066\ufeff\u061c"), "a<U+200B><U+2066><U+FEFF><U+061C>");
  EXPECT_EQ(printable("a\u00ad\u034f\u115f\u180e\u3164\ufe0f"), "a<U+00AD><U+034F><U+115F><U+180E><U+3164><U+FE0F>");
  EXPECT_EQ(printable("a\U000e0041\U000e007f"), "a<U+E0041><U+E007F>");
  EXPECT_EQ(printable("\u2010\u202f\u205f\u2070\u20ac\U0001f600\xe2\x80"),
            "\u2010\u202f\u205f\u2070\u20ac\U0001f600\xe2\x80");
  EXPECT_EQ(printable("\xe2\x1b\xff\xf3\xa0\x81"), "\xe2?\xff\xf3\xa0\x81");
}

Moment::Point count(std::string series, double value) {
  return {.series = std::move(series), .is_gauge = false, .is_observed = false, .value = value, .sum = 0};
}
Moment::Point observed(std::string series, double value, double sum) {
  return {.series = std::move(series), .is_gauge = false, .is_observed = true, .value = value, .sum = sum};
}
Moment::Point gauge(std::string series, double value) {
  return {.series = std::move(series), .is_gauge = true, .is_observed = false, .value = value, .sum = 0};
}
Moment reading(std::chrono::seconds at, std::vector<Moment::Point> points, std::string id = "1") {
  Moment made;
  made.status.up = true;
  made.status.id = std::move(id);
  made.at = std::chrono::steady_clock::time_point(at);
  made.points = std::move(points);
  return made;
}

TEST(Rates, AreWhatCameBetweenTwoReadingsTheFastestFirst) {
  const Moment before = reading(10s, {count("slow", 5), count("fast", 5), observed("seen", 10, 1), gauge("g", 1)});
  const Moment after = reading(12s, {count("slow", 6), count("fast", 105), observed("seen", 14, 3), gauge("g", 2)});
  const Rates rates = compare(&before, after);
  ASSERT_EQ(rates.moving.size(), 3u);
  EXPECT_EQ(rates.moving[0].series, "fast");
  EXPECT_EQ(rates.moving[0].rate, 50);
  EXPECT_EQ(rates.moving[0].value, 105);
  EXPECT_EQ(rates.moving[1].series, "seen");
  EXPECT_EQ(rates.moving[1].rate, 2);
  EXPECT_EQ(rates.moving[1].mean, 0.5);
  EXPECT_EQ(rates.moving[2].mean, std::nullopt);
  ASSERT_EQ(rates.gauges.size(), 1u);
  EXPECT_EQ(rates.gauges[0].value, 2);
  EXPECT_EQ(rates.gauges[0].rate, std::nullopt);
}

TEST(Rates, OfANativeHistogramHaveTheQuantileOfWhatCameInBetween) {
  using Buckets = std::vector<collector::NativeDistribution::Bucket>;
  const auto native = [](double count, std::uint64_t zero_count, Buckets buckets) {
    Moment::Point point = observed("seconds", count, count);
    point.native = {.schema = 0, .zero_threshold = 1, .zero_count = zero_count, .buckets = std::move(buckets)};
    return point;
  };
  const Moment before = reading(10s, {native(51, 50, {{4, 8, 1}})});
  EXPECT_EQ(compare(&before, reading(12s, {native(151, 50, {{2, 4, 100}, {4, 8, 1}})})).moving[0].p99, 2 + 2 * 0.99);
  EXPECT_EQ(compare(&before, reading(12s, {native(53, 52, {{4, 8, 1}})})).moving[0].p99, 0.99) << "in the zero bucket";
  EXPECT_EQ(compare(&before, reading(12s, {native(52, 50, {{4, 8, 1}, {8, INFINITY, 1}})})).moving[0].p99, 8);
  EXPECT_EQ(compare(&before, before).moving[0].p99, std::nullopt);
  const Rates rates = compare(&before, reading(12s, {count("plain", 1), native(151, 50, {{2, 4, 100}, {4, 8, 1}})}));
  const auto lines = frame(before.status, rates, {.path = "p", .unix_seconds = 0, .interval = 2s});
  EXPECT_THAT(lines, ::testing::Contains(ContainsRegex("RATE/S +TOTAL +MEAN +P99  COUNTER")));
  EXPECT_THAT(lines, ::testing::Contains(ContainsRegex("50.0 +151 +1 +3.98  seconds")));
}

TEST(Rates, AreUnknownWithoutAReadingOfTheSameSegment) {
  const Moment other = reading(10s, {count("a", 5)}, "other");
  Moment gone = reading(10s, {});
  gone.status.up = false;
  const Moment after = reading(12s, {count("a", 7)});
  const Moment* const strangers[] = {nullptr, &other, &gone, &after};
  for (const Moment* before : strangers) EXPECT_EQ(compare(before, after).moving[0].rate, std::nullopt);
}

TEST(Rates, ASeriesThatIsNewOrBeganAnewCountsFromZero) {
  const Moment before = reading(10s, {count("anew", 100)});
  const Rates rates = compare(&before, reading(12s, {count("anew", 4), count("new", 6)}));
  EXPECT_EQ(rates.moving[0].rate, 3);
  EXPECT_EQ(rates.moving[1].rate, 2);
}

TEST(Rates, InfiniteTotalsDoNotSpoilTheOrder) {
  const Moment before = reading(10s, {count("a", INFINITY), count("b", 1), count("c", 1)});
  const Rates rates = compare(&before, reading(12s, {count("a", INFINITY), count("b", 2), count("c", INFINITY)}));
  EXPECT_EQ(rates.moving[0].series, "c");
  EXPECT_EQ(rates.moving[2].rate, std::nullopt);
}

collector::SegmentStatus up() {
  collector::SegmentStatus status;
  status.up = true;
  status.workers_live = 2;
  status.slots_used = 2;
  status.slots_free = 6;
  status.cells_used = 50;
  status.cells_limit = 100;
  return status;
}

Rates many(int moving, int gauges) {
  Rates rates;
  for (int i = 0; i < moving; ++i) {
    rates.moving.push_back({.series = "c" + std::to_string(i), .value = 1, .rate = 1.0, .mean = {}});
  }
  for (int i = 0; i < gauges; ++i) {
    rates.gauges.push_back({.series = "g" + std::to_string(i), .value = 1, .rate = {}, .mean = {}});
  }
  return rates;
}

FrameOptions sized(std::size_t rows, std::size_t columns, bool has_colours = false) {
  return {.path = "/p",
          .unix_seconds = 0,
          .interval = 2000ms,
          .rows = rows,
          .columns = columns,
          .has_colours = has_colours};
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + '\n';
  return text;
}

TEST(Frame, BeginsWithTheStateOfTheSegment) {
  collector::SegmentStatus status = up();
  status.workers_dead = 1;
  status.worker_deaths = 3;
  status.updates_dropped = {{"series_limit", 5}, {"no_entry", 4}};
  const auto lines = frame(status, many(1, 0), sized(0, 0));
  EXPECT_EQ(lines[0], "/p  1970-01-01T00:00:00Z  every 2s");
  EXPECT_EQ(lines[1], "workers 2 live, 1 dead   slots 2 of 8   cells 50 %   deaths 3   drops 9");
}

TEST(Frame, NamesTheReasonsForWhichDeclarationsWereRefused) {
  collector::SegmentStatus status = up();
  status.declarations_refused = {{"rule", 2}, {"other_type", 0}, {"busy", 1}};
  EXPECT_EQ(frame(status, many(1, 0), sized(0, 0))[2], "declarations refused: rule 2, busy 1");
}

TEST(Frame, WithoutASizeShowsEverything) {
  EXPECT_EQ(frame(up(), many(100, 50), sized(0, 0)).size(), 2u + 2 + 100 + 2 + 50);
}

TEST(Frame, NeverHasMoreRowsOrColumnsThanTheTerminal) {
  for (const std::size_t rows : {1, 2, 3, 4, 5, 6, 7, 10, 24}) {
    for (const auto& [moving, gauges] : {std::pair{100, 100}, {100, 1}, {1, 100}, {0, 100}, {100, 0}, {0, 0}}) {
      const auto lines = frame(up(), many(moving, gauges), sized(rows, 20));
      EXPECT_LE(lines.size(), rows);
      for (const std::string& line : lines) EXPECT_LE(line.size(), 20u);
    }
  }
  EXPECT_EQ(frame(up(), many(100, 100), sized(24, 80)).size(), 24u);
  EXPECT_EQ(frame(up(), many(100, 1), sized(24, 80)).size(), 24u);
}

TEST(Frame, GaugesKeepAThirdOfTheRowsWhenNotAllFit) {
  const std::string text = joined(frame(up(), many(100, 100), sized(24, 80)));  // 18 rows are left for series
  EXPECT_THAT(text, AllOf(HasSubstr("c11\n"), Not(HasSubstr("c12\n")), HasSubstr("g5\n"), Not(HasSubstr("g6\n"))));
  EXPECT_THAT(joined(frame(up(), many(2, 100), sized(24, 80))), AllOf(HasSubstr("c1\n"), HasSubstr("g15\n")));
}

TEST(Frame, ClipsBetweenCharactersNotInThem) {
  EXPECT_EQ(clip("\u00e9\u00e9\u00e9", 2), "\u00e9\u00e9");
  EXPECT_EQ(clip("abc", 3), "abc");
  EXPECT_EQ(clip("abc", 0), "");
}

TEST(Frame, HasColoursOnlyWhenAskedAndNoneOfTheSegments) {
  Rates rates = many(0, 0);
  collector::SegmentStatus status = up();
  status.workers_dead = 1;
  EXPECT_THAT(joined(frame(status, rates, sized(24, 80, true))), HasSubstr("\x1b[1;31m"));
  EXPECT_THAT(joined(frame(status, rates, sized(24, 80, false))), Not(HasSubstr("\x1b")));
  status.up = false;
  status.problem = "gone \x1b[2J";
  EXPECT_EQ(frame(status, rates, sized(24, 80)),
            (std::vector<std::string>{"/p  1970-01-01T00:00:00Z  every 2s", "no segment: gone ?[2J"}));
}

TEST(Frame, NumbersAreShortAndOddOnesAreNamed) {
  Rates rates;
  for (const double rate : {0.0, 0.001, 0.5, 12.34, 1234.5, 1e15, double{INFINITY}}) {
    rates.moving.push_back({.series = "c", .value = rate, .rate = rate, .mean = {}});
  }
  rates.gauges.push_back({.series = "g", .value = NAN, .rate = {}, .mean = {}});
  rates.gauges.push_back({.series = "h", .value = -3, .rate = {}, .mean = {}});
  const std::string text = joined(frame(up(), rates, sized(0, 0)));
  for (const char* number :
       {" 0 ", " 0.001 ", " 0.50 ", " 12.3 ", " 1234 ", " 1e+15 ", " +Inf ", " NaN  g", " -3  h"}) {
    EXPECT_THAT(text, HasSubstr(number));
  }
}

class Top : public ::testing::Test {
 protected:
  Top() {
    const auto requests = segment_.family(tests::counter("app_requests_total", {"method"}));
    cell_ = segment_.series(requests, {"GET"});
    segment_.thread(0, cell_).store_relaxed(7);
    segment_.family(tests::histogram("app_seconds", {0.5}));
    segment_.set_gauge(0, segment_.family(tests::gauge("app_load", shm::GaugeMode::kSum)).cell, 2.5);
    segment_.dead(0);
  }
  std::vector<std::string> arguments(std::string interval = "20ms") const {
    return {"top", segment_.path(), "--interval", interval};
  }
  tests::SegmentBuilder segment_;
  std::uint32_t cell_ = 0;
};

TEST_F(Top, ElsewhereThanOnATerminalItPrintsOneTable) {
  for (std::vector<std::string> line : {arguments(), [this] {
                                          auto once = arguments();
                                          once.push_back("--once");
                                          return once;
                                        }()}) {
    const Outcome outcome = run_program(line);
    EXPECT_EQ(outcome.code, 0) << outcome.error;
    EXPECT_EQ(outcome.error, "");
    EXPECT_THAT(outcome.out, AllOf(StartsWith(segment_.path()), HasSubstr(" 0           7"),
                                   HasSubstr("app_requests_total{method=\"GET\"}\n"), HasSubstr("2.5  app_load\n"),
                                   Not(HasSubstr("\x1b"))));
  }
}

TEST_F(Top, WithoutASegmentItFailsAtOnce) {
  const Outcome outcome = run_program({"top", "/dev/shm/shmetrics-test-none", "--interval", "1h"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.error, AllOf(StartsWith("shmetrics: "), HasSubstr("shmetrics-test-none")));
  EXPECT_EQ(std::count(outcome.error.begin(), outcome.error.end(), '\n'), 1);
}

TEST_F(Top, ABadIntervalIsAWrongCommandLine) {
  for (const char* interval : {"2", "0s", "9ms", "25h", "fast", "", "-1s"}) {
    const Outcome outcome = run_program(arguments(interval));
    EXPECT_EQ(outcome.code, 2) << interval;
    EXPECT_EQ(std::count(outcome.error.begin(), outcome.error.end(), '\n'), 1) << outcome.error;
  }
}

TEST_F(Top, OnATerminalItRedrawsInPlaceAndGivesTheScreenBack) {
  PseudoTerminal terminal(arguments());
  terminal.wait_for(kEnter);
  EXPECT_FALSE(terminal.echoes());
  terminal.wait_for("app_load");
  segment_.thread(0, cell_).store_relaxed(1000);
  terminal.wait_for("1000");
  terminal.type("q");
  EXPECT_EQ(terminal.finish(), 0);
  EXPECT_THAT(terminal.seen(), AllOf(HasSubstr("\x1b[H"), EndsWith(kLeave), HasSubstr("\x1b[1m")));
  EXPECT_TRUE(terminal.echoes());
}

TEST_F(Top, SignalsEndItInOrder) {
  for (const int signal : {SIGINT, SIGTERM}) {
    PseudoTerminal terminal(arguments("1h"));
    terminal.wait_for("app_load");
    terminal.send(signal);
    EXPECT_EQ(terminal.finish(), 0);
    EXPECT_THAT(terminal.seen(), EndsWith(kLeave));
  }
  PseudoTerminal terminal(arguments("1h"));
  terminal.wait_for("app_load");
  terminal.type("\x03");  // Ctrl-C
  EXPECT_EQ(terminal.finish(), 0);
}

TEST_F(Top, NoColorIsHonoured) {
  PseudoTerminal terminal(arguments(), {}, true);
  terminal.wait_for("app_load");
  terminal.type("q");
  EXPECT_EQ(terminal.finish(), 0);
  EXPECT_THAT(terminal.seen(), AllOf(Not(HasSubstr("\x1b[1m")), Not(HasSubstr("\x1b[0m"))));
}

TEST_F(Top, FitsTheTerminalAlsoAfterItChanged) {
  PseudoTerminal terminal(arguments("1h"), {.rows = 24, .columns = 80});
  EXPECT_THAT(terminal.wait_for(kFrameEnd), HasSubstr("app_load"));
  terminal.resize({.rows = 3, .columns = 12});
  const std::string small = terminal.wait_for(kFrameEnd);
  EXPECT_THAT(small, AllOf(Not(HasSubstr("app_load")), Not(ContainsRegex("[^\x1b\r\n]{40}"))));
  EXPECT_LT(std::count(small.begin(), small.end(), '\n'), 3);
  terminal.type("q");
  EXPECT_EQ(terminal.finish(), 0);
}

TEST_F(Top, ASegmentThatVanishesIsShownAndMayComeBack) {
  PseudoTerminal terminal(arguments());
  terminal.wait_for("app_load");
  const std::string hidden = segment_.path() + ".hidden";
  std::filesystem::rename(segment_.path(), hidden);
  terminal.wait_for("no segment: ");
  std::filesystem::rename(hidden, segment_.path());
  terminal.wait_for("app_load");
  terminal.type("q");
  EXPECT_EQ(terminal.finish(), 0);
}

TEST_F(Top, StoppedItGivesTheScreenBackUntilItGoesOn) {
  PseudoTerminal terminal(arguments("1h"));
  terminal.wait_for("app_load");
  terminal.send(SIGTSTP);
  terminal.wait_for(kLeave);
  ASSERT_TRUE(terminal.is_stopped());
  terminal.send(SIGCONT);
  terminal.wait_for(kEnter);
  terminal.wait_for("app_load");
  terminal.type("q");
  EXPECT_EQ(terminal.finish(), 0);
}

TEST_F(Top, OnceIsOneTableAlsoOnATerminal) {
  auto once = arguments();
  once.push_back("--once");
  PseudoTerminal terminal(once);
  EXPECT_EQ(terminal.finish(), 0);
  EXPECT_THAT(terminal.seen(), AllOf(HasSubstr("app_load"), Not(HasSubstr("\x1b"))));
}

TEST_F(Top, ALongWaitSaysOnATerminalHowLongItTakes) {
  auto once = arguments("1100ms");
  once.push_back("--once");
  PseudoTerminal terminal(once);
  terminal.wait_for("reads again in 2 s");
  terminal.wait_for("app_load");
  EXPECT_EQ(terminal.finish(), 0);
}

}  // namespace
}  // namespace shmetrics::tools
