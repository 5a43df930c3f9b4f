// Runs the built `shmetrics` as a script would.
#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string>
#include <vector>

namespace shmetrics::test {

struct Outcome {
  int code = -1;  // 128 + n when a signal ended it, as a shell says it
  std::string out;
  std::string error;
};

inline std::string drain(std::FILE* file) {
  std::string text;
  std::array<char, 65536> buffer;
  std::rewind(file);
  while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), file)) text.append(buffer.data(), n);
  std::fclose(file);
  return text;
}

/// `stdout_fd` < 0: standard output is collected.
inline Outcome run_program(std::vector<std::string> arguments, int stdout_fd = -1) {
  std::FILE* out = std::tmpfile();
  std::FILE* error = std::tmpfile();
  const pid_t child = fork();
  if (child == 0) {
    dup2(stdout_fd < 0 ? fileno(out) : stdout_fd, STDOUT_FILENO);
    dup2(fileno(error), STDERR_FILENO);
    arguments.insert(arguments.begin(), SHMETRICS_PROGRAM);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    execv(SHMETRICS_PROGRAM, argv.data());
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), drain(out), drain(error)};
}

}  // namespace shmetrics::test
