#include "collector/protobuf.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

#include "collector/metric_messages.hpp"
#include "collector/openmetrics.hpp"
#include "collector/visit_series.hpp"

namespace shmetrics::collector {
namespace {

constexpr std::size_t kMostLengthBytes = 5;  // of a varint of 32 bits: no message is longer than 2^31 - 1
// A family of several segments may pass --web.max-response-bytes only where that is more than a message can hold.
constexpr std::size_t kMostFamilyBytes = std::numeric_limits<std::int32_t>::max() / 2;

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

/// Visitor for visit_series.
class ProtobufVisitor {
 public:
  ProtobufVisitor(const FamilyPart& part, const CatalogFamily& first, std::uint64_t now_unix_ns,
                  std::optional<ProtobufFamily>& message, std::string& out, TextRoom& room)
      : family_(*part.family),
        first_(first),
        segment_(part.segment),
        now_unix_ns_(now_unix_ns),
        message_(message),
        out_(out),
        room_(room) {}

  template <typename Number>
  void number(std::size_t series, Number value) {
    if (!begin(series)) return;
    if (family_.type != shm::MetricType::kCounter) return gauge(static_cast<double>(value));
    value_.clear();
    Message<CounterField> counter(value_);
    counter.add_double(CounterField::kValue, static_cast<double>(value));
    add_start(counter, CounterField::kStart, series);
    message_->metric(labels_, MetricField::kCounter, value_);
  }

  void of_worker(std::size_t series, std::uint32_t worker, double value) {
    if (!begin(series)) return;
    char digits[kNumberBytes];
    const char* end = write_number(digits, std::uint64_t{worker});
    append_label_pair(labels_, "worker", {digits, static_cast<std::size_t>(end - digits)});
    gauge(value);
  }

  void observed(std::size_t series, std::span<const std::uint64_t> buckets, double sum) {
    if (!begin(series)) return;
    if (family_.type == shm::MetricType::kHistogram) return histogram(series, buckets, {}, sum);
    value_.clear();
    Message<SummaryField> summary(value_);
    summary.add_uint64(SummaryField::kCount, buckets.front());
    summary.add_double(SummaryField::kSum, sum);
    add_start(summary, SummaryField::kStart, series);
    message_->metric(labels_, MetricField::kSummary, value_);
  }

  void native(std::size_t series, std::span<const std::uint64_t> buckets, std::span<const std::uint64_t> cells,
              double sum) {
    if (begin(series)) histogram(series, buckets, cells, sum);
  }

 private:
  void gauge(double value) {
    value_.clear();
    Message<GaugeField>(value_).add_double(GaugeField::kValue, value);
    message_->metric(labels_, MetricField::kGauge, value_);
  }

  // Without `cells`, it has no native form. With them the classic buckets are for servers that take no native ones.
  void histogram(std::size_t series, std::span<const std::uint64_t> buckets, std::span<const std::uint64_t> cells,
                 double sum) {
    value_.clear();
    Message<HistogramField> histogram(value_);
    std::uint64_t total = 0;
    for (const std::uint64_t bucket : buckets) total = accumulate(total, bucket);
    histogram.add_uint64(HistogramField::kCount, total);
    histogram.add_double(HistogramField::kSum, sum);
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < buckets.size(); ++i) {
      count = accumulate(count, buckets[i]);
      part_.clear();
      Message<BucketField> bucket(part_);
      bucket.add_uint64(BucketField::kCount, count);
      bucket.add_double(BucketField::kBound, bound(i));
      histogram.add_message(HistogramField::kBucket, part_);
    }
    if (!cells.empty()) add_native(histogram, cells);
    add_start(histogram, HistogramField::kStart, series);
    message_->metric(labels_, MetricField::kHistogram, value_);
  }

  // Prometheus 2.42 knows an empty native histogram by its zero threshold alone, which is above 0.
  void add_native(Message<HistogramField>& histogram, std::span<const std::uint64_t> cells) {
    const NativeView& view = *family_.native;
    histogram.add_sint32(HistogramField::kSchema, view.schema);
    histogram.add_double(HistogramField::kZeroThreshold, view.zero_threshold());
    histogram.add_uint64(HistogramField::kZeroCount, cells.front());
    const NativeSpans native = native_spans(view, cells);
    for (const NativeSpans::Span& span : native.spans) {
      part_.clear();
      Message<SpanField> message(part_);
      message.add_sint32(SpanField::kOffset, span.offset);
      message.add_uint32(SpanField::kLength, span.length);
      histogram.add_message(HistogramField::kPositiveSpan, part_);
    }
    histogram.add_packed_sint64(HistogramField::kPositiveDelta, native.deltas.begin(), native.deltas.end());
  }

