// A worker of a release that does not exist yet: it writes what this one does not know. It does what it is told, a line
// at a time, and answers each line.
//
//   open PATH                                   ok
//   family NAME [FIELD=NUMBER...]               the numbers of its entry, its first thread and its first process cell
//   series ENTRY VALUE [FIELD=NUMBER...]        the same, of a series with one label
//   record KIND [FIELD=NUMBER...]               the same, of a record of another kind
//   claim                                       the number of the worker entry that it has from now on
//   gauge CELL VALUE                            sets a gauge in its process slot; ok
//   count CELL                                  counts in the spill's thread cell; its value
//
// Fields: type cell_kind gauge_mode flags claim_action thread_cells process_cells labels; as in tests/raw_log.hpp.
#include <fcntl.h>

#include <iostream>
#include <memory>
#include <optional>
#include <sstream>

#include "shm/worker_entry.hpp"
#include "tests/raw_log.hpp"

namespace {

using namespace shmetrics;  // NOLINT

class NewerWorker {
 public:
  std::string answer(const std::string& line) {
    std::istringstream words(line);
    std::string command;
    words >> command;
    if (command == "open") return open(words);
    if (command == "family") return family(words);
    if (command == "series") return series(words);
    if (command == "record") return record(words);
    if (command == "claim") return claim();
    if (command == "gauge") return gauge(words);
    if (command == "count") return count(words);
    return "what?";
  }

 private:
  struct Given {
    tests::RawFields fields;
    std::uint32_t labels = 0;
  };
  static Given given(std::istream& words) {
    Given given;
    for (std::string word; words >> word;) {
      const auto at = word.find('=');
      const std::string name = word.substr(0, at);
      const auto number = static_cast<std::uint32_t>(std::stoul(word.substr(at + 1)));
      if (name == "type") given.fields.type = number;
      if (name == "cell_kind") given.fields.cell_kind = number;
      if (name == "gauge_mode") given.fields.gauge_mode = number;
      if (name == "flags") given.fields.flags = number;
      if (name == "claim_action") given.fields.claim_action = static_cast<std::uint16_t>(number);
      if (name == "thread_cells") given.fields.thread_cells = number;
      if (name == "process_cells") given.fields.process_cells = number;
      if (name == "labels") given.labels = number;
    }
    return given;
  }
  static std::string told(const tests::RawPlace& place) {
    return std::to_string(place.entry) + " " + std::to_string(place.first_thread_cell) + " " +
           std::to_string(place.first_process_cell);
  }
  std::string open(std::istream& words) {
    words >> path_;
    log_ = std::make_unique<tests::RawLog>(path_);
    return "ok";
  }
  std::string family(std::istream& words) {
    std::string name;
    words >> name;
    const Given what = given(words);
    return told(log_->family(name, what.fields, std::vector<std::string_view>(what.labels, "l")));
  }
  std::string series(std::istream& words) {
    std::uint32_t entry = 0;
    std::string value;
    words >> entry >> value;
    return told(log_->series(entry, given(words).fields, {value}));
  }
  std::string record(std::istream& words) {
    std::uint32_t kind = 0;
    words >> kind;
    return told(log_->unknown(kind, given(words).fields, "what the next release says"));
  }
  std::string claim() {
    shm::BegunClaim begun(log_->view(), {log_->opened().file.get(), path_.c_str(), log_->opened().id});
    if (begun) claim_ = begun.finish();
    if (!claim_) return "no entry";
    shm::mark_counted(log_->view(), claim_->worker);
    log_->view().worker(claim_->worker).cells_allocated.raise_to_release(shm::kGrowthCells);
    return std::to_string(claim_->worker);
  }
  std::string gauge(std::istream& words) {
    std::uint32_t cell = 0;
    double value = 0;
    words >> cell >> value;
    shm::SharedWord* const cells = log_->view().process_cells(claim_->worker) + cell;
    cells[shm::kGaugeValue].store_double_relaxed(value);
    cells[shm::kGaugeStamp].store_release(1);
    return "ok";
  }
  std::string count(std::istream& words) {
    std::uint32_t cell = 0;
    words >> cell;
    shm::SharedWord& word = log_->view().spill_cells()[cell];
    word.add_relaxed(1);
    return std::to_string(word.load_relaxed());
  }

  std::string path_;
  std::unique_ptr<tests::RawLog> log_;
  std::optional<shm::EntryClaim> claim_;
};

}  // namespace

int main() {
  NewerWorker worker;
  for (std::string line; std::getline(std::cin, line);) std::cout << worker.answer(line) << std::endl;
  return 0;
}
