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
#include "tools/top_view.hpp"

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

// Counters c0, c1, ..., each in a family of its own, and gauges g0, ...
std::vector<FamilyRates> many(int moving, int gauges) {
  std::vector<FamilyRates> families;
  for (int i = 0; i < moving; ++i) {
    const RateRow row{.labels = "", .value = 1, .rate = 1.0};
    families.push_back({.name = "c" + std::to_string(i), .is_gauge = false, .total = row, .series = {row}});
  }
  for (int i = 0; i < gauges; ++i) {
    families.push_back({.name = "g" + std::to_string(i), .is_gauge = true, .series = {{.labels = "", .value = 1}}});
  }
  return families;
}

FrameOptions sized(std::size_t rows, std::size_t columns, bool has_colours = false) {
  FrameOptions options;
  options.path = "/p";
  options.interval = 2000ms;
  options.rows = rows;
  options.columns = columns;
  options.has_colours = has_colours;
  return options;
}

std::string joined(const Frame& made) {
  std::string text;
  for (const std::string& line : made.lines) text += line + '\n';
  return text;
}

TEST(Frame, BeginsWithTheStateOfTheSegment) {
  collector::SegmentStatus status = up();
  status.workers_dead = 1;
  status.worker_deaths = 3;
  status.updates_dropped = {{"series_limit", 5}, {"no_entry", 4}};
  const auto lines = frame(status, many(1, 0), sized(0, 0)).lines;
  EXPECT_EQ(lines[0], "/p  1970-01-01T00:00:00Z  every 2s");
  EXPECT_EQ(lines[1], "workers 2 live, 1 dead   slots 2 of 8   cells 50 %   deaths 3   drops 9");
}

TEST(Frame, NamesTheReasonsForWhichDeclarationsWereRefused) {
  collector::SegmentStatus status = up();
  status.declarations_refused = {{"rule", 2}, {"other_type", 0}, {"busy", 1}};
  EXPECT_EQ(frame(status, many(1, 0), sized(0, 0)).lines[2], "declarations refused: rule 2, busy 1");
}

TEST(Frame, WithoutASizeShowsEverything) {
  EXPECT_EQ(frame(up(), many(100, 50), sized(0, 0)).lines.size(), 2u + 2 + 100 + 50);
}

TEST(Frame, NeverHasMoreRowsOrColumnsThanTheTerminal) {
  for (const std::size_t rows : {1, 2, 3, 4, 5, 6, 7, 10, 24}) {
    for (const auto& [moving, gauges] : {std::pair{100, 100}, {100, 1}, {1, 100}, {0, 100}, {100, 0}, {0, 0}}) {
      FrameOptions options = sized(rows, 20);
      options.hint = "q: quit, and more than fits in";
      const auto lines = frame(up(), many(moving, gauges), options).lines;
      EXPECT_LE(lines.size(), rows);
      for (const std::string& line : lines) EXPECT_LE(line.size(), 20u);
    }
  }
  EXPECT_EQ(frame(up(), many(100, 100), sized(24, 80)).lines.size(), 24u);
}

TEST(Frame, ScrollsAndSaysHowManyThereAre) {
  FrameOptions options = sized(24, 80);
  options.hint = "keys";
  const Frame top = frame(up(), many(100, 100), options);  // 19 rows are left for series
  EXPECT_THAT(joined(top), AllOf(HasSubstr("c18\n"), Not(HasSubstr("c19\n")), EndsWith("keys\n")));
  EXPECT_EQ(top.rows, 200u);
  EXPECT_EQ(top.shown, 19u);
  options.first = 100;
  EXPECT_THAT(joined(frame(up(), many(100, 100), options)), AllOf(HasSubstr("  g0\n"), Not(HasSubstr("  c99\n"))));
  options.first = 10'000;
  EXPECT_THAT(joined(frame(up(), many(100, 100), options)), AllOf(HasSubstr("  g81\n"), HasSubstr("  g99\n")));
}

FamilyRates requests() {
  return {.name = "app_seconds",
          .is_gauge = false,
          .total = {"", 30, 15.0, 2.05386e-05, Quantile{0.001, true}},
          .series = {{"method=GET route=/contacts/:id", 20, 10.0, 2e-05, Quantile{0.00095}},
                     {"method=PUT route=/contacts/:id", 10, 5.0, 2.5, Quantile{1.5}}}};
}

