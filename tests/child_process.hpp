// A program run by a test: started, watched, ended; or run to its end, as a script would. Its output is kept in memory
// files, so that it never blocks on us.
#pragma once

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace shmetrics::tests {

/// Asks again every few milliseconds; false when `done` stayed false for the whole time.
inline bool eventually(const std::function<bool()>& done,
                       std::chrono::milliseconds patience = std::chrono::seconds(20)) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

class ChildProcess {
 public:
  struct Command {
    std::vector<std::string> argv;
    std::vector<std::string> environment = {};  // NAME=VALUE, and nothing else but PATH
    bool inherits_environment = false;
    rlim_t max_fds = 0;  // 0: as here
    std::string_view input = {};
    int stdout_fd = -1;              // < 0: out()
    std::optional<uid_t> user = {};  // runs as this one, without any group; only root may
  };

  explicit ChildProcess(const Command& command) {
    if (write(in_, command.input.data(), command.input.size()) < 0 || lseek(in_, 0, SEEK_SET) != 0) {
      throw std::runtime_error("no input");
    }
    pid_ = fork();
    if (pid_ < 0) throw std::runtime_error("fork failed");
    if (pid_ == 0) execute(command);
  }
  ~ChildProcess() {
    if (!status_) {
      ::kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    for (const int fd : {in_, out_, err_}) close(fd);
  }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  std::string out() const { return text_of(out_); }
  std::string err() const { return text_of(err_); }
  void send_signal(int number) const { ::kill(pid_, number); }

  bool runs() {
    int status = 0;
    if (!status_ && waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
    return !status_;
  }
  /// The exit code, 128 + signal if a signal ended it, nothing if it still runs after `patience`.
  std::optional<int> exit_code(std::chrono::milliseconds patience = std::chrono::seconds(20)) {
    if (!eventually([this] { return !runs(); }, patience)) return std::nullopt;
    return WIFEXITED(*status_) ? WEXITSTATUS(*status_) : 128 + WTERMSIG(*status_);
  }
  /// The same, however long it takes.
  int wait() {
    int status = 0;
    if (!status_ && waitpid(pid_, &status, 0) == pid_) status_ = status;
    return *exit_code();
  }
  /// Whether `text` comes on stderr before the child ends or patience does.
  bool says(const std::string& text) {
    const auto has_said = [&] { return err().find(text) != std::string::npos; };
    eventually([&] { return has_said() || !runs(); });
    return has_said();
  }

 private:
  [[noreturn]] void execute(const Command& command) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (command.user && (setgroups(0, nullptr) != 0 || setgid(*command.user) != 0 || setuid(*command.user) != 0)) {
      _exit(126);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // again: another user's has been forgotten
    dup2(in_, STDIN_FILENO);
    dup2(command.stdout_fd < 0 ? out_ : command.stdout_fd, STDOUT_FILENO);
    dup2(err_, STDERR_FILENO);
    if (command.max_fds != 0) {
      const rlimit limit{command.max_fds, command.max_fds};
      setrlimit(RLIMIT_NOFILE, &limit);
    }
    std::vector<std::string> environment = command.environment;
    environment.emplace_back("PATH=/usr/bin:/bin");
    std::vector<char*> argv, envp;
    for (const std::string& text : command.argv) argv.push_back(const_cast<char*>(text.c_str()));
    for (const std::string& text : environment) envp.push_back(const_cast<char*>(text.c_str()));
    argv.push_back(nullptr);
    envp.push_back(nullptr);
    execvpe(argv[0], argv.data(), command.inherits_environment ? environ : envp.data());
    _exit(127);
  }

  static std::string text_of(int fd) {
    struct stat file {};
    fstat(fd, &file);
    std::string text(static_cast<std::size_t>(file.st_size), '\0');
    // pread: the offset is shared with the child, and moving it would make the child overwrite what it wrote.
    const ssize_t size = pread(fd, text.data(), text.size(), 0);
    text.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
    return text;
  }

  const int in_ = memfd_create("in", MFD_CLOEXEC);
  const int out_ = memfd_create("out", MFD_CLOEXEC);
  const int err_ = memfd_create("err", MFD_CLOEXEC);
  pid_t pid_ = -1;
  std::optional<int> status_;
};

struct Outcome {
  int code = -1;  // 128 + n when a signal ended it, as a shell says it
  std::string out;
  std::string error;
};

/// Runs a program to its end, in the environment of this one. `stdout_fd` < 0: standard output is collected.
inline Outcome run_command(std::vector<std::string> command, std::string_view input = {}, int stdout_fd = -1) {
  ChildProcess child(
      {.argv = std::move(command), .inherits_environment = true, .input = input, .stdout_fd = stdout_fd});
  const int code = child.wait();
  return {code, child.out(), child.err()};
}

}  // namespace shmetrics::tests
