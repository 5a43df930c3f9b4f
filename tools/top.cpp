#include "tools/top.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <thread>
#include <utility>

#include "tools/exit_code.hpp"
#include "tools/rates.hpp"
#include "tools/terminal.hpp"
#include "tools/top_frame.hpp"

namespace shmetrics::tools {
namespace {

using Clock = std::chrono::steady_clock;

std::vector<std::string> frame_now(const TopOptions& options, const Moment& reading, const Rates& rates,
                                   Terminal::Size size, bool has_colours) {
  return frame(reading.status, rates,
               {.path = options.path,
                .unix_seconds = static_cast<std::uint64_t>(std::time(nullptr)),
                .interval = options.interval,
                .rows = size.rows,
                .columns = size.columns,
                .has_colours = has_colours});
}

/// Says on a terminal how long it still takes.
void wait_for(std::chrono::milliseconds interval) {
  const auto end = Clock::now() + interval;
  const bool is_watched = interval > std::chrono::seconds(1) && isatty(STDERR_FILENO) == 1;
  for (Clock::duration left = interval; left > left.zero(); left = end - Clock::now()) {
    if (is_watched) {
      std::fprintf(stderr, "\rreads again in %lld s ",
                   static_cast<long long>(std::chrono::ceil<std::chrono::seconds>(left).count()));
    }
    std::this_thread::sleep_for(std::min<Clock::duration>(left, std::chrono::seconds(1)));
  }
  if (is_watched) std::fputs("\r\x1b[K", stderr);
}

}  // namespace

int top_once(const TopOptions& options, std::string& out, std::string& problem) {
  collector::Scraper scraper(options.path);
  const Moment before = moment_of(scraper, Clock::now());
  if (before.status.up) wait_for(options.interval);
  const Moment after = before.status.up ? moment_of(scraper, Clock::now()) : before;
  if (!after.status.up) {
    problem = after.status.problem;
    return kFailed;
  }
  for (const std::string& line : frame_now(options, after, compare(&before, after), {.rows = 0, .columns = 0}, false)) {
    out += line + '\n';
  }
  return kFine;
}

int top_on_screen(const TopOptions& options, std::string& problem) {
  collector::Scraper scraper(options.path);
  Moment now = moment_of(scraper, Clock::now());
  if (!now.status.up) {
    problem = now.status.problem;
    return kFailed;
  }
  const bool has_colours = wants_colours();
  Rates rates = compare(nullptr, now);
  Terminal terminal;
  while (terminal.show(frame_now(options, now, rates, terminal.size(), has_colours))) {
    switch (terminal.wait_until(now.at + options.interval)) {
      case Terminal::Event::kQuit:
        return kFine;
      case Terminal::Event::kRedraw:
        break;
      case Terminal::Event::kTimeout:
        const Moment before = std::exchange(now, moment_of(scraper, Clock::now()));
        rates = compare(&before, now);
        break;
    }
  }
  return kFine;
}

}  // namespace shmetrics::tools
