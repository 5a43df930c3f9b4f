// <shmetrics/reader.h>: text and values of a segment for programs, within their own process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <shmetrics/reader.h>
#include <csignal>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>

#include "collector/openmetrics.hpp"
#include "collector/scraper.hpp"
#include "tests/allocations.hpp"
#include "tests/collector/segment_builder.hpp"

namespace shmetrics::collector {
namespace {

int append(void* text, const char* bytes, std::size_t size) {
  static_cast<std::string*>(text)->append(bytes, size);
  return 0;
}
int stop_at_once(void* calls, const char*, std::size_t) {
  ++*static_cast<int*>(calls);
  return 42;
}

class ReaderApi : public ::testing::Test {
 protected:
  ReaderApi() {
    const auto hits = segment_.family(tests::counter("hits_total", {"path", "code"}));
    segment_.thread(0, segment_.series(hits, {"/a", "200"})).store_relaxed(3);
    segment_.thread(1, segment_.series(hits, {"/\"b\"\n", "500"})).store_relaxed((std::uint64_t{1} << 63) + 1);
    const auto seconds = segment_.family(tests::histogram("seconds", {0.5, 100000}));
    for (std::uint32_t bucket = 0; bucket < 3; ++bucket) {
      segment_.thread(0, seconds.cell + shm::kHistogramBuckets + bucket).store_relaxed(bucket + 1);
    }
    segment_.thread(0, seconds.cell + shm::kHistogramSum).store_double_relaxed(7.25);
    const auto size = segment_.family(tests::plain(shm::MetricType::kSummary, "size_bytes"));
    segment_.thread(1, size.cell + shm::kHistogramBuckets).store_relaxed(2);
    segment_.thread(1, size.cell + shm::kHistogramSum).store_double_relaxed(9);
    const auto temperature = segment_.family(tests::gauge("temperature", shm::GaugeMode::kLiveall));
    live_ = segment_.live(2);
    segment_.set_gauge(2, temperature.cell, -0.5);
  }

  shmetrics_reading* read() {
    shmetrics_reading_free(reading_);
    reading_ = shmetrics_read(segment_.path().c_str(), &error_);
    EXPECT_NE(reading_, nullptr) << error_.message;
    return reading_;
  }
  ~ReaderApi() override { shmetrics_reading_free(reading_); }

  std::string text(shmetrics_format format, shmetrics_wanted wanted = nullptr, void* context = nullptr) {
    std::string text;
    EXPECT_EQ(shmetrics_reading_render(read(), format, wanted, context, append, &text, &error_), 0) << error_.message;
    return text;
  }
  std::optional<double> value(const char* name, std::vector<const char*> names = {},
                              std::vector<const char*> values = {}) {
    double found = -1;
    if (shmetrics_reading_value(read(), name, names.data(), values.data(), names.size(), &found) == 0) return {};
    return found;
  }
  int lines_of_maps() const {
    std::ifstream maps("/proc/self/maps");
    int count = 0;
    for (std::string line; std::getline(maps, line);) count += line.find(segment_.path()) != std::string::npos;
    return count;
  }

