// `shmetrics dump` for scripts: JSON, OpenMetrics and protobuf, each read by somebody else's parser.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/collector/segment_builder.hpp"
#include "tests/openmetrics_judge.hpp"
#include "tests/protobuf_judge.hpp"
#include "tests/tools/pseudo_terminal.hpp"
#include "tests/tools/run_program.hpp"

namespace shmetrics {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using tests::Outcome;
using tests::run_program;

class Dump : public ::testing::Test {
 protected:
  Dump() : alive_(segment_.live(1)) {
    segment_.dead(0);
    segment_.view().worker(1).pid.store_relaxed(4711);
    segment_.view().worker(1).start_unix_ns.store_relaxed(1'700'000'000'000'000'000);
    segment_.view().worker(1).adoptions.store_relaxed(3);
    const auto requests = segment_.family(tests::counter("app_requests_total", {"method", "path"}));
    segment_.thread(0, segment_.series(requests, {"GET", odd_})).store_relaxed(UINT64_MAX);
    const auto cost = segment_.family(tests::counter("app_cost_total", {}, shm::CellKind::kDouble));
    segment_.thread(0, cost.cell).store_double_relaxed(0.1);
    shm::Schema schema = tests::histogram("app_wait_seconds", {0.5, 1});
    schema.unit = "seconds";
    const auto wait = segment_.family(schema);
    segment_.thread(0, wait.cell + shm::kHistogramSum).store_double_relaxed(3.5);
    segment_.thread(0, wait.cell + shm::kHistogramBuckets + 1).store_relaxed(2);
    segment_.thread(0, wait.cell + shm::kHistogramBuckets + 2).store_relaxed(1);
    segment_.family(tests::plain(shm::MetricType::kSummary, "app_bytes"));
    segment_.set_gauge(1, segment_.family(tests::gauge("app_odd", shm::GaugeMode::kMax)).cell, NAN);
    segment_.set_gauge(1, segment_.family(tests::gauge("app_each", shm::GaugeMode::kLiveall)).cell, -INFINITY);
    segment_.family(tests::gauge("app_unset", shm::GaugeMode::kMin));
    const auto build = segment_.family(tests::plain(shm::MetricType::kInfo, "app_build_info", {"version"}));
    segment_.set_gauge(1, segment_.series(build, {"1.2.3"}), 1);
  }
  Outcome dump(std::string format, std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"dump", segment_.path(), "--format", std::move(format)});
    return run_program(more);
  }
  // Runs `claims` with the parsed object as `d`.
  void expect_json(const std::string& claims, std::vector<std::string> more = {}) const {
    const Outcome json = dump("json", std::move(more));
    EXPECT_EQ(json.code, 0);
    EXPECT_EQ(json.error, "");
    const auto is_plain = [](char c) { return c == '\n' || (c >= 0x20 && c < 0x7f); };
    EXPECT_TRUE(std::ranges::all_of(json.out, is_plain)) << "nothing that a terminal obeys, or that eyes do not see";
    const std::string script =
        "import json, sys\n"
        "def refuse(word): raise ValueError(word)\n"  // NaN and Infinity are no JSON, though python takes them
        "d = json.load(sys.stdin, parse_constant=refuse)\n"
        "families = {family['name']: family for family in d['families']}\n";
    const Outcome verdict = tests::run_command({tests::kPython, "-c", script + claims}, json.out);
    EXPECT_EQ(verdict.code, 0) << verdict.error << json.out;
  }

  const std::string odd_ = "a \"b\" \\ \n\x1b\x7f\u009b\u202e \u00e9";
  tests::SegmentBuilder segment_;
  shm::Descriptor alive_;
};

TEST_F(Dump, JsonHasTheKeysOfTheContractInItsOrder) {
  expect_json(R"(
assert list(d) == ["segment", "workers", "families"]
assert list(d["segment"]) == ["path", "id", "layout_version", "created", "state", "cells", "directory_bytes"]
for room in "cells", "directory_bytes": assert list(d["segment"][room]) == ["used", "limit"]
for worker in d["workers"]:
    assert list(worker) == ["worker", "state", "pid", "program", "started", "adopted", "deaths", "slots"]
for family in d["families"]:
    assert list(family) == ["name", "type", "help", "unit", "labels", "mode", "series"]
    for series in family["series"]:
        parts = {"histogram": ["buckets", "sum", "count"], "summary": ["sum", "count"]}
        assert list(series) == ["labels"] + parts.get(family["type"], ["value"]), series
)");
}

