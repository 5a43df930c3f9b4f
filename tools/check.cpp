#include "tools/check.hpp"

#include "collector/check.hpp"
#include "tools/exit_code.hpp"

namespace shmetrics::tools {

int check(const std::string& path, std::string& out, std::string& problem) {
  using Verdict = collector::CheckReport::Verdict;
  const collector::CheckReport report = collector::check_segment(path);
  if (report.verdict == Verdict::kNoAnswer) {
    problem = report.findings.front();
    return kNoAnswer;
  }
  for (const std::string& finding : report.findings) out += finding + '\n';
  for (const std::string& warning : report.warnings) out += "warning: " + warning + '\n';
  if (report.verdict == Verdict::kDamaged) return kDamaged;
  out += path + " is sound\n";
  return kFine;
}

}  // namespace shmetrics::tools
