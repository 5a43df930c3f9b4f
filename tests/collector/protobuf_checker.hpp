// A strict judge of protobuf scrapes that is as quick as a fuzzer wants it: what it reads, as text 0.0.4. It reads by
// protozero, as nothing of the product does.
#pragma once

#include <limits>
#include <protozero/pbf_reader.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "collector/text_format.hpp"

namespace shmetrics::tests {

class ProtobufChecker {
 public:
  /// The families as text. Throws std::exception with what is wrong: a field that is not known, is
  /// missing, twice or out of order; buckets that do not grow to the count; a start later than `now_seconds`.
  static std::string text_of(std::string_view scrape, std::int64_t now_seconds) {
    ProtobufChecker checker(now_seconds);
    const char* at = scrape.data();
    const char* const end = at + scrape.size();
    while (at != end) {
      const std::uint64_t length = protozero::decode_varint(&at, end);
      demand(length <= static_cast<std::uint64_t>(end - at), "a family is longer than what is there");
      checker.family({at, length});
      at += length;
    }
    return std::move(checker.text_);
  }

 private:
  using Reader = protozero::pbf_reader;
  explicit ProtobufChecker(std::int64_t now_seconds) : now_seconds_(now_seconds) {}

  static void demand(bool holds, const char* what) {
    if (!holds) throw std::runtime_error(what);
  }
  static std::string_view view(const protozero::data_view& bytes) { return {bytes.data(), bytes.size()}; }
  /// The next field, which has to be this one.
  static bool is(Reader& message, std::uint32_t field) { return message.next() && message.tag() == field; }
  static void ends(Reader& message) { demand(!message.next(), "a field that nobody knows"); }

  void family(protozero::data_view bytes) {
    static constexpr std::pair<const char*, std::uint32_t> kTypes[] = {
        {"counter", 3}, {"gauge", 2}, {"summary", 4}, {"untyped", 0}, {"histogram", 7}};
    Reader message(bytes);
    demand(is(message, 1), "no name");
    name_ = std::string(view(message.get_view()));
    demand(message.next(), "no type");
    std::string help;
    if (message.tag() == 2) {
      help = std::string(view(message.get_view()));
      demand(message.next(), "no type");
    }
    demand(message.tag() == 3, "no type");
    const std::int32_t type = message.get_enum();
    demand(type >= 0 && type <= 4 && type != 3, "no such type");
    collector::append_head(text_, name_, help, kTypes[type].first);
    demand(message.next(), "no series");
    if (message.tag() == 5) {
      demand(name_.find(view(message.get_view())) != name_.npos, "a unit that the name does not have");
      demand(message.next(), "no series");
    }
    do {
      demand(message.tag() == 4, "not a series");
      metric(message.get_message(), kTypes[type].second);
    } while (message.next());
  }

  void metric(Reader message, std::uint32_t kind) {
    labels_.clear();
    demand(message.next(), "no value");
    for (; message.tag() == 1; demand(message.next(), "no value")) {
      const auto [name, value] = label(message);
      if (!labels_.empty()) labels_ += ',';
      collector::append_label(labels_, name, value, true);
    }
    demand(message.tag() == kind, "a value of another kind");
    Reader value = message.get_message();
    ends(message);
    if (kind == 7) return histogram(value);
    if (kind == 4) return summary(value);
    demand(is(value, 1), "no number");
    line("", "", value.get_double());
    bool has_more = value.next();
    if (has_more && kind == 3 && value.tag() == 2) has_more = exemplar(value);
    if (has_more) start(value, kind == 3 ? 3 : 0);
  }

  /// One that the message is at. Whether a field follows.
  static bool exemplar(Reader& message) {
    Reader fields = message.get_message();
    bool has_more = fields.next();
    for (; has_more && fields.tag() == 1; has_more = fields.next()) label(fields);
    demand(has_more && fields.tag() == 2, "an exemplar without a value");
    fields.skip();
    demand(is(fields, 3), "an exemplar without a time");
    time(fields);
    ends(fields);
    return message.next();
  }

  static std::pair<std::string_view, std::string_view> label(Reader& message) {
    Reader pair = message.get_message();
    demand(is(pair, 1), "no label name");
    const std::string_view name = view(pair.get_view());
    demand(is(pair, 2), "no label value");
    const std::string_view value = view(pair.get_view());
    ends(pair);
    return {name, value};
  }

