// Explores each sequence as it is, which must hold, and then with each of its orders left out, which must not.
//
// usage: litmus ITERATIONS [SEQUENCE]
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "tests/model/litmus/sequences.hpp"

namespace litmus {
namespace {

constexpr std::uint64_t kMostWeakened = 100'000;  // each that is refuted is so within a few hundred

bool explore_all_of(const Named& named, std::uint64_t iterations) {
  const std::unique_ptr<Sequence> sequence = named.make();
  const Result whole = explore(*sequence, named.threads, iterations, "");
  std::printf("| %s | %u | %llu | %s |\n", named.name, named.threads, static_cast<unsigned long long>(whole.iterations),
              whole.failure.empty() ? "holds" : "FAILS");
  if (!whole.failure.empty()) std::puts(whole.failure.c_str());
  bool is_as_expected = whole.failure.empty();
  for (const std::string& site : reached_sites()) {
    const Result weak = explore(*sequence, named.threads, std::min(iterations, kMostWeakened), site);
    const bool is_spare = std::find(named.spare.begin(), named.spare.end(), site) != named.spare.end();
    const bool is_refuted = !weak.failure.empty();
    std::printf("| - without %s | | %llu | %s%s |\n", site.c_str(), static_cast<unsigned long long>(weak.iterations),
                is_refuted ? "refuted" : "holds", is_refuted == !is_spare ? "" : ", UNEXPECTED");
    std::fflush(stdout);
    is_as_expected = is_as_expected && is_refuted == !is_spare;
  }
  return is_as_expected;
}

}  // namespace
}  // namespace litmus

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  bool is_as_expected = true;
  bool is_known = false;
  for (const auto& group : {litmus::observations(), litmus::handovers(), litmus::directories()}) {
    for (const litmus::Named& named : group) {
      if (argc > 2 && std::string_view(argv[2]) != named.name) continue;
      is_known = true;
      is_as_expected &= litmus::explore_all_of(named, std::strtoull(argv[1], nullptr, 10));
    }
  }
  return is_known && is_as_expected ? 0 : 1;
}
