// A program run by a test: started, watched, ended. Its output is kept in memory files, so that it never blocks on us.
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
#include <thread>
#include <vector>

namespace shmetrics::testing {

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
    rlim_t max_fds = 0;                         // 0: as here
    std::string input_path = "/dev/null";
    std::optional<uid_t> user = {};  // runs as this one, without any group; only root may
  };

  explicit ChildProcess(const Command& command)
      : out_(memfd_create("out", MFD_CLOEXEC)), err_(memfd_create("err", MFD_CLOEXEC)) {
    pid_ = fork();
    if (pid_ < 0) throw std::runtime_error("fork failed");
    if (pid_ == 0) execute(command);
  }
  ~ChildProcess() {
    if (!status_) {
      ::kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    close(out_);
    close(err_);
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
    dup2(open(command.input_path.c_str(), O_RDONLY), 0);
    dup2(out_, 1);
    dup2(err_, 2);
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
    execvpe(argv[0], argv.data(), envp.data());
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

  int out_, err_;
  pid_t pid_ = -1;
  std::optional<int> status_;
};

}  // namespace shmetrics::testing
