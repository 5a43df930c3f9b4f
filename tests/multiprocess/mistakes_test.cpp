// An application that makes every mistake that can be declared: it runs on, each error says how to do it right, and the
// scrape stays what the judges accept.
#include <gtest/gtest.h>
#include <shmetrics/shmetrics.hpp>

#include <cmath>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "tests/forked.hpp"
#include "tests/multiprocess/text_judges.hpp"
#include "tests/scrape.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <typename Metric>
void update(const Metric& metric) {
  if constexpr (requires { metric.observe(1.0); }) {
    metric.observe(1.0);
  } else {
    metric.inc();
  }
}

/// Uses a family as if nothing were wrong with it, and tells what is.
template <typename Metric, std::size_t N>
std::error_code tried(const Family<Metric, N>& family) {
  if constexpr (N == 0) {
    update<Metric>(family);
  } else {
    const std::vector<std::string_view> values(N == kRuntimeLabels ? 17 : N, "v");
    update(family.with(std::span(values)));
  }
  return family.error();
}

struct Mistake {
  std::string what;
  std::error_code (*declare)(const Registry&);
  std::vector<std::string> fix;  // parts of the message
  Errc code = Errc::invalid_argument;
};
using Mistakes = std::vector<Mistake>;
using R = const Registry&;

const std::string kLong(129, 'a');

Mistakes wrong_names() {
  return {
      {"counter without _total", [](R r) { return tried(r.counter("app_jobs", "J")); }, {"'app_jobs_total'"}},
      {"float counter without _total",
       [](R r) { return tried(r.float_counter("app_cost", "C", {"l"})); },
       {"'app_cost_total'"}},
      {"info without _info",
       [](R r) {
         return r.info("app_build", "B", {{"version", "1"}});
       },
       {"'app_build_info'"}},
      {"gauge in _total", [](R r) { return tried(r.gauge("app_open_total", "O")); }, {"use 'app_open'"}},
      {"histogram in _total", [](R r) { return tried(r.histogram("app_wait_total", "W")); }, {"use 'app_wait'"}},
      {"summary in _total", [](R r) { return tried(r.summary("app_size_total", "S", {"l"})); }, {"use 'app_size'"}},
      {"gauge in _bucket", [](R r) { return tried(r.gauge("app_leaky_bucket", "L")); }, {"use 'app_leaky'"}},
      {"gauge in _count", [](R r) { return tried(r.gauge("app_user_count", "U", {"l"})); }, {"use 'app_user'"}},
      {"gauge in _sum", [](R r) { return tried(r.gauge("app_check_sum", "C")); }, {"use 'app_check'"}},
      {"counter in _count", [](R r) { return tried(r.counter("app_job_count", "J")); }, {"_total"}},
      {"prefix shmetrics_",
       [](R r) { return tried(r.gauge("shmetrics_mine", "M")); },
       {"'shmetrics_'", "a prefix of your own"}},
      {"prefix process_",
       [](R r) { return tried(r.counter("process_jobs_total", "J")); },
       {"'process_'", "a prefix of your own"}},
      {"dash", [](R r) { return tried(r.histogram("app-seconds", "S")); }, {"[a-zA-Z_:][a-zA-Z0-9_:]*"}},
      {"digit first", [](R r) { return tried(r.summary("2xx_bytes", "B")); }, {"[a-zA-Z_:][a-zA-Z0-9_:]*"}},
      {"no name", [](R r) { return tried(r.gauge("", "G")); }, {"[a-zA-Z_:][a-zA-Z0-9_:]*"}},
      {"letters of UTF-8", [](R r) { return tried(r.gauge("gr\u00f6\u00dfe", "G")); }, {"[a-zA-Z_:][a-zA-Z0-9_:]*"}},
      {"a name too long", [](R r) { return tried(r.gauge(kLong, "G")); }, {"129", "at most 128"}},
      {"no help", [](R r) { return tried(r.counter("app_mute_total", "")); }, {"no help", "what it counts"}},
      {"help that is no text", [](R r) { return tried(r.counter("app_noise_total", "\xff")); }, {"UTF-8"}},
      {"help too long",
       [](R r) { return tried(r.counter("app_novel_total", std::string(4097, 'x'))); },
       {"at most 4096"}},
  };
}