TEST(Frame, NamesAFamilyOnceWithItsTotalsAndItsSeriesBelow) {
  EXPECT_THAT(joined(frame(up(), {requests()}, sized(0, 0))),
              HasSubstr("     15.0         30   20.5us    <=1ms  app_seconds\n"
                        "     10.0         20     20us    950us    method=GET route=/contacts/:id\n"
                        "     5.00         10     2.5s     1.5s    method=PUT route=/contacts/:id\n"));
}

TEST(Frame, ShowsOfAFilteredFamilyOnlyWhatMatches) {
  FrameOptions options = sized(0, 0);
  options.filter = "SECONDS put";
  const std::string text = joined(frame(up(), {requests(), many(1, 0)[0]}, options));
  EXPECT_THAT(text, AllOf(HasSubstr(std::string(40, ' ') + "app_seconds\n"), HasSubstr("method=PUT"),
                          Not(HasSubstr("method=GET")), Not(HasSubstr("c0"))));
}

TEST(Frame, LeavesOutTheMiddleOfWhatIsTooLong) {
  EXPECT_EQ(squeeze("abcdefghij", 7), "abc~hij");
  EXPECT_EQ(squeeze("\u00e9\u00e9\u00e9\u00e9", 3), "\u00e9~\u00e9");
  EXPECT_EQ(squeeze("abc", 3) + squeeze("abc", 0), "abc");
  EXPECT_THAT(joined(frame(up(), {requests()}, sized(24, 60))), HasSubstr("  method=G~tacts/:id\n"));
}

TEST(Frame, WhereLabelsDoNotFitTheirValuesDoOfTheWholeFamily) {
  FamilyRates family = requests();
  family.series[0].short_labels = "m=GET r=/contacts/:id";
  family.series[1] = {.labels = "method=PUT route=/", .short_labels = "m=PUT r=/"};
  EXPECT_THAT(joined(frame(up(), {family}, sized(24, 70))), ContainsRegex("  m=GET r=/contacts/:id\n.*  m=PUT r=/\n"));
}

TEST(View, ScrollsFiltersSortsAndQuits) {
  TopView view;
  const auto press = [&](std::string_view keys) { return take_keys(view, keys, 10, 25); };
  EXPECT_TRUE(press("\x1b[B"));
  EXPECT_EQ(view.first, 1u);
  EXPECT_TRUE(press("\x1b[6~") && press("\x1b[6~"));
  EXPECT_EQ(view.first, 15u);  // the last page
  EXPECT_TRUE(press("\x1b[A"));
  EXPECT_EQ(view.first, 14u);
  EXPECT_TRUE(press("\x1b[H") && press("\x1b[A"));
  EXPECT_EQ(view.first, 0u);
  EXPECT_TRUE(press("s"));
  EXPECT_EQ(view.order, Order::kValue);
  EXPECT_TRUE(press("/") && press("q\u00e9x") && press("\x7f\x7f") && press("u"));
  EXPECT_EQ(view.filter, "qu");
  EXPECT_THAT(hint(view), HasSubstr("filter: qu_"));
  EXPECT_TRUE(press("\r"));
  EXPECT_FALSE(press("q"));
  EXPECT_TRUE(press("\x1b"));
  EXPECT_EQ(view.filter, "");
  EXPECT_TRUE(press("\x1b[Z") && press("x"));
}

TEST(View, KeysThatComeTogetherAreTakenOneByOne) {
  TopView view;
  const auto press = [&](std::string_view keys) { return take_keys(view, keys, 10, 25); };
  EXPECT_FALSE(press("qq"));
  EXPECT_TRUE(press("\x1b[B\x1b[B\x1bOB\x1b[6~\x1b[A"));
  EXPECT_EQ(view.first, 11u);
  EXPECT_TRUE(press("\x1b[1;5Bs\x1bqs")) << "neither Ctrl with an arrow nor Alt with q is a key of this view";
  EXPECT_EQ(view.order, Order::kName);
  EXPECT_TRUE(
      press("/jo\u00e9\x7f"
            "bs\rs"));
  EXPECT_EQ(view.filter, "jobs");
  EXPECT_EQ(view.order, Order::kRate);
  EXPECT_TRUE(press("/x\x1b\x1b[B\x1b["));
  EXPECT_EQ(view.filter, "");
  EXPECT_EQ(view.first, 1u);
}