  double bound(std::size_t bucket) const {
    return bucket < family_.bounds.size() ? family_.bounds[bucket] : std::numeric_limits<double>::infinity();
  }

  // Makes room and the labels. Whole series are left out, never parts.
  bool begin(std::size_t series) {
    const std::size_t most =
        message_ ? std::min(room_.max_bytes, message_->begin() + kMostFamilyBytes) : room_.max_bytes;
    if (!room_.takes(out_.size(), most, segment_)) return false;
    if (!message_) message_.emplace(out_, first_.name, first_.help, shm::type_name(first_.type), first_.unit);
    labels_.clear();
    family_.for_each_label(family_.series[series], [this](std::string_view label, std::string_view value) {
      append_label_pair(labels_, label, value);
    });
    return true;
  }

  template <typename Field>
  void add_start(Message<Field>& message, Field field, std::size_t series) {
    const std::uint64_t created_unix_ns = family_.series[series].created_unix_ns;
    if (created_unix_ns == 0) return;
    set_timestamp(part_, std::min(created_unix_ns, now_unix_ns_));
    message.add_message(field, part_);
  }

  const CatalogFamily& family_;
  const CatalogFamily& first_;
  std::size_t segment_;
  std::uint64_t now_unix_ns_;
  std::optional<ProtobufFamily>& message_;
  std::string& out_;
  TextRoom& room_;
  std::string labels_, value_, part_;
};

}  // namespace

ProtobufFamily::ProtobufFamily(std::string& out, std::string_view name, std::string_view help, std::string_view type,
                               std::string_view unit)
    : out_(out), begin_(out.size()), field_(kind_of(type).field) {
  out_.append(kMostLengthBytes, '\0');
  Message<FamilyField> family(out_);
  family.add_string(FamilyField::kName, name.data(), name.size());
  if (!help.empty()) family.add_string(FamilyField::kHelp, help.data(), help.size());
  family.add_enum(FamilyField::kType, static_cast<std::int32_t>(kind_of(type).number));
  if (type == "counter" && name.ends_with("_total")) name.remove_suffix(std::string_view("_total").size());
  if (names_unit(name, unit)) family.add_string(FamilyField::kUnit, unit.data(), unit.size());
}

ProtobufFamily::~ProtobufFamily() {
  char length[kMostLengthBytes];
  const int bytes = protozero::add_varint_to_buffer(length, out_.size() - begin_ - kMostLengthBytes);
  out_.replace(begin_, kMostLengthBytes, length, static_cast<std::size_t>(bytes));
}

void ProtobufFamily::number(Labels labels, double value) {
  std::string encoded, message;
  for (const auto& [label, text] : labels) append_label_pair(encoded, label, text);
  static_assert(static_cast<int>(CounterField::kValue) == static_cast<int>(GaugeField::kValue));
  Message<GaugeField>(message).add_double(GaugeField::kValue, value);
  metric(encoded, field_, message);
}

void ProtobufFamily::metric(std::string_view labels, MetricField field, std::string_view value) {
  protozero::pbf_writer family(out_);
  protozero::pbf_writer metric(family, static_cast<protozero::pbf_tag_type>(FamilyField::kMetric),
                               labels.size() + field_bytes(value.size()));
  out_.append(labels);  // fields already
  metric.add_message(static_cast<protozero::pbf_tag_type>(field), value.data(), value.size());
}

void render_protobuf(std::span<const FamilyPart> parts, std::chrono::system_clock::time_point now, std::string& out,
                     TextRoom& room) {
  const auto now_unix_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count();
  std::optional<ProtobufFamily> message;
  for (const FamilyPart& part : parts) {
    visit_series(
        *part.family, *part.totals,
        ProtobufVisitor(part, *parts.front().family, static_cast<std::uint64_t>(now_unix_ns), message, out, room));
  }
}

}  // namespace shmetrics::collector
