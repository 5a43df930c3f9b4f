#include "tools/diff.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "collector/plain_family.hpp"
#include "collector/scraper.hpp"
#include "collector/text_format.hpp"
#include "tools/exit_code.hpp"
#include "tools/printable.hpp"

namespace shmetrics::tools {
namespace {

constexpr std::string_view kAbsent = "-";

using Sample = std::pair<std::string_view, std::string_view>;  // name{labels}, value
using Families = std::map<std::string_view, std::vector<Sample>>;

// The text is our own renderer's: a value holds no blank, and line feeds within labels are escaped.
Families parse(std::string_view text) {
  constexpr std::string_view kType = "# TYPE ";
  Families families;
  std::vector<Sample>* samples = nullptr;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(line.size() + 1);
    if (line.starts_with(kType)) {
      const std::string_view rest = line.substr(kType.size());
      samples = &families[rest.substr(0, rest.find(' '))];
    } else if (!line.starts_with('#') && samples != nullptr) {
      const std::size_t blank = line.rfind(' ');
      samples->emplace_back(line.substr(0, blank), line.substr(blank + 1));
    }
  }
  return families;
}

template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  if (text.starts_with('+')) text.remove_prefix(1);  // +Inf
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

bool are_equal(std::string_view a, std::string_view b) {
  if (a == b) return true;
  // -0 and 0 are equal. Two different integers may be the same double, so whole numbers are compared by their digits.
  if (parse_number<std::uint64_t>(a) && parse_number<std::uint64_t>(b)) return false;
  const auto left = parse_number<double>(a), right = parse_number<double>(b);
  return left && right && *left == *right;
}

class Comparison {
 public:
  explicit Comparison(std::string& out) : out_(out) {}

  void family(const std::vector<Sample>& a, const std::vector<Sample>& b) {
    std::unordered_map<std::string_view, std::string_view> only_b(b.begin(), b.end());
    for (const auto& [series, value] : a) {
      const auto found = only_b.find(series);
      if (found == only_b.end()) {
        add(series, value, kAbsent);
        continue;
      }
      if (!are_equal(value, found->second)) add(series, value, found->second);
      only_b.erase(found);
    }
    for (const auto& [series, value] : b) {
      if (only_b.contains(series)) add(series, kAbsent, value);
    }
  }

  bool found_any() const { return found_any_; }

 private:
  void add(std::string_view series, std::string_view a, std::string_view b) {
    found_any_ = true;
    out_.append(printable(series)).append(" ").append(a).append(" ").append(b).append(" ");
    out_.append(delta(a, b)).append("\n");
  }

  std::string& out_;
  bool found_any_ = false;
};

}  // namespace

std::string delta(std::string_view a, std::string_view b) {
  if (a == kAbsent || b == kAbsent) return std::string(kAbsent);
  const auto whole_a = parse_number<std::uint64_t>(a), whole_b = parse_number<std::uint64_t>(b);
  std::string text;
  if (whole_a && whole_b) {
    if (*whole_b < *whole_a) text += '-';
    collector::append_number(text, std::max(*whole_a, *whole_b) - std::min(*whole_a, *whole_b));
  } else {
    collector::append_number(text, parse_number<double>(b).value_or(NAN) - parse_number<double>(a).value_or(NAN));
  }
  return text;
}

// Two moments can have the same few classic buckets and other native ones.
void append_native_buckets(std::string& text, const collector::ScrapedSegment& segment) {
  for (const collector::PlainFamily& family : collector::plain_families(segment)) {
    bool has_begun = false;
    for (const collector::PlainSeries& series : family.series) {
      const auto* const distribution = std::get_if<collector::Distribution>(&series.value);
      if (distribution == nullptr || !distribution->native) continue;
      if (!has_begun) collector::append_head(text, family.name, {}, family.type);
      has_begun = true;
      collector::PlainSeries bucket = series;
      auto& [label, up_to] = bucket.labels.emplace_back("native", "");
      for (const auto& [above, end, count] : distribution->native->buckets) {
        up_to.clear();
        collector::append_number(up_to, end);
        text += series_text(family, bucket) + " " + std::to_string(count) + "\n";
      }
    }
  }
}

int diff(const std::string& path_a, const std::string& path_b, std::string& out, std::string& problem) {
  std::string text_a, text_b;
  for (const auto& [path, text] : {std::pair(&path_a, &text_a), {&path_b, &text_b}}) {
    collector::Scraper scraper(*path);
    const collector::SegmentStatus status = scraper.scrape(*text);
    if (!status.up) {
      problem = status.problem;
      return kNoAnswer;
    }
    append_native_buckets(*text, scraper.view());
  }
  const Families families_a = parse(text_a);
  Families families_b = parse(text_b);
  std::map<std::string_view, const std::vector<Sample>*> all;
  const std::vector<Sample> none;
  for (const auto& [name, samples] : families_a) all.emplace(name, &samples);
  for (const auto& [name, samples] : families_b) all.emplace(name, &none);
  Comparison comparison(out);
  for (const auto& [name, samples] : all) comparison.family(*samples, families_b[name]);
  return comparison.found_any() ? kDifferent : kFine;
}

}  // namespace shmetrics::tools