TEST(Frame, ClipsBetweenCharactersNotInThem) {
  EXPECT_EQ(clip("\u00e9\u00e9\u00e9", 2), "\u00e9\u00e9");
  EXPECT_EQ(clip("abc", 3), "abc");
  EXPECT_EQ(clip("abc", 0), "");
}

TEST(Frame, HasColoursOnlyWhenAskedAndNoneOfTheSegments) {
  const auto rates = many(0, 0);
  collector::SegmentStatus status = up();
  status.workers_dead = 1;
  EXPECT_THAT(joined(frame(status, rates, sized(24, 80, true))), HasSubstr("\x1b[1;31m"));
  EXPECT_THAT(joined(frame(status, rates, sized(24, 80, false))), Not(HasSubstr("\x1b")));
  status.up = false;
  status.problem = "gone \x1b[2J";
  EXPECT_EQ(frame(status, rates, sized(24, 80)).lines,
            (std::vector<std::string>{"/p  1970-01-01T00:00:00Z  every 2s", "no segment: gone ?[2J"}));
}

TEST(Frame, NumbersAreShortAndOddOnesAreNamed) {
  std::vector<FamilyRates> families;
  for (const double rate : {0.0, 0.001, 0.5, 12.34, 1234.5, 1e15, double{INFINITY}}) {
    const RateRow row{.labels = "", .value = rate, .rate = rate};
    families.push_back({.name = "c", .is_gauge = false, .total = row, .series = {row}});
  }
  families.push_back({.name = "g", .is_gauge = true, .series = {{.labels = "", .value = NAN}}});
  families.push_back({.name = "h", .is_gauge = true, .series = {{.labels = "", .value = -3}}});
  const std::string text = joined(frame(up(), families, sized(0, 0)));
  const std::string gap(20, ' ');
  for (const std::string& number :
       {std::string(" 0 "), std::string(" 0.001 "), std::string(" 0.50 "), std::string(" 12.3 "), std::string(" 1234 "),
        std::string(" 1e+15 "), std::string(" +Inf "), " NaN" + gap + "g", " -3" + gap + "h"}) {
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
    EXPECT_THAT(outcome.out, AllOf(StartsWith(segment_.path()), HasSubstr(" 0          7"),
                                   HasSubstr("  app_requests_total\n"), HasSubstr("    method=GET\n"),
                                   HasSubstr(" 2.5" + std::string(20, ' ') + "app_load\n"), Not(HasSubstr("\x1b"))));
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

TEST_F(Top, KeysFilterWhatIsShown) {
  PseudoTerminal terminal(arguments("1h"));
  terminal.wait_for("app_load");
  terminal.type("/");
  terminal.wait_for("filter: _");
  terminal.type("requests");
  const std::string filtered = terminal.wait_for("filter: requests_");
  EXPECT_THAT(filtered, AllOf(HasSubstr("app_requests_total"), Not(HasSubstr("app_load"))));
  terminal.type("\r");
  terminal.wait_for("(requests, Esc: all)");
  terminal.type("\x1b");
  terminal.wait_for("app_load");
  terminal.type("q");
  EXPECT_EQ(terminal.finish(), 0);
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

TEST_F(Top, FitsTheTerminalButItsLastColumnAlsoAfterItChanged) {
  PseudoTerminal terminal(arguments("1h"), {.rows = 24, .columns = 80}, true);
  EXPECT_THAT(terminal.wait_for(kFrameEnd), HasSubstr("app_load"));
  terminal.resize({.rows = 3, .columns = 12});
  const std::string small = terminal.wait_for(kFrameEnd);
  EXPECT_THAT(small, AllOf(Not(HasSubstr("app_load")), ContainsRegex("\n[^\x1b\r\n]{11}\x1b")));
  EXPECT_THAT(small, Not(ContainsRegex("\n[^\x1b\r\n]{12}\x1b")));
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