  tests::SegmentBuilder segment_;
  shm::Descriptor live_;
  shmetrics_reading* reading_ = nullptr;
  shmetrics_reader_error error_{};
};

TEST_F(ReaderApi, TextIsWhatTheScraperWrites) {
  Scraper scraper(segment_.path());
  std::string expected;
  scraper.scrape(expected);
  EXPECT_EQ(text(SHMETRICS_TEXT), expected);
  EXPECT_NE(expected.find("temperature{worker=\"2\"} -0.5"), std::string::npos) << "who lives is asked";
}

TEST_F(ReaderApi, OpenmetricsEndsAndJsonNamesTheFamilies) {
  const std::string openmetrics = text(SHMETRICS_OPENMETRICS);
  EXPECT_TRUE(openmetrics.ends_with("# EOF\n"));
  EXPECT_NE(openmetrics.find("seconds_bucket{le=\"100000.0\"} 3"), std::string::npos) << openmetrics;
  EXPECT_NE(text(SHMETRICS_JSON).find("{\"name\":\"seconds\""), std::string::npos);
}

TEST_F(ReaderApi, AFilterTakesAFamilyByAnyNameThatItProduces) {
  const auto is_sum = [](void* asked, const char* name) {
    ++*static_cast<int*>(asked);
    return std::string_view(name) == "seconds_sum" ? 1 : 0;
  };
  int asked = 0;
  const std::string found = text(SHMETRICS_TEXT, is_sum, &asked);
  EXPECT_NE(found.find("seconds_bucket"), std::string::npos);
  EXPECT_EQ(found.find("hits_total"), std::string::npos);
  EXPECT_GT(asked, 4);
}

TEST_F(ReaderApi, ASinkThatWantsNoMoreIsNotCalledAgainAndItsWordIsHandedOn) {
  for (const auto format : {SHMETRICS_TEXT, SHMETRICS_OPENMETRICS, SHMETRICS_JSON}) {
    int calls = 0;
    EXPECT_EQ(shmetrics_reading_render(read(), format, nullptr, nullptr, stop_at_once, &calls, &error_), 42);
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(error_.code, 0);
  }
}

TEST_F(ReaderApi, TheWalkGivesEachLineOfTheText) {
  std::string walked;
  const auto visit = [](void* context, const shmetrics_sample* sample) {
    std::ostringstream line;
    line << sample->family << ' ' << sample->type << ' ' << sample->name;
    for (std::size_t i = 0; i < sample->label_count; ++i) {
      line << ' ' << sample->label_names[i] << '=' << sample->label_values[i];
    }
    line << " : ";
    if (sample->is_whole != 0) {
      line << sample->whole;
    } else {
      line << sample->value;
    }
    static_cast<std::string*>(context)->append(line.str() + ";");
    return 0;
  };
  EXPECT_EQ(shmetrics_reading_walk(read(), visit, &walked, &error_), 0);
  EXPECT_EQ(walked,
            "hits_total counter hits_total path=/\"b\"\n code=500 : 9223372036854775809;"
            "hits_total counter hits_total path=/a code=200 : 3;"
            "seconds histogram seconds_bucket le=0.5 : 1;"
            "seconds histogram seconds_bucket le=100000 : 3;"
            "seconds histogram seconds_bucket le=+Inf : 6;"
            "seconds histogram seconds_sum : 7.25;"
            "seconds histogram seconds_count : 6;"
            "size_bytes summary size_bytes_sum : 9;"
            "size_bytes summary size_bytes_count : 2;"
            "temperature gauge temperature worker=2 : -0.5;");
  int visits = 0;
  const auto once = [](void* count, const shmetrics_sample*) { return ++*static_cast<int*>(count) == 2 ? 7 : 0; };
  EXPECT_EQ(shmetrics_reading_walk(reading_, once, &visits, &error_), 7);
  EXPECT_EQ(visits, 2);
}

TEST_F(ReaderApi, AValueIsFoundByItsLabelsInAnyOrderAndByNoOthers) {
  EXPECT_EQ(value("hits_total", {"path", "code"}, {"/a", "200"}), 3);
  EXPECT_EQ(value("hits_total", {"code", "path"}, {"200", "/a"}), 3);
  EXPECT_EQ(value("seconds_bucket", {"le"}, {"100000"}), 3);
  EXPECT_EQ(value("seconds_count"), 6);
  EXPECT_EQ(value("temperature", {"worker"}, {"2"}), -0.5);
  EXPECT_EQ(value("hits_total"), std::nullopt);
  EXPECT_EQ(value("hits_total", {"path"}, {"/a"}), std::nullopt);
  EXPECT_EQ(value("hits_total", {"path", "path"}, {"/a", "/a"}), std::nullopt);
  EXPECT_EQ(value("hits_total", {"path", "code"}, {"/a", "500"}), std::nullopt);
  EXPECT_EQ(value("seconds"), std::nullopt);
  EXPECT_EQ(value("none"), std::nullopt);
}

TEST_F(ReaderApi, WorkersAreListed) {
  std::vector<std::string> found;
  const auto visit = [](void* context, const shmetrics_worker* worker) {
    static_cast<std::vector<std::string>*>(context)->push_back(std::to_string(worker->worker) + worker->state);
    return 0;
  };
  segment_.dead(1);
  EXPECT_EQ(shmetrics_reading_workers(read(), visit, &found), 0);
  EXPECT_THAT(found, testing::ElementsAre("1dead", "2live"));
}

TEST_F(ReaderApi, AReadingIsOfItsMomentAndTheNextIsNew) {
  const shmetrics_reading* const before = read();
  reading_ = nullptr;
  segment_.thread(0, segment_.family(tests::counter("late_total")).cell).store_relaxed(5);
  double found = 0;
  EXPECT_EQ(shmetrics_reading_value(before, "late_total", nullptr, nullptr, 0, &found), 0);
  EXPECT_EQ(value("late_total"), 5);
  shmetrics_reading_free(const_cast<shmetrics_reading*>(before));
}

TEST_F(ReaderApi, ADescriptorIsEnoughWhereThePathLeadsNowhereAndStaysAsItIs) {
  const shm::Descriptor file(open(segment_.path().c_str(), O_RDONLY | O_CLOEXEC));
  const std::string elsewhere = segment_.path() + ".moved";
  ASSERT_EQ(rename(segment_.path().c_str(), elsewhere.c_str()), 0);
  reading_ = shmetrics_read_descriptor(file.get(), &error_);
  ASSERT_EQ(rename(elsewhere.c_str(), segment_.path().c_str()), 0);
  ASSERT_NE(reading_, nullptr) << error_.message;
  double found = 0;
  EXPECT_EQ(shmetrics_reading_value(reading_, "seconds_count", nullptr, nullptr, 0, &found), 1);
  EXPECT_EQ(found, 6);
  EXPECT_EQ(fcntl(file.get(), F_GETFD), FD_CLOEXEC);
}

TEST_F(ReaderApi, NothingStaysInTheProcess) {
  const auto actions = [] {
    std::vector<void*> handlers;
    for (int number = 1; number < NSIG; ++number) {
      struct sigaction action {};
      if (sigaction(number, nullptr, &action) == 0) handlers.push_back(reinterpret_cast<void*>(action.sa_handler));
    }
    return handlers;
  };
  const auto before = actions();
  const int maps = lines_of_maps();
  const int next = dup(0);
  close(next);
  errno = 77;
  for (int i = 0; i < 3; ++i) read();
  shmetrics_reading_free(std::exchange(reading_, nullptr));
  EXPECT_EQ(errno, 77);
  EXPECT_EQ(actions(), before) << "a signal handler";
  EXPECT_EQ(lines_of_maps(), maps);
  const int after = dup(0);
  EXPECT_EQ(after, next) << "a descriptor";
  close(after);
}

// Whichever allocation it is that fails.
TEST_F(ReaderApi, WithoutMemoryATextIsAnErrorAndTheNextOneIsWhole) {
  const auto many = segment_.family(tests::counter("many_total", {"x"}));
  for (int i = 0; i < 200; ++i) segment_.series(many, {std::to_string(i) + std::string(40, 'x')});
  const auto render = [&](shmetrics_format format, std::string& text) {
    text.clear();
    return shmetrics_reading_render(reading_, format, nullptr, nullptr, append, &text, &error_);
  };
  std::string whole, found;
  found.reserve(1 << 20);  // `append` needs none
  for (const auto format : {SHMETRICS_TEXT, SHMETRICS_OPENMETRICS, SHMETRICS_PROTOBUF}) {
    read();
    const std::size_t before = tests::allocations();
    ASSERT_EQ(render(format, found), 0);
    const std::size_t needed = tests::allocations() - before;
    whole = found;
    ASSERT_GT(needed, 5u);
    for (std::size_t nth = 1; nth <= needed; ++nth) {
      read();
      tests::fail_allocation(nth);
      const int result = render(format, found);
      tests::fail_allocation(0);
      if (result != 0) {
        EXPECT_EQ(error_.code, static_cast<int>(shm::Fault::kFull)) << error_.message;
        ASSERT_EQ(render(format, found), 0);
      }
      ASSERT_TRUE(found == whole) << format << ", allocation " << nth;
    }
  }
}

TEST_F(ReaderApi, WhatCannotBeReadSaysWhy) {
  const auto code_of = [&](const char* path) {
    EXPECT_EQ(shmetrics_read(path, &error_), nullptr);
    EXPECT_NE(error_.message[0], '\0');
    return error_.code;
  };
  EXPECT_EQ(code_of("/none/there.seg"), static_cast<int>(shm::Fault::kNotReady));
  EXPECT_EQ(code_of("/dev/null"), static_cast<int>(shm::Fault::kRefused));
  EXPECT_EQ(shmetrics_read_descriptor(-1, &error_), nullptr);
  EXPECT_EQ(error_.code, static_cast<int>(shm::Fault::kRefused));
  EXPECT_EQ(shmetrics_read_descriptor(1 << 20, &error_), nullptr);
  EXPECT_THAT(error_.message, testing::HasSubstr("descriptor 1048576"));
  EXPECT_EQ(shmetrics_read_descriptor(-1, nullptr), nullptr);
  ASSERT_EQ(truncate(segment_.path().c_str(), 8192), 0);
  EXPECT_EQ(code_of(segment_.path().c_str()), static_cast<int>(shm::Fault::kDamaged));
  EXPECT_THAT(error_.message, testing::HasSubstr("truncated"));
  EXPECT_EQ(shmetrics_reading_render(nullptr, SHMETRICS_TEXT, nullptr, nullptr, append, nullptr, &error_), -1);
  EXPECT_EQ(error_.code, static_cast<int>(shm::Fault::kInvalidArgument));
  EXPECT_EQ(shmetrics_reading_walk(nullptr, nullptr, nullptr, nullptr), -1);
  EXPECT_EQ(shmetrics_reading_workers(nullptr, nullptr, nullptr), 0);
  shmetrics_reading_free(nullptr);
}

TEST_F(ReaderApi, AFamilyWhoseTextWouldBeCutIsAnErrorThatNamesItInEveryFormatOfText) {
  tests::SegmentBuilder large({.workers = shm::kMaxWorkers, .thread_slots = 1, .cells = shm::kGrowthCells});
  const std::vector<std::string_view> labels{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"};
  const auto family = large.family(tests::gauge("large", shm::GaugeMode::kAll, labels));
  const std::string text(1000, 'y');
  std::vector<std::string_view> values(labels.size(), text);
  for (int i = 0; i < 24; ++i) {  // 24 series of 1,024 lines of 12 KB
    const std::string number = std::to_string(i);
    values.back() = number;
    const std::uint32_t cell = large.series(family, values);
    for (std::uint32_t worker = 0; worker < shm::kMaxWorkers; ++worker) large.set_gauge(worker, cell, 1);
  }
  for (std::uint32_t worker = 0; worker < shm::kMaxWorkers; ++worker) large.dead(worker);
  const std::unique_ptr<shmetrics_reading, decltype(&shmetrics_reading_free)> reading(
      shmetrics_read(large.path().c_str(), &error_), shmetrics_reading_free);
  ASSERT_NE(reading, nullptr) << error_.message;
  for (const auto format : {SHMETRICS_TEXT, SHMETRICS_OPENMETRICS, SHMETRICS_PROTOBUF}) {
    int calls = 0;
    EXPECT_EQ(shmetrics_reading_render(reading.get(), format, nullptr, nullptr, stop_at_once, &calls, &error_), -1);
    EXPECT_EQ(calls, 0);
    EXPECT_STREQ(error_.message, "large makes more than 256 MiB of text: leave it out, or walk its values");
  }
}

}  // namespace
}  // namespace shmetrics::collector
