#include "collector/protobuf.hpp"

#include <algorithm>
#include <iterator>
#include <limits>

#include "collector/metric_messages.hpp"
#include "collector/openmetrics.hpp"
#include "collector/visit_series.hpp"

namespace shmetrics::collector {
namespace {

constexpr std::ptrdiff_t kMostFamilyBytes = std::numeric_limits<std::int32_t>::max() / 2;  // a message holds twice that

// Prometheus takes the count of a native bucket for a signed number, and refuses a whole scrape for one below 0.
constexpr std::uint64_t kMostNativeCount = std::numeric_limits<std::int64_t>::max();

struct Kind {
  std::string_view type;
  FamilyType number;
  MetricField field;
};
constexpr Kind kKinds[] = {{"counter", FamilyType::kCounter, MetricField::kCounter},
                           {"gauge", FamilyType::kGauge, MetricField::kGauge},
                           {"info", FamilyType::kGauge, MetricField::kGauge},
                           {"summary", FamilyType::kSummary, MetricField::kSummary},
                           {"histogram", FamilyType::kHistogram, MetricField::kHistogram}};

const Kind& kind_of(std::string_view type) {
  return *std::find_if(std::begin(kKinds), std::end(kKinds) - 1, [=](const Kind& kind) { return kind.type == type; });
}

KeptFields fields_of(const CatalogFamily& family) {
  constexpr std::size_t kAroundLabel = 10, kTimestamp = 17;  // at most
  KeptFields kept;
  kept.ends.reserve(2 * family.series.size());
  std::size_t each =
      kTimestamp + (family.segment.empty() ? 0 : kAroundLabel + kSegmentLabel.size()) + family.segment.size();
  for (const std::string& label : family.labels) each += kAroundLabel + label.size();
  kept.bytes.reserve(family.keys.size() + each * family.series.size());  // only what is written takes memory
  for (const CatalogSeries& series : family.series) {
    family.for_each_label(series, [&kept](std::string_view label, std::string_view value) {
      append_label_pair(kept.bytes, label, value);
    });
    kept.end_part();
    if (series.created_unix_ns != 0) append_timestamp(kept.bytes, series.created_unix_ns);
    kept.end_part();
    kept.latest_start_unix_ns = std::max(kept.latest_start_unix_ns, series.created_unix_ns);
  }
  return kept;
}

std::string length_of(std::size_t message_bytes) {
  char length[protozero::max_varint_length];
  return {length, static_cast<std::size_t>(protozero::add_varint_to_buffer(length, message_bytes))};
}

/// What comes before the first series.
std::string head_of(std::string_view name, std::string_view help, std::string_view type, std::string_view unit) {
  std::string head;
  Message<FamilyField> family(head);
  family.add_string(FamilyField::kName, name.data(), name.size());
  if (!help.empty()) family.add_string(FamilyField::kHelp, help.data(), help.size());
  family.add_enum(FamilyField::kType, static_cast<std::int32_t>(kind_of(type).number));
  if (type == "counter" && name.ends_with("_total")) name.remove_suffix(std::string_view("_total").size());
  if (names_unit(name, unit)) family.add_string(FamilyField::kUnit, unit.data(), unit.size());
  return head;
}

/// One series, of parts that are encoded: fields `label`, and the message that holds its value.
template <typename Put>
void put_metric(std::string_view labels, MetricField field, std::string_view value, Put put) {
  char fronts[2 * kMostFrontBytes];
  char* const inner = write_front(fronts, FamilyField::kMetric, labels.size() + field_bytes(value.size()));
  char* const end = write_front(inner, field, value.size());
  put({fronts, static_cast<std::size_t>(inner - fronts)});
  put(labels);
  put({inner, static_cast<std::size_t>(end - inner)});
  put(value);
}

/// One message that is being written.
struct MessageOutput {
  TextOutput& out;
  const CatalogFamily& first;
  std::uint64_t now_unix_ns;
  std::ptrdiff_t room;  // bytes that it may have before series are left out
  std::size_t begin = out.size();

  std::size_t size() const { return out.size() - begin; }
};

/// Visitor for visit_series.
class ProtobufVisitor {
 public:
  ProtobufVisitor(const FamilyPart& part, MessageOutput& message)
      : family_(*part.family), totals_(*part.totals), kept_(part.family->kept_fields), message_(message) {
    message.out.begin_part(part.segment);
    if (kept_.ends.empty()) family_.kept_fields = fields_of(family_);  // whole, or not at all
  }

