#include "collector/plain_family.hpp"

#include <ctime>
#include <limits>
#include <span>

#include "collector/visit_series.hpp"

namespace shmetrics::collector {
namespace {

std::string mode_of(const CatalogFamily& family) {
  return family.type == shm::MetricType::kGauge ? std::string(shm::mode_name(family.gauge_mode)) : std::string();
}

/// Visitor for visit_series.
class PlainVisitor {
 public:
  PlainVisitor(const FamilyPart& part, const std::function<void(PlainSeries&&)>& take)
      : family_(*part.family), totals_(*part.totals), take_(take) {}

  template <typename Number>
  void number(std::size_t series, Number value) {
    take_({labels_of(series), value, exemplars_of(series)});
  }
  void of_worker(std::size_t series, std::uint32_t worker, double value) {
    PlainSeries plain{labels_of(series), value, {}};
    plain.labels.emplace_back("worker", std::to_string(worker));
    take_(std::move(plain));
  }
  void observed(std::size_t series, std::span<const std::uint64_t> buckets, double sum) {
    take_({labels_of(series), distribution_of(buckets, sum), exemplars_of(series)});
  }
  void native(std::size_t series, std::span<const std::uint64_t> buckets, std::span<const std::uint64_t> cells,
              double sum) {
    Distribution distribution = distribution_of(buckets, sum);
    distribution.native = native_of(cells);
    take_({labels_of(series), std::move(distribution), exemplars_of(series)});
  }

 private:
  Distribution distribution_of(std::span<const std::uint64_t> buckets, double sum) const {
    Distribution distribution;
    distribution.sum = sum;
    for (std::size_t i = 0; i < buckets.size(); ++i) {
      distribution.count = accumulate(distribution.count, buckets[i]);
      if (family_.type != shm::MetricType::kHistogram) continue;
      const double bound = i < family_.bounds.size() ? family_.bounds[i] : std::numeric_limits<double>::infinity();
      distribution.buckets.emplace_back(bound, distribution.count);
    }
    return distribution;
  }
  NativeDistribution native_of(std::span<const std::uint64_t> cells) const {
    const NativeView& view = *family_.native;
    NativeDistribution native;
    native.schema = view.schema;
    native.zero_threshold = view.zero_threshold();
    native.zero_count = cells.front();
    for (std::uint32_t i = 1; i < cells.size(); ++i) {
      if (cells[i] == 0) continue;
      const bool is_open = i + 1 == cells.size();
      native.buckets.push_back(
          {shm::native_border(view.schema, view.key(i) - 1),
           is_open ? std::numeric_limits<double>::infinity() : shm::native_border(view.schema, view.key(i)), cells[i]});
    }
    return native;
  }
  std::vector<std::pair<std::string, std::string>> labels_of(std::size_t series) const {
    std::vector<std::pair<std::string, std::string>> labels;
    family_.for_each_label(family_.series[series], [&labels](std::string_view label, std::string_view value) {
      labels.emplace_back(label, value);
    });
    return labels;
  }

  std::vector<PlainExemplar> exemplars_of(std::size_t series) const {
    std::vector<PlainExemplar> exemplars;
    for (std::uint32_t i = 0; i < family_.exemplars_per_series(); ++i) {
      const Exemplar* found = find_exemplar(family_, totals_, series, i);
      if (found == nullptr) continue;
      PlainExemplar& plain = exemplars.emplace_back();
      plain.value = found->value;
      plain.unix_seconds = found->unix_seconds();
      found->for_each_label([&](auto label, auto value) { plain.labels.emplace_back(label, value); });
    }
    return exemplars;
  }

  const CatalogFamily& family_;
  const Totals& totals_;
  const std::function<void(PlainSeries&&)>& take_;
};

}  // namespace

std::vector<PlainFamily> plain_families(const ScrapedSegment& segment, const Wanted& wanted) {
  std::vector<PlainFamily> families;
  FamilyGroups(segment).for_each(wanted, [&](std::span<const FamilyPart> parts) {
    auto& series = families.emplace_back(plain_head(*parts.front().family)).series;
    for_each_series(parts.front(), [&](PlainSeries&& each) { series.push_back(std::move(each)); });
  });
  return families;
}

PlainFamily plain_head(const CatalogFamily& family) {
  PlainFamily plain;
  plain.name = family.name;
  plain.type = shm::type_name(family.type);
  plain.help = family.help;
  plain.unit = family.unit;
  plain.mode = mode_of(family);
  if (!family.segment.empty()) plain.labels.emplace_back(kSegmentLabel);
  plain.labels.insert(plain.labels.end(), family.labels.begin(), family.labels.end());
  for (const CatalogFamily* generation : family.generations) {
    const bool is_unsigned = generation->cell_kind == shm::CellKind::kUnsigned;
    plain.generations.push_back({generation->entry, generation->labels, generation->bounds, mode_of(*generation),
                                 is_unsigned ? "unsigned" : "double", generation->label_sets()});
  }
  return plain;
}

void for_each_series(const FamilyPart& part, const std::function<void(PlainSeries&&)>& take) {
  visit_series(*part.family, *part.totals, PlainVisitor(part, take));
}

std::string time_text(std::uint64_t unix_seconds) {
  const auto seconds = static_cast<std::time_t>(unix_seconds);
  std::tm utc{};
  char text[64];
  if (gmtime_r(&seconds, &utc) == nullptr) return {};
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc)};
}

}  // namespace shmetrics::collector
