// A worker of a release, as a process of its own that is told what to do.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <stdexcept>
#include <string>

namespace shmetrics::tests {

class WorkerProcess {
 public:
  explicit WorkerProcess(const char* program) {
    int to[2], from[2];
    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    pid_ = fork();
    if (pid_ < 0) throw std::runtime_error("fork");
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      dup2(to[0], STDIN_FILENO);
      dup2(from[1], STDOUT_FILENO);
      execl(program, program, nullptr);
      _exit(127);
    }
    close(to[0]);
    close(from[1]);
    in_ = fdopen(to[1], "w");
    out_ = fdopen(from[0], "r");
  }
  ~WorkerProcess() {
    end(SIGKILL);
    std::fclose(out_);
  }
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  /// Its answer to one line.
  std::string ask(const std::string& line) {
    send(line);
    return answer();
  }
  /// The same in two steps, so that several work at once.
  void send(const std::string& line) {
    std::fprintf(in_, "%s\n", line.c_str());
    std::fflush(in_);
  }
  std::string answer() {
    char text[4096];
    if (std::fgets(text, sizeof text, out_) == nullptr) return "no answer";
    std::string answer = text;
    answer.pop_back();
    return answer;
  }
  /// Lets it exit in order; its exit code.
  int finish() { return end(0); }
  void kill() { end(SIGKILL); }

 private:
  int end(int signal) {
    if (pid_ < 0) return -1;
    if (signal != 0) ::kill(pid_, signal);
    std::fclose(in_);
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  pid_t pid_ = -1;
  std::FILE* in_ = nullptr;
  std::FILE* out_ = nullptr;
};

}  // namespace shmetrics::tests
