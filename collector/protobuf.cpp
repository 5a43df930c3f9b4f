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

// Prometheus takes the count of a native bucket for a signed number, and refuses a whole scrape for one below 0.
constexpr std::uint64_t kMostNativeCount = std::numeric_limits<std::int64_t>::max();

constexpr std::size_t kUsualValueBytes = 32;  // of a counter, with what is around it

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
  KeptFields kept;
  kept.ends.reserve(2 * family.series.size());
  const auto end = [&kept] { kept.ends.push_back(static_cast<std::uint32_t>(kept.bytes.size())); };
  for (const CatalogSeries& series : family.series) {
    family.for_each_label(series, [&kept](std::string_view label, std::string_view value) {
      append_label_pair(kept.bytes, label, value);
    });
    end();
    if (series.created_unix_ns != 0) append_timestamp(kept.bytes, series.created_unix_ns);
    end();
    kept.latest_start_unix_ns = std::max(kept.latest_start_unix_ns, series.created_unix_ns);
  }
  kept.bytes.shrink_to_fit();
  return kept;
}

/// Visitor for visit_series.
class ProtobufVisitor {
 public:
  ProtobufVisitor(const FamilyPart& part, const CatalogFamily& first, std::uint64_t now_unix_ns,
                  std::optional<ProtobufFamily>& message, std::string& out, TextRoom& room)
      : family_(*part.family),
        totals_(*part.totals),
        kept_(part.family->kept_fields),
        first_(first),
        segment_(part.segment),
        now_unix_ns_(now_unix_ns),
        message_(message),
        out_(out),
        room_(room) {
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
    message_->metric(labels(series), MetricField::kCounter, message.bytes());
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
    message_->metric(labels(series), MetricField::kSummary, message.bytes());
  }

  void native(std::size_t series, std::span<const std::uint64_t> buckets, std::span<const std::uint64_t> cells,
              double sum) {
    if (begin()) histogram(series, buckets, cells, sum);
  }

 private:
  void gauge(std::string_view labels, double value) {
    SmallMessage message;
    message.of<GaugeField>().add_double(GaugeField::kValue, value);
    message_->metric(labels, MetricField::kGauge, message.bytes());
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
    message_->metric(labels(series), MetricField::kHistogram, value_);
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
    const std::size_t most =
        message_ ? std::min(room_.max_bytes, message_->begin() + kMostFamilyBytes) : room_.max_bytes;
    if (!room_.takes(message_ ? message_->end() : out_.size(), most, segment_)) return false;
    if (!message_) {
      message_.emplace(out_, first_.name, first_.help, shm::type_name(first_.type), first_.unit,
                       kept_.bytes.size() + family_.series.size() * kUsualValueBytes);
    }
    return true;
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
    std::string_view start = kept(2 * series + 1);
    if (start.empty()) return;
    if (kept_.latest_start_unix_ns > now_unix_ns_ && family_.series[series].created_unix_ns > now_unix_ns_) {
      start_.clear();
      append_timestamp(start_, now_unix_ns_);
      start = start_;
    }
    message.add_message(field, start.data(), start.size());
  }

  std::string_view labels(std::size_t series) const { return kept(2 * series); }
  std::string_view kept(std::size_t part) const {
    const std::uint32_t from = part == 0 ? 0 : kept_.ends[part - 1];
    return std::string_view(kept_.bytes).substr(from, kept_.ends[part] - from);
  }

  const CatalogFamily& family_;
  const Totals& totals_;
  const KeptFields& kept_;
  const CatalogFamily& first_;
  std::size_t segment_;
  std::uint64_t now_unix_ns_;
  std::optional<ProtobufFamily>& message_;
  std::string& out_;
  TextRoom& room_;
  std::string labels_, value_, start_, exemplar_, time_;
};

}  // namespace

ProtobufFamily::ProtobufFamily(std::string& out, std::string_view name, std::string_view help, std::string_view type,
                               std::string_view unit, std::size_t expected_bytes)
    : out_(out),
      begin_(out.size()),
      length_bytes_(static_cast<std::size_t>(protozero::length_of_varint(expected_bytes))),
      field_(kind_of(type).field),
      buffer_(out) {
  out_.append(length_bytes_, '\0');
  Message<FamilyField> family(out_);
  family.add_string(FamilyField::kName, name.data(), name.size());
  if (!help.empty()) family.add_string(FamilyField::kHelp, help.data(), help.size());
  family.add_enum(FamilyField::kType, static_cast<std::int32_t>(kind_of(type).number));
  if (type == "counter" && name.ends_with("_total")) name.remove_suffix(std::string_view("_total").size());
  if (names_unit(name, unit)) family.add_string(FamilyField::kUnit, unit.data(), unit.size());
}

void ProtobufFamily::close() {
  buffer_.flush();
  char length[kMostLengthBytes];
  const int bytes = protozero::add_varint_to_buffer(length, out_.size() - begin_ - length_bytes_);
  // Moves all that is behind it, unless it has as many bytes as were kept free.
  out_.replace(begin_, length_bytes_, length, static_cast<std::size_t>(bytes));
}

void ProtobufFamily::number(Labels labels, double value) {
  std::string encoded;
  for (const auto& [label, text] : labels) append_label_pair(encoded, label, text);
  static_assert(static_cast<int>(CounterField::kValue) == static_cast<int>(GaugeField::kValue));
  SmallMessage message;
  message.of<GaugeField>().add_double(GaugeField::kValue, value);
  metric(encoded, field_, message.bytes());
}

void ProtobufFamily::metric(std::string_view labels, MetricField field, std::string_view value) {
  char fronts[2 * kMostFrontBytes];
  char* const inner = write_front(fronts, FamilyField::kMetric, labels.size() + field_bytes(value.size()));
  char* const end = write_front(inner, field, value.size());
  buffer_.text({fronts, static_cast<std::size_t>(inner - fronts)});
  buffer_.text(labels);
  buffer_.text({inner, static_cast<std::size_t>(end - inner)});
  buffer_.text(value);
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
  if (message) message->close();
}

}  // namespace shmetrics::collector
