#include "collector/render.hpp"

#include <string_view>

#include "collector/family_lines.hpp"
#include "collector/visit_series.hpp"

namespace shmetrics::collector {
namespace {

class TextVisitor : public FamilyLines {
 public:
  using FamilyLines::FamilyLines;

  void observed(std::size_t series, std::span<const std::uint64_t> buckets, double sum) {
    if (!begin()) return;
    std::size_t at = first_line(series);
    std::uint64_t count = 0;
    for (const std::uint64_t bucket : buckets) {
      count = accumulate(count, bucket);
      if (family_.type == shm::MetricType::kHistogram) line(prefix(at++), count);
    }
    line(prefix(at++), sum);
    line(prefix(at), count);
  }
};

}  // namespace

void render_text(std::span<const FamilyPart> parts, TextOutput& out) {
  if (parts.empty()) return;
  std::string_view head = parts.front().family->head;
  for (const FamilyPart& part : parts) {
    TextVisitor visitor(part, head, out);
    visit_series(*part.family, *part.totals, visitor);
    if (visitor.has_begun()) head = "";  // not {}, whose null memcpy does not take
  }
  out.flush();
}

}  // namespace shmetrics::collector
