// Runs a program to its end, as a script would.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string>
#include <string_view>
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

/// `command` begins with the program's path. `stdout_fd` < 0: standard output is collected.
inline Outcome run_command(std::vector<std::string> command, std::string_view input = {}, int stdout_fd = -1) {
  std::FILE* in = std::tmpfile();
  if (!input.empty()) std::fwrite(input.data(), 1, input.size(), in);
  std::rewind(in);
  std::FILE* out = std::tmpfile();
  std::FILE* error = std::tmpfile();
  const pid_t child = fork();
  if (child == 0) {
    dup2(fileno(in), STDIN_FILENO);
    dup2(stdout_fd < 0 ? fileno(out) : stdout_fd, STDOUT_FILENO);
    dup2(fileno(error), STDERR_FILENO);
    std::vector<char*> argv;
    for (std::string& argument : command) argv.push_back(argument.data());
    argv.push_back(nullptr);
    execv(argv[0], argv.data());
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  std::fclose(in);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), drain(out), drain(error)};
}

}  // namespace shmetrics::test