TEST_F(Dump, JsonTellsTheSegmentAndItsWorkers) {
  expect_json(R"(
import datetime
segment = d["segment"]
assert segment["path"] == ')" +
              segment_.path() +
              R"(' and segment["layout_version"] == 2 and len(segment["id"]) == 32
created = datetime.datetime.strptime(segment["created"], "%Y-%m-%dT%H:%M:%SZ")
assert abs((datetime.datetime.utcnow() - created).total_seconds()) < 600
assert segment["state"] == "up"
assert 0 < segment["cells"]["used"] < segment["cells"]["limit"]
assert 0 < segment["directory_bytes"]["used"] < segment["directory_bytes"]["limit"] == 65536
assert [(w["worker"], w["state"]) for w in d["workers"]] == [(0, "dead"), (1, "live")]
live = d["workers"][1]
assert live["pid"] == 4711 and live["adopted"] == 3 and live["started"] == "2023-11-14T22:13:20Z"
)");
}

TEST_F(Dump, JsonHasEveryKindAndEveryOddNumber) {
  expect_json(R"(
requests = families["app_requests_total"]
assert requests["type"] == "counter" and requests["labels"] == ["method", "path"] and requests["mode"] is None
assert requests["unit"] is None and requests["help"] == "Help."
odd = "a \"b\" \\ \n\x1b\x7f\u009b\u202e \u00e9"
assert requests["series"] == [{"labels": {"method": "GET", "path": odd}, "value": 2**64 - 1}]
assert type(requests["series"][0]["value"]) is int
assert families["app_cost_total"]["series"] == [{"labels": {}, "value": 0.1}]
assert families["app_wait_seconds"]["unit"] == "seconds"
assert families["app_wait_seconds"]["series"] == [
    {"labels": {}, "buckets": [[0.5, 0], [1.0, 2], ["+Inf", 3]], "sum": 3.5, "count": 3}]
assert families["app_bytes"]["series"] == [{"labels": {}, "sum": 0.0, "count": 0}]
assert families["app_odd"]["series"][0]["value"] == "NaN" and families["app_odd"]["mode"] == "max"
assert families["app_each"]["series"] == [{"labels": {"worker": "1"}, "value": "-Inf"}]
assert families["app_unset"]["series"] == [] and families["app_unset"]["mode"] == "min"
assert families["app_build_info"]["series"] == [{"labels": {"version": "1.2.3"}, "value": 1}]
)");
}

TEST_F(Dump, JsonShowsTheFamiliesOfAPatternAndTheWorkersAlways) {
  expect_json("assert set(families) == {'app_odd'} and len(d['workers']) == 2", {"--family", "*odd"});
  expect_json("assert d['families'] == [] and len(d['workers']) == 2", {"--family", "none", "--workers"});
}

TEST_F(Dump, JsonSaysWhenSomethingWasLeftOut) {
  segment_.base()[segment_.geometry().directory() + segment_.geometry().heap() + 200] ^= std::byte{1};
  expect_json("assert d['segment']['state'] == 'damaged'");
}

TEST_F(Dump, JsonOfAPathThatIsNoUtf8IsStillJson) {
  const std::string odd = segment_.path() + "\xff";
  ASSERT_EQ(link(segment_.path().c_str(), odd.c_str()), 0);
  const Outcome json = run_program({"dump", odd, "--format", "json"});
  unlink(odd.c_str());
  EXPECT_EQ(json.code, 0);
  EXPECT_EQ(tests::run_command({tests::kPython, "-c", "import json, sys; json.load(sys.stdin)"}, json.out).code, 0);
}

TEST_F(Dump, OpenmetricsIsReadByAnIndependentParser) {
  if (!tests::has_openmetrics_judge()) GTEST_SKIP() << tests::kNoJudge;
  const Outcome text = dump("openmetrics");
  EXPECT_EQ(text.code, 0);
  const Outcome verdict = tests::judge_openmetrics(text.out);
  EXPECT_EQ(verdict.code, 0) << verdict.error;
  EXPECT_THAT(verdict.out,
              AllOf(HasSubstr(R"("path": "a \"b\" \\ \n\u001b\u007f\u009b\u202e \u00e9"}, )"),
                    HasSubstr(R"(["app_wait_seconds", "histogram", "seconds", "Help."])"),
                    HasSubstr(R"(["app_each", {"worker": "1"}, -Infinity])"), Not(HasSubstr("shmetrics_"))));
}

TEST_F(Dump, OpenmetricsEndsInEofAlsoWithoutAFamily) {
  EXPECT_EQ(dump("openmetrics", {"--family", "none"}).out, "# EOF\n");
  EXPECT_THAT(dump("openmetrics", {"--family", "app_odd"}).out,
              "# TYPE app_odd gauge\n# HELP app_odd Help.\napp_odd NaN\n# EOF\n");
}

