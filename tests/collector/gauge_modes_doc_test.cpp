// docs/merge-rules.md has a table of what each gauge mode shows over a death and an adoption: real processes do what it
// says, and the collector shows what it says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <sstream>

#include "collector/plain_family.hpp"
#include "collector/scraper.hpp"
#include "shm/worker_entry.hpp"
#include "tests/collector/segment_builder.hpp"
#include "tests/forked.hpp"
#include "tests/page_table.hpp"

namespace shmetrics::collector {
namespace {

using tests::Baton;
using tests::forked;
using tests::kill_and_wait;

constexpr std::size_t kSteps = 4;
constexpr std::uint32_t kModes = 11;
using Row = std::array<std::string, kSteps>;
using Table = std::map<std::string, Row>;  // by mode

// The rows behind the one line that says what the test does.
Table table_of_the_page() {
  Table table;
  for (const auto& cells : tests::rows_below(SHMETRICS_DOCS "/merge-rules.md",
                                             "| mode | worker 0 sets 5, then worker 1 sets 2 | worker 1 is killed | a "
                                             "new process adopts entry 1 | it sets "
                                             "9 |")) {
    if (cells.size() == kSteps + 1) std::copy(cells.begin() + 1, cells.end(), table[cells[0]].begin());
  }
  return table;
}

// A segment with a gauge of each mode, whose workers are processes that claim entries as the client does.
class Crew {
 public:
  Crew() : kept_(open(segment_.path().c_str(), O_RDWR | O_CLOEXEC)) {
    for (std::uint32_t mode = 0; mode < kModes; ++mode) {
      const auto which = static_cast<shm::GaugeMode>(mode);
      const auto family = segment_.family(tests::gauge(std::string(shm::mode_name(which)) + "_gauge", which));
      if (which == shm::GaugeMode::kShared) shared_cell_ = family.cell;
      gauges_.push_back({family.cell, shm::kGaugeCells, shm::claim_action(shm::MetricType::kGauge, which)});
    }
  }

  /// Claims an entry, tells `claimed`; waits for `go`, sets every gauge, tells `set`; then waits to be killed.
  pid_t hire(std::uint32_t expected_worker, double value, std::uint64_t stamp) {
    return forked([=, this] {
      shm::BegunClaim begun(segment_.view(), {kept_.get(), segment_.path().c_str(), *shm::file_id(kept_.get())});
      if (begun) reset_gauges_of(begun.worker());
      const auto claim = begun ? begun.finish() : std::nullopt;
      if (!claim || claim->worker != expected_worker) return 1;
      claimed.pass();
      go.receive();
      shm::mark_counted(segment_.view(), claim->worker);
      for (const shm::GaugeCells& gauge : gauges_) segment_.set_gauge(claim->worker, gauge.first_cell, value, stamp);
      segment_.gauge_spill(shared_cell_ + shm::kGaugeValue).store_double_relaxed(value);
      set.pass();
      while (true) pause();
    });
  }

  /// What the gauges show now, as the table spells it.
  std::map<std::string, std::string> show() const {
    std::map<std::string, std::string> shown;
    Scraper scraper(segment_.path());
    EXPECT_TRUE(scraper.read().up);
    for (const PlainFamily& family : plain_families(scraper.view())) {
      std::ostringstream text;
      for (const PlainSeries& series : family.series) {
        if (text.tellp() > 0) text << ", ";
        if (!series.labels.empty()) text << series.labels.back().second << ": ";
        text << std::get<double>(series.value);
      }
      shown[family.mode] = text.str();
    }
    return shown;
  }

  Baton claimed, go, set;

 private:
  void reset_gauges_of(std::uint32_t worker) const {
    const auto view = segment_.view();
    const auto limit = [](const shm::SharedWord& cells) { return static_cast<std::uint32_t>(cells.load_relaxed()); };
    shm::reset_gauges(view.process_cells(worker), limit(view.worker(worker).cells_allocated), view.gauge_spill_cells(),
                      limit(view.slot(view.geometry().gauge_spill()).cells_allocated), gauges_);
  }

  tests::SegmentBuilder segment_;
  shm::Descriptor kept_;
  std::vector<shm::GaugeCells> gauges_;
  std::uint32_t shared_cell_ = 0;
};

TEST(GaugeModesDoc, EveryModeShowsWhatTheTableSaysOverADeathAndAnAdoption) {
  const Table expected = table_of_the_page();
  ASSERT_EQ(expected.size(), kModes) << "the table or its head is gone";
  Crew crew;
  const pid_t first = crew.hire(0, 5, 1);
  crew.claimed.receive();
  crew.go.pass();
  crew.set.receive();
  const pid_t second = crew.hire(1, 2, 2);
  crew.claimed.receive();
  crew.go.pass();
  crew.set.receive();
  std::vector<std::map<std::string, std::string>> steps{crew.show()};
  EXPECT_EQ(kill_and_wait(second), -SIGKILL);
  steps.push_back(crew.show());
  const pid_t third = crew.hire(1, 9, 3);
  crew.claimed.receive();
  steps.push_back(crew.show());
  crew.go.pass();
  crew.set.receive();
  steps.push_back(crew.show());
  kill_and_wait(first);
  kill_and_wait(third);

  for (const auto& [mode, row] : expected) {
    for (std::size_t step = 0; step < kSteps; ++step) {
      EXPECT_EQ(steps[step][mode], row[step]) << mode << ", step " << step + 1;
    }
  }
}

}  // namespace
}  // namespace shmetrics::collector
