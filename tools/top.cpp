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
#include "tools/top_view.hpp"

namespace shmetrics::tools {
namespace {

using Clock = std::chrono::steady_clock;

FrameOptions options_now(const TopOptions& options) {
  FrameOptions now;
  now.path = options.path;
  now.unix_seconds = static_cast<std::uint64_t>(std::time(nullptr));
  now.interval = options.interval;
  return now;
}

Frame frame_now(const TopOptions& options, const Moment& reading, std::vector<FamilyRates>& families,
                const TopView& view, Terminal::Size size) {
  FrameOptions now = options_now(options);
  now.rows = size.rows;
  // Behind the last column the cursor stays on it, and what clears the rest of the line would clear it too.
  now.columns = std::max<std::size_t>(size.columns, 2) - 1;
  now.first = view.first;
  now.filter = view.filter;
  now.hint = hint(view);
  now.has_colours = wants_colours();
  sort_families(families, view.order);
  return frame(reading.status, families, now);
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
  for (const std::string& line : frame(after.status, compare(&before, after), options_now(options)).lines) {
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
  std::vector<FamilyRates> families = compare(nullptr, now);
  TopView view;
  Terminal terminal;
  while (true) {
    const Frame shown = frame_now(options, now, families, view, terminal.size());
    if (!terminal.show(shown.lines)) return kFine;
    switch (terminal.wait_until(now.at + options.interval)) {
      case Terminal::Event::kQuit:
        return kFine;
      case Terminal::Event::kKeys:
        if (!take_keys(view, terminal.keys(), shown.shown, shown.rows)) return kFine;
        break;
      case Terminal::Event::kRedraw:
        break;
      case Terminal::Event::kTimeout:
        const Moment before = std::exchange(now, moment_of(scraper, Clock::now()));
        families = compare(&before, now);
        break;
    }
  }
}

}  // namespace shmetrics::tools