TEST_F(Dump, ProtobufIsReadByAnIndependentDecoderAsTheText) {
  if (!tests::has_protobuf_judge()) GTEST_SKIP() << tests::kNoProtobufJudge;
  const Outcome protobuf = dump("protobuf");
  EXPECT_EQ(protobuf.code, 0);
  const Outcome verdict = tests::judge_protobuf(protobuf.out);
  EXPECT_EQ(verdict.code, 0) << verdict.error;
  EXPECT_EQ(tests::with_plain_numbers(verdict.out), tests::with_plain_numbers(dump("text").out));
  EXPECT_EQ(dump("protobuf", {"--family", "none"}).out, "");
}

TEST_F(Dump, ProtobufIsNotWrittenToATerminal) {
  tests::PseudoTerminal terminal({"dump", segment_.path(), "--format", "protobuf"});
  EXPECT_THAT(terminal.wait_for("to another program"), Not(HasSubstr("app_")));
  EXPECT_EQ(terminal.finish(), 2);
}

TEST_F(Dump, TheFormatsOfAScrapeHaveNoPlaceForWorkers) {
  for (const char* format : {"text", "openmetrics", "protobuf"}) EXPECT_EQ(dump(format, {"--workers"}).code, 2);
  for (const char* format : {"table", "json"}) EXPECT_EQ(dump(format, {"--workers"}).code, 0);
}

TEST_F(Dump, TheTableDoesNotDriveTheTerminal) {
  EXPECT_THAT(dump("table").out, AllOf(HasSubstr("app_requests_total"), HasSubstr("<U+202E>")));
  for (const char* unseen : {"\x1b", "\x7f", "\u009b", "\u202e"}) {
    EXPECT_THAT(dump("table").out, Not(HasSubstr(unseen)));
  }
}

TEST_F(Dump, EveryFormatOfNoSegmentFails) {
  for (const char* format : {"table", "json", "text", "openmetrics", "protobuf"}) {
    const Outcome outcome = run_program({"dump", "/dev/shm/shmetrics-test-none", "--format", format});
    EXPECT_EQ(outcome.code, 1);
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(std::count(outcome.error.begin(), outcome.error.end(), '\n'), 1) << outcome.error;
  }
}

TEST_F(Dump, TextThatWouldBeCutIsRefusedAndTheRemedyTakesIt) {
  tests::SegmentBuilder large(
      {.workers = shm::kMaxWorkers, .thread_slots = 1, .cells = shm::kGrowthCells, .directory_bytes = 2 << 20});
  const std::string value(1000, 'y');
  const std::vector<std::string_view> labels{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"};
  const std::vector<std::string_view> values(labels.size(), value);
  for (int i = 0; i < 24; ++i) {  // 24 families of 1,024 lines of 12 KB
    const std::string name = "large_" + std::to_string(i);
    const std::uint32_t cell = large.series(large.family(tests::gauge(name, shm::GaugeMode::kAll, labels)), values);
    for (std::uint32_t worker = 0; worker < shm::kMaxWorkers; ++worker) large.set_gauge(worker, cell, 1);
  }
  for (std::uint32_t worker = 0; worker < shm::kMaxWorkers; ++worker) large.dead(worker);
  for (const char* format : {"text", "openmetrics", "protobuf"}) {
    const Outcome outcome = run_program({"dump", large.path(), "--format", format});
    EXPECT_EQ(outcome.code, 1) << format;
    EXPECT_EQ(outcome.out.size(), 0U);
    EXPECT_THAT(outcome.error, HasSubstr("makes more than 256 MiB of this format: choose families by --family"));
  }
  const Outcome one = run_program({"dump", large.path(), "--format", "text", "--family", "large_7"});
  EXPECT_EQ(one.code, 0) << one.error;
  EXPECT_GT(one.out.size(), 12'000'000U);
}

TEST_F(Dump, ShowsTheNativeBucketsThatHaveCounted) {
  const auto native = segment_.family(tests::native_histogram("app_native", 1, 4, 1.5));
  segment_.thread(0, native.cell + shm::kHistogramSum).store_double_relaxed(12);
  const std::uint64_t counts[] = {2, 0, 3, 0, 0, 1};  // up to 1, 1.41, 2, 2.83, 4, above
  for (std::uint32_t i = 0; i < std::size(counts); ++i) {
    segment_.thread(0, native.cell + shm::kHistogramBuckets + i).store_relaxed(counts[i]);
  }
  EXPECT_THAT(dump("table").out, HasSubstr("app_native  count 6  sum 12  mean 2  native 1:2 2:3 +Inf:1\n"));
  expect_json(
      "native = families['app_native']['series'][0]['native']\n"
      "assert native['zero_count'] == 2 and native['schema'] == 1, native\n"
      "assert [count for _, _, count in native['buckets']] == [3, 1], native\n"
      "assert 'native' not in families['app_wait_seconds']['series'][0]\n");
}

}  // namespace
}  // namespace shmetrics
