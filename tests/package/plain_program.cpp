// Built with none of the measures of tools/hardening.cmake, whatever the compiler has by default: the test of the
// programs has to find each of them missing here.
#include <cstdio>
#include <vector>

int main(int count, char** words) {
  std::vector<char> line(64);
  char copy[10'000];  // more than a page
  std::snprintf(copy, sizeof copy, "%s", words[0]);
  line[static_cast<std::size_t>(count)] = copy[0];
  std::printf("%s\n", line.data() + count);
}