  template <typename Number>
  void number(std::size_t series, Number value) {
    if (!begin()) return;
    if (family_.type != shm::MetricType::kCounter) return gauge(labels(series), static_cast<double>(value));
    SmallMessage message;
    auto counter = message.of<CounterField>();
    counter.add_double(CounterField::kValue, static_cast<double>(value));
    add_exemplar(counter, CounterField::kExemplar, find_exemplar(family_, totals_, series, 0));
    add_start(counter, CounterField::kStart, series);
    metric(labels(series), MetricField::kCounter, message.bytes());
  }

  void of_worker(std::size_t series, std::uint32_t worker, double value) {
    if (!begin()) return;
    char digits[kNumberBytes];
    const char* end = write_number(digits, std::uint64_t{worker});
    labels_ = labels(series);
    append_label_pair(labels_, "worker", {digits, static_cast<std::size_t>(end - digits)});
    gauge(labels_, value);
  }

  void observed(std::size_t series, std::span<const std::uint64_t> buckets, double sum) {
    if (!begin()) return;
    if (family_.type == shm::MetricType::kHistogram) return histogram(series, buckets, {}, sum);
    SmallMessage message;
    auto summary = message.of<SummaryField>();
    summary.add_uint64(SummaryField::kCount, buckets.front());
    summary.add_double(SummaryField::kSum, sum);
    add_start(summary, SummaryField::kStart, series);
    metric(labels(series), MetricField::kSummary, message.bytes());
  }

  void native(std::size_t series, std::span<const std::uint64_t> buckets, std::span<const std::uint64_t> cells,
              double sum) {
    if (begin()) histogram(series, buckets, cells, sum);
  }

 private:
  void gauge(std::string_view labels, double value) {
    SmallMessage message;
    message.of<GaugeField>().add_double(GaugeField::kValue, value);
    metric(labels, MetricField::kGauge, message.bytes());
  }

  // Without `cells`, it has no native form. With them the classic buckets are for servers that take no native ones.
  void histogram(std::size_t series, std::span<const std::uint64_t> buckets, std::span<const std::uint64_t> cells,
                 double sum) {
    value_.clear();
    Message<HistogramField> histogram(value_);
    std::uint64_t total = 0;
    for (const std::uint64_t bucket : buckets) total = accumulate(total, bucket);
    if (total > kMostNativeCount) cells = {};
    histogram.add_uint64(HistogramField::kCount, total);
    histogram.add_double(HistogramField::kSum, sum);
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < buckets.size(); ++i) {
      count = accumulate(count, buckets[i]);
      SmallMessage message;
      auto bucket = message.of<BucketField>();
      bucket.add_uint64(BucketField::kCount, count);
      bucket.add_double(BucketField::kBound, bound(i));
      add_exemplar(bucket, BucketField::kExemplar, find_exemplar(family_, totals_, series, i));
      histogram.add_message(HistogramField::kBucket, message.bytes().data(), message.bytes().size());
    }
    if (!cells.empty()) add_native(histogram, cells);
    // A server that takes the native buckets takes these.
    for (std::size_t i = 0; !cells.empty() && i < buckets.size(); ++i) {
      add_exemplar(histogram, HistogramField::kExemplar, find_exemplar(family_, totals_, series, i));
    }
    add_start(histogram, HistogramField::kStart, series);
    metric(labels(series), MetricField::kHistogram, value_);
  }

  // Prometheus 2.42 knows an empty native histogram by its zero threshold alone, which is above 0.
  void add_native(Message<HistogramField>& histogram, std::span<const std::uint64_t> cells) {
    const NativeView& view = *family_.native;
    histogram.add_sint32(HistogramField::kSchema, view.schema);
    histogram.add_double(HistogramField::kZeroThreshold, view.zero_threshold());
    histogram.add_uint64(HistogramField::kZeroCount, cells.front());
    const NativeSpans native = native_spans(view, cells);
    for (const NativeSpans::Span& span : native.spans) {
      SmallMessage message;
      auto fields = message.of<SpanField>();
      fields.add_sint32(SpanField::kOffset, span.offset);
      fields.add_uint32(SpanField::kLength, span.length);
      histogram.add_message(HistogramField::kPositiveSpan, message.bytes().data(), message.bytes().size());
    }
    histogram.add_packed_sint64(HistogramField::kPositiveDelta, native.deltas.begin(), native.deltas.end());
  }

  double bound(std::size_t bucket) const {
    return bucket < family_.bounds.size() ? family_.bounds[bucket] : std::numeric_limits<double>::infinity();
  }