  void summary(Reader value) {
    demand(is(value, 1), "no count");
    const std::uint64_t count = value.get_uint64();
    demand(is(value, 2), "no sum");
    line("_sum", "", value.get_double());
    line("_count", "", count);
    starts(value, 4);
  }

  void histogram(Reader value) {
    demand(is(value, 1), "no count");
    const std::uint64_t count = value.get_uint64();
    demand(is(value, 2), "no sum");
    const double sum = value.get_double();
    std::uint64_t below = 0;
    double last = -std::numeric_limits<double>::infinity();
    bool has_more = value.next();
    for (; has_more && value.tag() == 3; has_more = value.next()) {
      Reader bucket = value.get_message();
      demand(is(bucket, 1), "no count of a bucket");
      const std::uint64_t up_to = bucket.get_uint64();
      demand(is(bucket, 2), "no bound");
      const double bound = bucket.get_double();
      demand(up_to >= below && bound > last, "a bucket below the one before");
      below = up_to;
      last = bound;
      std::string text = "+Inf";
      if (bound != std::numeric_limits<double>::infinity()) collector::append_bound(text = "", bound);
      line("_bucket", text, up_to);
      if (bucket.next()) demand(bucket.tag() == 3 && !exemplar(bucket), "not an exemplar of a bucket");
    }
    demand(last == std::numeric_limits<double>::infinity() && below == count, "the last bucket holds not all");
    line("_sum", "", sum);
    line("_count", "", count);
    if (has_more && value.tag() == 5) has_more = native(value, count);
    while (has_more && value.tag() == 16) has_more = exemplar(value);
    if (has_more) start(value, 15);
  }

  /// From the schema on. Whether a field follows.
  static bool native(Reader& value, std::uint64_t count) {
    const std::int32_t schema = value.get_sint32();
    demand(schema >= -4 && schema <= 8, "no such schema");
    demand(is(value, 6) && value.get_double() > 0, "a zero threshold that a server takes for none");
    demand(is(value, 7), "no zero count");
    constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();  // Prometheus reads all as signed
    std::uint64_t sum = value.get_uint64(), buckets = 0;
    demand(sum <= kMost, "a zero bucket below 0");
    bool has_more = value.next();
    for (bool is_first = true; has_more && value.tag() == 12; has_more = value.next(), is_first = false) {
      Reader span = value.get_message();
      demand(is(span, 1), "no offset");
      demand(span.get_sint32() > 0 || is_first, "spans that are one");
      demand(is(span, 2), "no length");
      buckets += span.get_uint32();
      ends(span);
    }
    if (has_more && value.tag() == 13) {
      std::uint64_t bucket = 0;
      for (const std::int64_t delta : value.get_packed_sint64()) {
        demand(buckets-- > 0, "a bucket without a span");
        bucket += static_cast<std::uint64_t>(delta);
        demand(bucket <= kMost, "a bucket below 0");
        demand(bucket <= kMost - sum, "more than a server can count");
        sum += bucket;
      }
      has_more = value.next();
    }
    demand(buckets == 0, "a span without a bucket");
    demand(sum == count, "the buckets hold not all");
    return has_more;
  }

  void starts(Reader& value, std::uint32_t field) const {
    if (value.next()) start(value, field);
  }
  void start(Reader& value, std::uint32_t field) const {
    demand(value.tag() == field, "not a start");
    demand(time(value) <= now_seconds_, "a start to come");
    ends(value);
  }
  static std::int64_t time(Reader& message) {
    Reader timestamp = message.get_message();
    demand(is(timestamp, 1), "no seconds");
    const std::int64_t seconds = timestamp.get_int64();
    demand(seconds >= 0, "a time before 1970");
    demand(is(timestamp, 2), "no nanoseconds");
    const std::int32_t nanoseconds = timestamp.get_int32();
    demand(nanoseconds >= 0 && nanoseconds < 1'000'000'000, "nanoseconds of more than a second");
    ends(timestamp);
    return seconds;
  }

  template <typename Number>
  void line(std::string_view suffix, std::string_view bound, Number number) {
    text_.append(name_).append(suffix);
    if (!labels_.empty() || !bound.empty()) text_.append("{").append(labels_);
    if (!bound.empty()) text_.append(labels_.empty() ? "" : ",").append("le=\"").append(bound).append("\"");
    text_.append(labels_.empty() && bound.empty() ? " " : "} ");
    collector::append_number(text_, number);
    text_ += '\n';
  }

  std::int64_t now_seconds_;
  std::string name_, labels_, text_;
};

}  // namespace shmetrics::tests
