// Runs the built `shmetrics` on a terminal of its own.
#pragma once

#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace shmetrics::tests {

struct TerminalSize {
  unsigned short rows = 24, columns = 80;
};

class PseudoTerminal {
 public:
  explicit PseudoTerminal(std::vector<std::string> arguments, TerminalSize size = {}, bool no_color = false) {
    winsize window{.ws_row = size.rows, .ws_col = size.columns, .ws_xpixel = 0, .ws_ypixel = 0};
    child_ = forkpty(&master_, nullptr, nullptr, &window);
    if (child_ < 0) throw std::runtime_error("forkpty");
    if (child_ > 0) return;
    setenv("TERM", "xterm", 1);
    no_color ? setenv("NO_COLOR", "1", 1) : unsetenv("NO_COLOR");
    arguments.insert(arguments.begin(), SHMETRICS_PROGRAM);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    execv(SHMETRICS_PROGRAM, argv.data());
    _exit(127);
  }
  ~PseudoTerminal() {
    if (child_ > 0) {
      kill(child_, SIGKILL);
      waitpid(child_, nullptr, 0);
    }
    close(master_);
  }
  PseudoTerminal(const PseudoTerminal&) = delete;
  PseudoTerminal& operator=(const PseudoTerminal&) = delete;

  /// Reads on until `text` comes that was not there before the last call. Returns what was read since; throws after
  /// 20 s.
  std::string wait_for(std::string_view text) {
    while (true) {
      if (const std::size_t at = seen_.find(text, from_); at != seen_.npos) {
        const std::string fresh = seen_.substr(from_, at + text.size() - from_);
        from_ = at + text.size();
        return fresh;
      }
      if (!read_some()) throw std::runtime_error("never came: " + std::string(text) + "\nseen: " + seen_);
    }
  }
  void type(std::string_view keys) const {
    if (write(master_, keys.data(), keys.size()) < 0) throw std::runtime_error("write");
  }
  void resize(TerminalSize size) const {
    const winsize window{.ws_row = size.rows, .ws_col = size.columns, .ws_xpixel = 0, .ws_ypixel = 0};
    ioctl(master_, TIOCSWINSZ, &window);
  }
  void send(int signal) const { kill(child_, signal); }
  bool is_stopped() const {
    int status = 0;
    return waitpid(child_, &status, WUNTRACED) == child_ && WIFSTOPPED(status);
  }
  bool echoes() const {
    termios state{};
    return tcgetattr(master_, &state) == 0 && (state.c_lflag & ECHO) != 0;
  }

  /// Waits for its end. The exit code, or 128 + the signal.
  int finish() {
    while (read_some()) {
    }
    int status = 0;
    waitpid(child_, &status, 0);
    child_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  const std::string& seen() const { return seen_; }

 private:
  // False at its end: a terminal that nobody holds open any more fails with EIO.
  bool read_some() {
    pollfd readable{master_, POLLIN, 0};
    if (poll(&readable, 1, 20'000) != 1) return false;
    char bytes[4096];
    const ssize_t n = read(master_, bytes, sizeof bytes);
    if (n > 0) seen_.append(bytes, static_cast<std::size_t>(n));
    return n > 0;
  }

  int master_ = -1;
  pid_t child_ = -1;
  std::string seen_;
  std::size_t from_ = 0;
};

}  // namespace shmetrics::tests
