// A worker that does what it is told, a line at a time, and answers each line with `ok` or with the error's message.
//
//   open PATH [fresh]             counter NAME HELP [LABEL...]   histogram NAME HELP BOUND...
//   gauge NAME HELP [MODE]        float NAME HELP [LABEL...]     summary NAME HELP
//   count [VALUE]                 updates all that was declared: gauges and observations with VALUE, by default 1
//   with VALUE                    counts once in each labelled family, in the series whose labels all have VALUE
//   fork                          a child that counts once and exits; `ok` when it has
#include <sys/wait.h>
#include <unistd.h>
#include <shmetrics/shmetrics.hpp>

#include <functional>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace {

using namespace shmetrics;  // NOLINT

Registry registry;                                                    // NOLINT
std::vector<std::function<void(double)>> updates;                     // NOLINT
std::vector<std::function<void(std::string_view)>> labelled_updates;  // NOLINT

template <typename Family>
std::string declared(const Family& family, std::function<void(double)> update) {
  updates.push_back(std::move(update));  // also of an inert one: the application goes on as if nothing were wrong
  return family.error() ? family.error().message() : "ok";
}

std::string open_registry(std::istream& words) {
  Options options;
  std::string start;
  words >> options.path >> start;
  options.workers = 8;
  options.slots = 8;
  options.cells = 2048;
  options.directory_bytes = 65536;
  options.quiet = true;
  if (start == "fresh") options.start = Start::fresh;
  std::error_code error;
  registry = Registry::open(options, error);
  return error ? error.message() : "ok";
}

// One that has labels counts with all of them "v".
template <typename Family>
std::string declared_counter(const Family& family, std::size_t labels) {
  const auto with = [family, labels](std::string_view value) {
    const std::vector<std::string_view> values(labels, value);
    family.with(std::span<const std::string_view>(values)).inc();
  };
  if (labels > 0) labelled_updates.push_back(with);
  return declared(family, [with](double) { with("v"); });
}

GaugeMode mode_of(const std::string& name) {
  static const std::vector<std::string> names = {"livesum", "livemin", "livemax",    "liveall", "livemostrecent", "sum",
                                                 "min",     "max",     "mostrecent", "all",     "shared"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return static_cast<GaugeMode>(i);
  }
  return GaugeMode::livesum;
}

std::string declare(const std::string& kind, std::istream& words) {
  std::string name, help;
  words >> name >> help;
  if (kind == "counter" || kind == "float") {
    std::vector<std::string> labels;
    for (std::string label; words >> label;) labels.push_back(label);
    const std::vector<std::string_view> views(labels.begin(), labels.end());
    return kind == "float" ? declared_counter(registry.float_counter(name, help, RuntimeLabels(views)), labels.size())
                           : declared_counter(registry.counter(name, help, RuntimeLabels(views)), labels.size());
  }
  if (kind == "gauge") {
    std::string mode;
    words >> mode;
    const auto family = registry.gauge(name, help, {}, mode_of(mode));
    return declared(family, [family](double value) { family.set(value); });
  }
  if (kind == "summary") {
    const auto family = registry.summary(name, help);
    return declared(family, [family](double value) { family.observe(value); });
  }
  Buckets bounds;
  for (double bound = 0; words >> bound;) bounds.push_back(bound);
  const auto family = registry.histogram(name, help, {}, bounds);
  return declared(family, [family](double value) { family.observe(value); });
}

std::string count(double value) {
  for (const auto& update : updates) update(value);
  return "ok";
}

std::string count(std::istream& words) {
  double value = 1;
  words >> value;
  return count(words ? value : 1);
}

std::string count_with(std::istream& words) {
  std::string value;
  words >> value;
  for (const auto& update : labelled_updates) update(value);
  return "ok";
}

std::string count_in_child() {
  const pid_t child = fork();
  if (child == 0) {
    count(1);
    std::exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status == 0 ? "ok" : "the child failed";
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string command;
    words >> command;
    std::cout << (command == "open"    ? open_registry(words)
                  : command == "count" ? count(words)
                  : command == "with"  ? count_with(words)
                  : command == "fork"  ? count_in_child()
                                       : declare(command, words))
              << std::endl;
  }
  return 0;
}
