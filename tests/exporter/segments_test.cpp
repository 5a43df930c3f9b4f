// The real exporter with several segments: two live ones, and a glob whose files come and go.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <shmetrics/shmetrics.hpp>

#include "tests/exporter/well_formed.hpp"
#include "tests/live_worker.hpp"
#include "tests/running_exporter.hpp"
#include "tests/temporary_folder.hpp"

namespace shmetrics::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Worker : public LiveWorker {
 public:
  Worker(const std::string& path, unsigned things)
      : LiveWorker({.path = path}, [things](const Registry& registry) {
          registry.counter("crm_things_total", "Things done", {"segment"}).with("own").inc(things);
          registry.gauge("crm_depth", "Depth").set(things);
        }) {}
};

TEST(Segments, TwoLiveOnesAreServedSideBySideAndAMissingOneIsSaid) {
  const TemporaryFolder folder;
  const Worker in_a(folder.file("a.seg"), 3), in_b(folder.file("b.seg"), 4);
  RunningExporter exporter({.flags = {"--segment", "crm=" + folder.file("b.seg"), "--segment=" + folder.file("c.seg")},
                            .segment = folder.file("a.seg")});
  const std::string text = well_formed_text(exporter);
  EXPECT_THAT(text, HasSubstr("# TYPE crm_depth gauge\n"
                              "crm_depth{segment=\"a\"} 3\n"
                              "crm_depth{segment=\"crm\"} 4\n"
                              "# HELP crm_things_total Things done\n"
                              "# TYPE crm_things_total counter\n"
                              "crm_things_total{segment=\"a\",exported_segment=\"own\"} 3\n"
                              "crm_things_total{segment=\"crm\",exported_segment=\"own\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("\nshmetrics_segment_up{segment=\"a\"} 1\n"
                              "shmetrics_segment_up{segment=\"crm\"} 1\n"
                              "shmetrics_segment_up{segment=\"c\"} 0\n"));
  EXPECT_TRUE(exporter.child().says("msg=\"the segment is up\" segment=crm path=" + folder.file("b.seg")));
  EXPECT_TRUE(exporter.child().says("msg=\"the segment is not up\" segment=c path=" + folder.file("c.seg")));
}

TEST(Segments, FilesOfAGlobComeAndGo) {
  const TemporaryFolder folder;
  RunningExporter exporter({.segment = folder.file("*.seg")});
  EXPECT_THAT(well_formed_text(exporter), Not(HasSubstr("shmetrics_segment_up")));
  const Worker in_b(folder.file("b.seg"), 4);
  EXPECT_THAT(well_formed_text(exporter), HasSubstr("\ncrm_depth{segment=\"b\"} 4\n"));
  Worker in_a(folder.file("a.seg"), 3);
  EXPECT_THAT(well_formed_text(exporter), HasSubstr("\ncrm_depth{segment=\"a\"} 3\ncrm_depth{segment=\"b\"} 4\n"));
  in_a.end();
  std::filesystem::remove(folder.file("a.seg"));
  const std::string text = well_formed_text(exporter);
  EXPECT_THAT(text, Not(HasSubstr("segment=\"a\"")));
  EXPECT_THAT(text, HasSubstr("\ncrm_depth{segment=\"b\"} 4\n"));
  EXPECT_TRUE(exporter.child().says("msg=\"the segment is gone\" segment=a path=" + folder.file("a.seg")));
  const Worker again(folder.file("a.seg"), 5);
  EXPECT_THAT(well_formed_text(exporter), HasSubstr("\ncrm_depth{segment=\"a\"} 5\ncrm_depth{segment=\"b\"} 4\n"));
}

TEST(Segments, AFileOfAGlobThatIsRemovedIsDownUntilItsWorkersHaveEnded) {
  const TemporaryFolder folder;
  RunningExporter exporter({.flags = {"--collector.worker-process"}, .segment = folder.file("*.seg")});
  Worker in_a(folder.file("a.seg"), 3);
  const Worker in_b(folder.file("b.seg"), 4);
  EXPECT_THAT(well_formed_text(exporter), HasSubstr("shmetrics_worker_threads{segment=\"a\",worker="));
  std::filesystem::remove(folder.file("a.seg"));
  for (int i = 0; i < 3; ++i) {
    const std::string text = well_formed_text(exporter);
    EXPECT_THAT(text, HasSubstr("\nshmetrics_segment_up{segment=\"a\"} 0\n"));
    EXPECT_THAT(text, Not(HasSubstr("crm_depth{segment=\"a\"}")));
    EXPECT_THAT(text, Not(HasSubstr("shmetrics_worker_threads{segment=\"a\"")));
    EXPECT_THAT(text, HasSubstr("\ncrm_depth{segment=\"b\"} 4\n"));
  }
  EXPECT_TRUE(exporter.child().says(folder.file("a.seg") +
                                    " was removed while its workers live: restart the application, "
                                    "with the master that forks them"));
  const Worker again(folder.file("a.seg"), 5);
  EXPECT_THAT(well_formed_text(exporter), HasSubstr("\ncrm_depth{segment=\"a\"} 5\n")) << "the file decides";
  std::filesystem::remove(folder.file("a.seg"));
  EXPECT_THAT(well_formed_text(exporter), HasSubstr("\nshmetrics_segment_up{segment=\"a\"} 0\n"));
  std::filesystem::create_directory(folder.file("a.seg"));
  EXPECT_THAT(well_formed_text(exporter), HasSubstr("\nshmetrics_segment_up{segment=\"a\"} 0\n")) << "no file either";
}

TEST(Segments, ARemovedFileOfAGlobKeepsNoNameFromAnother) {
  const TemporaryFolder folder;
  for (const char* name : {"a", "b"}) std::filesystem::create_directory(folder.file(name));
  RunningExporter exporter({.segment = folder.file("*/metrics.seg")});
  Worker in_a(folder.file("a/metrics.seg"), 3);
  EXPECT_THAT(well_formed_text(exporter), HasSubstr("\ncrm_depth{segment=\"metrics\"} 3\n"));
  std::filesystem::remove(folder.file("a/metrics.seg"));
  EXPECT_THAT(well_formed_text(exporter), HasSubstr("\nshmetrics_segment_up{segment=\"metrics\"} 0\n"));
  const Worker in_b(folder.file("b/metrics.seg"), 4);
  const std::string text = well_formed_text(exporter);
  EXPECT_THAT(text, HasSubstr("\ncrm_depth{segment=\"metrics\"} 4\n"));
  EXPECT_THAT(text, Not(HasSubstr("shmetrics_segment_up{segment=\"metrics\"} 0")));
}

TEST(Segments, OfEqualStemsOneIsServedAndTheLogSaysWhatToDo) {
  const TemporaryFolder folder;
  for (const char* name : {"a", "b"}) std::filesystem::create_directory(folder.file(name));
  const Worker in_a(folder.file("a/metrics.seg"), 3), in_b(folder.file("b/metrics.seg"), 4);
  RunningExporter exporter({.segment = folder.file("*/metrics.seg")});
  const std::string text = well_formed_text(exporter);
  EXPECT_THAT(text, HasSubstr("\ncrm_depth{segment=\"metrics\"} 3\n"));
  EXPECT_THAT(text, Not(HasSubstr("} 4\n")));
  EXPECT_TRUE(exporter.child().says("segment=metrics path=" + folder.file("b/metrics.seg") + " problem="));
  EXPECT_THAT(exporter.child().err(), HasSubstr("--segment NAME=PATH"));
  RunningExporter named(
      {.flags = {"--segment", "b=" + folder.file("b/metrics.seg")}, .segment = folder.file("*/metrics.seg")});
  EXPECT_THAT(well_formed_text(named), HasSubstr("\ncrm_depth{segment=\"metrics\"} 3\ncrm_depth{segment=\"b\"} 4\n"));
  EXPECT_THAT(named.child().err(), Not(HasSubstr("left out")));
}

TEST(Segments, EqualNamesAreExitCode2AndOneLine) {
  ChildProcess child({.argv = {SHMETRICS_EXPORTER_PROGRAM, "--segment=/run/a/m.seg", "--segment", "/run/b/m.seg"}});
  EXPECT_EQ(child.exit_code(), 2);
  const std::string said = child.err();
  EXPECT_THAT(said, HasSubstr("--segment /run/b/m.seg: segment /run/a/m.seg has the name m too"));
  EXPECT_EQ(said.find('\n'), said.size() - 1);
}

TEST(Segments, EveryLineOfAJsonLogIsAnObject) {
  const TemporaryFolder folder;
  const Worker worker(folder.file("a.seg"), 3);
  RunningExporter exporter({.flags = {"--log.format=json", "--segment=\"\xc3\xa9\x01=" + folder.file("no.seg")},
                            .segment = folder.file("a.seg")});
  well_formed_text(exporter);
  EXPECT_TRUE(exporter.child().says("\"msg\":\"the segment is up\",\"segment\":\"a\",\"path\":"));
  const char* program =
      "import json, sys\n"
      "lines = [json.loads(line) for line in sys.stdin]\n"
      "assert len(lines) >= 3 and all({'ts', 'level', 'msg'} <= set(line) for line in lines), lines\n";
  const std::string log = exporter.child().err();
  const Outcome python = run_command({"python3", "-c", program}, log);
  EXPECT_EQ(python.code, 0) << python.error << log;
}

}  // namespace
}  // namespace shmetrics::tests
