// The terminal while a view is redrawn in place: its alternate screen, its size, its keys, and the signals that go
// with them.
//
// Threads: the only one of its program: it blocks signals and takes them when it waits. Failure: by result. Lifetime:
// one at a time; its end gives the screen back.
#pragma once

#include <sys/types.h>
#include <termios.h>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace shmetrics::tools {

/// To standard output. False, and why in errno, when it takes no more.
bool write_all(std::string_view text);
/// Whether standard output is a terminal that can be redrawn ($TERM is not `dumb`).
bool is_screen();
/// Whether people want colours there: https://no-color.org.
bool wants_colours();

class Terminal {
 public:
  struct Size {
    std::size_t rows = 24, columns = 80;
  };
  enum class Event {
    kTimeout,
    kRedraw,  // its size may be another, or its contents are lost
    kKeys,    // keys() says which
    kQuit,    // SIGINT, SIGTERM, SIGHUP, or the terminal is gone
  };

  /// Takes the screen over; the destructor gives it back as it was.
  Terminal();
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  Size size() const;
  /// Shows these lines and nothing else. False: the terminal is gone.
  bool show(const std::vector<std::string>& lines) const;
  /// Until `end`, or something happens. Ctrl-Z is handled within: the screen is given back while the program sleeps.
  Event wait_until(std::chrono::steady_clock::time_point end);
  /// What was typed, as the terminal sends it: one key or several, as characters and sequences.
  const std::string& keys() const { return keys_; }

 private:
  void enter();
  void leave() const;
  Event take_signal();
  void sleep_in_background();

  int signals_ = -1;
  bool has_keys_ = false;
  std::string keys_;
  termios before_{};
};

}  // namespace shmetrics::tools
