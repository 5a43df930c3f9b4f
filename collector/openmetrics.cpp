#include "collector/openmetrics.hpp"

#include <vector>

#include "collector/family_lines.hpp"
#include "collector/visit_series.hpp"

namespace shmetrics::collector {
namespace {

constexpr std::string_view kTotal = "_total";
constexpr std::string_view kSum = "_sum";
constexpr std::string_view kPrefixEnd = "\"} ";  // of a bucket's kept prefix: `le` is its last label

bool needs_point(std::string_view bound) {
  return bound.find_first_of(".e") == bound.npos;
}

class OpenmetricsVisitor : public FamilyLines {
 public:
  OpenmetricsVisitor(const FamilyPart& part, Created created, std::string_view head, TextOutput& out)
      : FamilyLines(part, head, out),
        totals_(*part.totals),
        has_negative_bound_(!family_.bounds.empty() && family_.bounds.front() < 0),
        has_created_(created == Created::kYes) {
    std::string text;
    for (const double bound : family_.bounds) {
      text.clear();
      append_bound(text, bound);
      needs_point_.push_back(needs_point(text));
    }
    needs_point_.push_back(false);  // +Inf
  }

  template <typename Number>
  void number(std::size_t series, Number value) {
    if (!begin()) return;
    line(prefix(series), value, find_exemplar(family_, totals_, series, 0));
    if (family_.type == shm::MetricType::kCounter && has_base_name()) created_line(series, prefix(series), kTotal);
  }

  void observed(std::size_t series, std::span<const std::uint64_t> buckets, double sum) {
    if (!begin()) return;
    const bool is_histogram = family_.type == shm::MetricType::kHistogram;
    std::size_t at = first_line(series);
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < buckets.size(); ++i) {
      count = accumulate(count, buckets[i]);
      if (is_histogram) bucket(prefix(at++), needs_point_[i], count, find_exemplar(family_, totals_, series, i));
    }
    // A sum of OpenMetrics only grows; with observations below 0 it is none, and NaN is no sum at all.
    const bool has_sum = sum >= 0 && !has_negative_bound_;
    if (has_sum) line(prefix(at), sum);
    if (has_sum || !is_histogram) line(prefix(at + 1), count);
    created_line(series, prefix(at), kSum);
  }

 private:
  using FamilyLines::line;

  template <typename Number>
  void line(std::string_view before, Number value, const Exemplar* exemplar) {
    // A counter that is of type unknown has none either.
    if (exemplar == nullptr || (family_.type == shm::MetricType::kCounter && !has_base_name())) {
      return line(before, value);
    }
    out_.text(before);
    out_.number(value);
    std::string_view separator = " # {";
    exemplar->for_each_label([&](std::string_view label, std::string_view text) {
      out_.text(separator);
      std::string escaped;
      append_label(escaped, label, text, true);
      out_.text(escaped);
      separator = ",";
    });
    out_.text("} ");
    out_.number(exemplar->value);
    out_.text(" ");
    out_.end_line(exemplar->unix_seconds());
  }

  // A counter without `_total`, or without anything before it, is of type unknown, and that has no creation.
  bool has_base_name() const { return family_.name.size() > kTotal.size() && family_.name.ends_with(kTotal); }

  // `like` is the prefix of another line of the series, whose name ends in `suffix`: the labels are the same.
  void created_line(std::size_t series, std::string_view like, std::string_view suffix) {
    const std::uint64_t created_unix_ns = family_.series[series].created_unix_ns;
    if (!has_created_ || created_unix_ns == 0) return;
    const std::size_t base = family_.name.size() - (suffix == kTotal ? suffix.size() : 0);
    out_.text(like.substr(0, base));
    out_.text("_created");
    line(like.substr(base + suffix.size()), static_cast<double>(created_unix_ns) * 1e-9);
  }

  // The prefixes are those of format 0.0.4: a bound that lacks its point gets it here.
  void bucket(std::string_view before, bool with_point, std::uint64_t count, const Exemplar* exemplar) {
    if (!with_point) return line(before, count, exemplar);
    out_.text(before.substr(0, before.size() - kPrefixEnd.size()));
    out_.text(".0");
    line(kPrefixEnd, count, exemplar);
  }

  const Totals& totals_;
  bool has_negative_bound_;
  bool has_created_;
  std::vector<bool> needs_point_;
};

}  // namespace

void render_openmetrics(std::span<const FamilyPart> parts, Created created, TextOutput& out) {
  if (parts.empty() || parts.front().is_for_text_only) return;
  const CatalogFamily& first = *parts.front().family;
  std::string text;
  append_openmetrics_head(text, first.name, shm::type_name(first.type), first.unit, first.help);
  std::string_view head = text;
  for (const FamilyPart& part : parts) {
    OpenmetricsVisitor visitor(part, created, head, out);
    visit_series(*part.family, *part.totals, visitor);
    if (visitor.has_begun()) head = {};
  }
  out.flush();
}

void append_openmetrics_head(std::string& out, std::string_view name, std::string_view type, std::string_view unit,
                             std::string_view help) {
  const std::string_view suffix = type == "counter" ? "_total" : type == "info" ? "_info" : "";
  if (name.size() > suffix.size() && name.ends_with(suffix)) {
    name.remove_suffix(suffix.size());
  } else {
    type = "unknown";  // the suffix is all of the name, or is missing: no counter and no info to OpenMetrics
  }
  const auto line = [&](std::string_view word) -> std::string& { return out.append(word).append(name).append(" "); };
  line("# TYPE ").append(type == "untyped" ? "unknown" : type).append("\n");
  if (type != "info" && names_unit(name, unit)) line("# UNIT ").append(unit).append("\n");
  if (help.empty()) return;
  append_escaped_label(line("# HELP "), help);  // the same three escapes
  out += '\n';
}

bool names_unit(std::string_view name, std::string_view unit) {
  return !unit.empty() && name.size() > unit.size() && name.ends_with(unit) &&
         name[name.size() - unit.size() - 1] == '_';
}

void end_openmetrics(std::string& out) {
  out += "# EOF\n";
}

}  // namespace shmetrics::collector
