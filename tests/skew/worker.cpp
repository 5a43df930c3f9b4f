// A worker that does what it is told, a line at a time, and answers each line with `ok` or with the error's message.
//
//   open PATH [fresh]            counter NAME HELP [LABEL]    histogram NAME HELP BOUND...
//   gauge NAME HELP              summary NAME HELP            count         updates all that was declared
//   fork                         a child that counts once and exits; `ok` when it has
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

Registry registry;                           // NOLINT
std::vector<std::function<void()>> updates;  // NOLINT

template <typename Family>
std::string declared(const Family& family, std::function<void()> update) {
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
  if (start == "fresh") options.start = Start::fresh;
  std::error_code error;
  registry = Registry::open(options, error);
  return error ? error.message() : "ok";
}

std::string declare(const std::string& kind, std::istream& words) {
  std::string name, help, label;
  words >> name >> help;
  if (kind == "counter" && words >> label) {
    const std::string_view labels[] = {label};
    const auto family = registry.counter(name, help, RuntimeLabels(labels));
    return declared(family, [family] {
      const std::string_view values[] = {"v"};
      family.with(std::span(values)).inc();
    });
  }
  if (kind == "counter") {
    const auto family = registry.counter(name, help);
    return declared(family, [family] { family.inc(); });
  }
  if (kind == "gauge") {
    const auto family = registry.gauge(name, help);
    return declared(family, [family] { family.set(1); });
  }
  if (kind == "summary") {
    const auto family = registry.summary(name, help);
    return declared(family, [family] { family.observe(1); });
  }
  Buckets bounds;
  for (double bound = 0; words >> bound;) bounds.push_back(bound);
  const auto family = registry.histogram(name, help, {}, bounds);
  return declared(family, [family] { family.observe(1); });
}

std::string count() {
  for (const auto& update : updates) update();
  return "ok";
}

std::string count_in_child() {
  const pid_t child = fork();
  if (child == 0) {
    count();
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
                  : command == "count" ? count()
                  : command == "fork"  ? count_in_child()
                                       : declare(command, words))
              << std::endl;
  }
  return 0;
}