  // Whole series are left out, never parts.
  bool begin() {
    if (static_cast<std::ptrdiff_t>(message_.size()) > message_.room || message_.out.room() < 0) {
      message_.out.leave_out();
      return false;
    }
    if (message_.size() == 0) {
      const CatalogFamily& first = message_.first;
      message_.out.text(head_of(first.name, first.help, shm::type_name(first.type), first.unit));
    }
    return true;
  }

  void metric(std::string_view labels, MetricField field, std::string_view value) {
    put_metric(labels, field, value, [this](std::string_view part) { message_.out.text(part); });
  }

  template <typename Builder, typename Field>
  void add_exemplar(Builder& message, Field field, const Exemplar* exemplar) {
    if (exemplar == nullptr) return;
    exemplar_.clear();
    time_.clear();
    static_assert(static_cast<int>(ExemplarField::kLabel) == static_cast<int>(MetricField::kLabel));
    exemplar->for_each_label(
        [this](std::string_view label, std::string_view value) { append_label_pair(exemplar_, label, value); });
    Message<ExemplarField> fields(exemplar_);
    fields.add_double(ExemplarField::kValue, exemplar->value);
    append_timestamp(time_, exemplar->unix_ns);
    fields.add_message(ExemplarField::kTime, time_);
    message.add_message(field, exemplar_.data(), exemplar_.size());
  }

  template <typename Builder, typename Field>
  void add_start(Builder& message, Field field, std::size_t series) {
    std::string_view start = kept_.part(2 * series + 1);
    if (start.empty()) return;
    if (kept_.latest_start_unix_ns > message_.now_unix_ns &&
        family_.series[series].created_unix_ns > message_.now_unix_ns) {
      start_.clear();
      append_timestamp(start_, message_.now_unix_ns);
      start = start_;
    }
    message.add_message(field, start.data(), start.size());
  }

  std::string_view labels(std::size_t series) const { return kept_.part(2 * series); }

  const CatalogFamily& family_;
  const Totals& totals_;
  const KeptFields& kept_;
  MessageOutput& message_;
  std::string labels_, value_, start_, exemplar_, time_;
};

}  // namespace

ProtobufFamily::ProtobufFamily(std::string_view name, std::string_view help, std::string_view type,
                               std::string_view unit)
    : message_(head_of(name, help, type, unit)), field_(kind_of(type).field) {}

void ProtobufFamily::number(Labels labels, double value) {
  std::string encoded;
  for (const auto& [label, text] : labels) append_label_pair(encoded, label, text);
  static_assert(static_cast<int>(CounterField::kValue) == static_cast<int>(GaugeField::kValue));
  SmallMessage message;
  message.of<GaugeField>().add_double(GaugeField::kValue, value);
  put_metric(encoded, field_, message.bytes(), [this](std::string_view part) { message_.append(part); });
}

void ProtobufFamily::append_to(std::string& out) const {
  out.append(length_of(message_.size())).append(message_);
}

void render_protobuf(std::span<const FamilyPart> parts, std::chrono::system_clock::time_point now, TextOutput& out) {
  if (parts.empty()) return;
  const auto now_unix_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count();
  const std::ptrdiff_t room = out.is_shared() ? kMostFamilyBytes : std::min(out.room(), kMostFamilyBytes);
  const auto write_to = [&](TextOutput& to) {
    MessageOutput message{to, *parts.front().family, static_cast<std::uint64_t>(now_unix_ns), room};
    for (const FamilyPart& part : parts) visit_series(*part.family, *part.totals, ProtobufVisitor(part, message));
    to.flush();
  };
  std::string kept;
  // Here and there the same room, or a message that is made twice would not have the length that it says.
  TextOutput measured(
      [&kept](std::string_view piece) {
        if (kept.size() + piece.size() <= kMostKeptBytes) kept.append(piece);
      },
      TextOutput::kUnlimited);
  if (out.is_shared()) measured.share_out(out.shares());
  kept.reserve(kMostKeptBytes);  // only what is written takes memory
  write_to(measured);
  if (measured.size() == kept.size()) {
    if (!kept.empty()) out.uncounted(length_of(kept.size()));
    out.text(kept);
    for (std::size_t i = 0; i < measured.left_out().size(); ++i) {
      out.begin_part(i);
      out.leave_out(measured.left_out()[i]);
    }
    if (out.is_shared()) out.share_out(measured.shares());
    out.flush();
  } else {
    kept = {};
    out.uncounted(length_of(measured.size()));
    write_to(out);
  }
}

}  // namespace shmetrics::collector
