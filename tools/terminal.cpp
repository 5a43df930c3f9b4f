#include "tools/terminal.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <system_error>

namespace shmetrics::tools {
namespace {

// Alternate screen, no cursor, no wrapping: a character that is wider than it counts must not scroll the screen.
constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l\x1b[?7l";
constexpr std::string_view kLeave = "\x1b[?7h\x1b[?25h\x1b[?1049l";
constexpr std::string_view kHome = "\x1b[H", kClearLine = "\x1b[K", kClearBelow = "\x1b[J";

sigset_t taken_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGWINCH}) sigaddset(&set, signal);
  return set;
}

}  // namespace

bool write_all(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(STDOUT_FILENO, text.data(), text.size());
    if (n < 0 && errno != EINTR) return false;
    text.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  }
  return true;
}

bool is_screen() {
  const char* term = std::getenv("TERM");
  return isatty(STDOUT_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
}

bool wants_colours() {
  const char* no_color = std::getenv("NO_COLOR");
  return no_color == nullptr || *no_color == '\0';
}

Terminal::Terminal() {
  // Blocked, not handled: they are read where the program waits, so that none comes at a bad moment or gets lost.
  const sigset_t set = taken_signals();
  sigprocmask(SIG_BLOCK, &set, nullptr);
  signals_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals_ < 0) throw std::system_error(errno, std::generic_category(), "signalfd");
  enter();
}

Terminal::~Terminal() {
  leave();
  close(signals_);
}

void Terminal::enter() {
  has_keys_ = isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &before_) == 0;
  if (has_keys_) {
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);  // keys at once, and unseen; Ctrl-C stays a signal
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  }
  write_all(kEnter);
}

void Terminal::leave() const {
  write_all(kLeave);
  if (has_keys_) tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

Terminal::Size Terminal::size() const {
  Size size;
  winsize window{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0) return size;
  // A serial line or a fresh pseudo-terminal says 0.
  if (window.ws_row > 0) size.rows = window.ws_row;
  if (window.ws_col > 0) size.columns = window.ws_col;
  return size;
}

bool Terminal::show(const std::vector<std::string>& lines) const {
  // In one write, and nothing is cleared before it is written over: no flicker.
  std::string text(kHome);
  std::string_view before;
  for (const std::string& line : lines) {
    text.append(before).append(line).append(kClearLine);
    before = "\r\n";
  }
  return write_all(text.append(kClearBelow));
}

Terminal::Event Terminal::wait_until(std::chrono::steady_clock::time_point end) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd sources[] = {{signals_, POLLIN, 0}, {has_keys_ ? STDIN_FILENO : -1, POLLIN, 0}};
    const int ready = poll(sources, std::size(sources), static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    if (ready == 0) return Event::kTimeout;
    if (ready < 0) continue;  // EINTR
    if (sources[0].revents != 0) return take_signal();
    std::array<char, 4096> typed;  // all that a terminal's queue holds: a read must not end within a key
    const ssize_t n = read(STDIN_FILENO, typed.data(), typed.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Event::kQuit;
    keys_.assign(typed.data(), static_cast<std::size_t>(n));
    return Event::kKeys;
  }
}

Terminal::Event Terminal::take_signal() {
  signalfd_siginfo signal{};
  if (read(signals_, &signal, sizeof signal) != sizeof signal) return Event::kRedraw;
  if (signal.ssi_signo == SIGTSTP) sleep_in_background();
  return signal.ssi_signo == SIGWINCH || signal.ssi_signo == SIGTSTP ? Event::kRedraw : Event::kQuit;
}

void Terminal::sleep_in_background() {
  leave();
  raise(SIGSTOP);  // returns with SIGCONT
  enter();
}

}  // namespace shmetrics::tools