Mistakes wrong_labels() {
  return {
      {"label __",
       [](R r) { return tried(r.counter("app_a_total", "A", {"__name"})); },
       {"'__'", "drop the underscores"}},
      {"label le", [](R r) { return tried(r.histogram("app_b_seconds", "B", {"le"})); }, {"'le'", "choose another"}},
      {"label quantile",
       [](R r) { return tried(r.summary("app_c_bytes", "C", {"quantile"})); },
       {"'quantile'", "choose another"}},
      {"label worker in liveall",
       [](R r) { return tried(r.gauge("app_d", "D", {"worker"}, GaugeMode::liveall)); },
       {"'worker'", "choose another"}},
      {"label worker in all",
       [](R r) { return tried(r.gauge("app_e", "E", {"worker"}, GaugeMode::all)); },
       {"'worker'", "choose another"}},
      {"label twice",
       [](R r) {
         return tried(r.counter("app_f_total", "F", {"x", "y", "x"}));
       },
       {"'x'", "twice"}},
      {"label with a dash",
       [](R r) { return tried(r.float_counter("app_g_total", "G", {"a-b"})); },
       {"[a-zA-Z_][a-zA-Z0-9_]*"}},
      {"label without a name", [](R r) { return tried(r.gauge("app_h", "H", {""})); }, {"[a-zA-Z_][a-zA-Z0-9_]*"}},
      {"a label too long", [](R r) { return tried(r.gauge("app_i", "I", {kLong})); }, {"at most 128"}},
      {"17 labels",
       [](R r) {
         return tried(r.counter("app_j_total", "J",
                                {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q"}));
       },
       {"17 labels", "at most 16"}},
      {"17 labels at run time",
       [](R r) {
         const std::vector<std::string_view> names(17, "a");
         return tried(r.counter("app_k_total", "K", RuntimeLabels(names)));
       },
       {"17 labels", "at most 16"}},
      {"info with a label twice",
       [](R r) {
         return r.info("app_l_info", "L", {{"a", "1"}, {"a", "2"}});
       },
       {"'a'", "twice"}},
      {"info with a value that is no text",
       [](R r) {
         return r.info("app_m_info", "M", {{"a", "\xff"}});
       },
       {"'app_m_info'", "UTF-8"}},
  };
}

Mistakes wrong_shapes() {
  return {
      {"no bounds",
       [](R r) { return tried(r.histogram("app_n_seconds", "N", {}, Buckets{})); },
       {"at least one finite bound, and has at most 64"}},
      {"bounds that fall",
       [](R r) {
         return tried(r.histogram("app_o_seconds", "O", {}, {2, 1}));
       },
       {"sort them"}},
      {"a bound twice",
       [](R r) {
         return tried(r.histogram("app_p_seconds", "P", {"l"}, {1, 1}));
       },
       {"give each once"}},
      {"a bound without end",
       [](R r) {
         return tried(r.histogram("app_q_seconds", "Q", {}, {1, kInfinity}));
       },
       {"+Inf comes on top"}},
      {"a bound that is no number",
       [](R r) { return tried(r.histogram("app_r_seconds", "R", {}, {std::nan("")})); },
       {"must be finite"}},
      {"65 bounds",
       [](R r) {
         Buckets bounds;
         for (int i = 0; i < 65; ++i) bounds.push_back(i);
         return tried(r.histogram("app_s_seconds", "S", {}, bounds));
       },
       {"65 bounds", "at most 64"}},
      {"helpers out of range",
       [](R r) { return tried(r.histogram("app_t_seconds", "T", {}, exponential_buckets(0, 2, 5))); },
       {"at least one finite bound, and has at most 64"}},
      {"a unit that the name lacks",
       [](R r) { return tried(r.float_counter("app_cpu_total", "C", {}, {.unit = "seconds"})); },
       {"'app_cpu_seconds_total'"}},
      {"an odd unit",
       [](R r) { return tried(r.gauge("app_u", "U", {}, GaugeMode::livesum, {.unit = "m/s"})); },
       {"such as 'seconds'"}},
  };
}

Mistakes clashes() {
  return {
      {"another type",
       [](R r) { return tried(r.gauge("good_seconds", "G")); },
       {"another type (histogram)", "before in this process", "choose another name"},
       Errc::incompatible},
      {"other labels",
       [](R r) { return tried(r.counter("good_jobs_total", "G", {"l"})); },
       {"other labels", "before in this process"},
       Errc::incompatible},
      {"other bounds",
       [](R r) {
         return tried(r.histogram("good_seconds", "G", {}, {1, 3}));
       },
       {"other bounds", "before in this process"},
       Errc::incompatible},
      {"another mode",
       [](R r) { return tried(r.gauge("good_depth", "G", {}, GaugeMode::max)); },
       {"another mode", "livesum", "before in this process"},
       Errc::incompatible},
      {"a histogram's sample",
       [](R r) { return tried(r.gauge("good_seconds_created", "G")); },
       {"'good_seconds'", "choose another"}},
      {"a counter's family in OpenMetrics",
       [](R r) { return tried(r.gauge("good_jobs", "G")); },
       {"'good_jobs_total'", "choose another"}},
      {"an info's family in OpenMetrics",
       [](R r) { return tried(r.gauge("good_build", "G")); },
       {"'good_build_info'", "choose another"}},
      {"a histogram over a gauge's name",
       [](R r) { return tried(r.counter("good_seconds_total", "G")); },
       {"'good_seconds'", "choose another"}},
  };
}

Mistakes all_mistakes() {
  Mistakes all;
  for (const Mistakes& some : {wrong_names(), wrong_labels(), wrong_shapes(), clashes()}) {
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

class MistakesTest : public ::testing::Test {
 protected:
  MistakesTest() { options_.path = folder_.file("a.seg"); }
  void SetUp() override {
    if (!tests::has_text_judges()) GTEST_SKIP() << tests::kNoTextJudges;
  }

  /// The application: makes a mistake, goes on with its job, and so on. Notes a line a mistake: whether the code was
  /// the expected one, and the message.
  int run_application(const Mistakes& mistakes) const {
    const Registry registry = Registry::open(options_);
    const Counter jobs = registry.counter("good_jobs_total", "Jobs");
    const Histogram seconds = registry.histogram("good_seconds", "Durations", {}, {1, 2});
    const Gauge depth = registry.gauge("good_depth", "Depth");
    if (registry.info("good_build_info", "Build", {{"version", "1"}})) return 1;
    std::ofstream notes(notes_);
    for (const Mistake& mistake : mistakes) {
      const std::error_code error = mistake.declare(registry);
      notes << (error == mistake.code ? "expected " : "unexpected ") << error.message() << '\n';
      jobs.inc();
      seconds.observe(1);
      depth.inc();
    }
    return 0;
  }

  std::vector<std::string> read_notes() const {
    std::vector<std::string> lines;
    std::ifstream notes(notes_);
    for (std::string line; std::getline(notes, line);) lines.push_back(line);
    return lines;
  }

  tests::TemporaryFolder folder_;
  std::string notes_ = folder_.file("notes");
  Options options_;
};

TEST_F(MistakesTest, EachMessageNamesTheFixAndTheApplicationRunsOn) {
  const Mistakes mistakes = all_mistakes();
  const tests::Baton made, seen;
  const pid_t application = tests::forked([&] {
    const int code = run_application(mistakes);
    made.pass();
    seen.receive();
    return code;
  });
  made.receive();
  const tests::Scrape scrape = tests::scrape(options_.path);
  seen.pass();
  EXPECT_EQ(tests::wait_for(application), 0);

  const std::vector<std::string> notes = read_notes();
  ASSERT_EQ(notes.size(), mistakes.size()) << "each message is one line";
  for (std::size_t i = 0; i < mistakes.size(); ++i) {
    EXPECT_TRUE(notes[i].starts_with("expected ")) << mistakes[i].what << ": " << notes[i];
    for (const std::string& part : mistakes[i].fix) {
      EXPECT_NE(notes[i].find(part), std::string::npos) << mistakes[i].what << " lacks " << part << ": " << notes[i];
    }
  }

  EXPECT_EQ(tests::objection(scrape.text), "");
  const auto count = static_cast<double>(mistakes.size());
  EXPECT_EQ(scrape.values, (std::map<std::string, double>{{"good_jobs_total", count},
                                                          {"good_depth", count},
                                                          {"good_build_info{version=\"1\"}", 1},
                                                          {"good_seconds_bucket{le=\"1\"}", count},
                                                          {"good_seconds_bucket{le=\"2\"}", count},
                                                          {"good_seconds_bucket{le=\"+Inf\"}", count},
                                                          {"good_seconds_sum", count},
                                                          {"good_seconds_count", count}}))
      << scrape.text;
  EXPECT_EQ(scrape.status.quarantined_families, 0u);
}

TEST_F(MistakesTest, ValuesThatNoMetricTakesAreCountedAndChangeNothing) {
  const pid_t application = tests::forked([&] {
    const Registry registry = Registry::open(options_);
    const Counter jobs = registry.counter("good_jobs_total", "Jobs");
    const FloatCounter cost = registry.float_counter("good_cost_total", "Cost");
    const Histogram seconds = registry.histogram("good_seconds", "Durations", {}, {1});
    const Summary size = registry.summary("good_size_bytes", "Sizes");
    jobs.inc(-1);
    for (const double bad : {-0.5, std::nan(""), kInfinity, -kInfinity}) cost.inc(bad);
    seconds.observe(std::nan(""));
    size.observe(std::nan(""));
    jobs.inc();
    cost.inc(0.5);
    seconds.observe(-1);
    size.observe(3);
    return 0;
  });
  EXPECT_EQ(tests::wait_for(application), 0);
  const tests::Scrape scrape = tests::scrape(options_.path);
  EXPECT_EQ(tests::objection(scrape.text), "");
  EXPECT_EQ(scrape["good_jobs_total"], 1);
  EXPECT_EQ(scrape["good_cost_total"], 0.5);
  EXPECT_EQ(scrape["good_seconds_count"], 1);
  EXPECT_EQ(scrape["good_size_bytes_sum"], 3);
  EXPECT_EQ(tests::count_of(scrape.status.values_refused, "negative"), 2u);
  EXPECT_EQ(tests::count_of(scrape.status.values_refused, "nan"), 3u);
  EXPECT_EQ(tests::count_of(scrape.status.values_refused, "infinite"), 2u);
}

TEST_F(MistakesTest, AWrongNumberOfValuesGivesAHandleThatDoesNothingAndIsCounted) {
  const pid_t application = tests::forked([&] {
    const Registry registry = Registry::open(options_);
    const auto jobs = registry.counter("good_jobs_total", "Jobs", {"a", "b"});
    const std::vector<std::string_view> values = {"1", "2", "3"};
    jobs.with(std::span(values)).inc();
    jobs.with(std::span(values).first(1)).inc();
    jobs.with(std::span(values).first(0)).inc();
    jobs.with(std::span(values).first(2)).inc();
    return 0;
  });
  EXPECT_EQ(tests::wait_for(application), 0);
  const tests::Scrape scrape = tests::scrape(options_.path);
  EXPECT_EQ(scrape.values, (std::map<std::string, double>{{"good_jobs_total{a=\"1\",b=\"2\"}", 1}})) << scrape.text;
  EXPECT_EQ(scrape.status.series_overflow.size(), 1u);
  EXPECT_EQ(tests::overflow_of(scrape.status, "good_jobs_total", "invalid_value"), 3u);
  EXPECT_EQ(tests::objection(scrape.text), "");
}

}  // namespace
}  // namespace shmetrics
