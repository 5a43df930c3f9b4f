#include "exporter/request/negotiate.hpp"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "exporter/request/head.hpp"

namespace shmetrics::exporter {
namespace {

constexpr int kFullWeight = 1000;  // thousandths: a weight has three digits

/// One member of a list: its name, and its parameters without the weight.
struct Member {
  std::string_view name;
  std::vector<std::pair<std::string_view, std::string>> parameters;
  int weight = kFullWeight;

  /// Empty when it is not there.
  std::string_view parameter(std::string_view wanted) const {
    for (const auto& [key, value] : parameters) {
      if (same_name(key, wanted)) return value;
    }
    return {};
  }
};

bool is_token_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         (c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
}

/// qvalue = ( "0" [ "." *3DIGIT ] ) / ( "1" [ "." *3"0" ] )
std::optional<int> parse_weight(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return std::nullopt;
  if (text.size() > 1 && text[1] != '.') return std::nullopt;
  int weight = (text[0] - '0') * kFullWeight;
  int unit = kFullWeight / 10;
  for (std::size_t i = 2; i < text.size(); ++i, unit /= 10) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    weight += (text[i] - '0') * unit;
  }
  return weight <= kFullWeight ? std::optional(weight) : std::nullopt;
}

/// Reads `name *( OWS ";" OWS [ token "=" ( token / quoted-string ) ] )`, parted by commas.
class ListReader {
 public:
  explicit ListReader(std::string_view text) : rest_(text) {}

  /// The next well-formed member; others are passed over, since the rest of the list is still what the client wants.
  std::optional<Member> next() {
    while (!rest_.empty()) {
      Member member;
      const bool is_sound = read(member);
      skip_member();
      if (is_sound) return member;
    }
    return std::nullopt;
  }

 private:
  bool read(Member& member) {
    blanks();
    member.name = run([](char c) { return is_token_character(c) || c == '/'; });
    if (member.name.empty()) return false;
    bool has_weight = false;
    for (;;) {
      blanks();
      if (rest_.empty() || rest_[0] == ',') return true;
      if (!take(';')) return false;
      blanks();
      const std::string_view key = run(is_token_character);
      if (key.empty()) continue;  // `; ;` is nothing
      std::string value;
      if (!take('=') || !read_value(value)) return false;
      if (!same_name(key, "q")) {
        member.parameters.emplace_back(key, std::move(value));
        continue;
      }
      const auto weight = parse_weight(value);
      if (!weight || std::exchange(has_weight, true)) return false;
      member.weight = *weight;
    }
  }

  bool read_value(std::string& value) {
    if (!take('"')) {
      value = run(is_token_character);
      return !value.empty();
    }
    while (!rest_.empty()) {
      char c = rest_[0];
      rest_.remove_prefix(1);
      if (c == '"') return true;
      if (c == '\\') {
        if (rest_.empty()) return false;
        c = rest_[0];
        rest_.remove_prefix(1);
      }
      value += c;
    }
    return false;
  }

  /// To behind the next comma that is not within quotes.
  void skip_member() {
    std::string ignored;
    while (!rest_.empty() && !take(',')) {
      if (rest_[0] == '"') {
        read_value(ignored);
      } else {
        rest_.remove_prefix(1);
      }
    }
  }

  void blanks() {
    run([](char c) { return c == ' ' || c == '\t'; });
  }
  bool take(char c) {
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  template <typename Predicate>
  std::string_view run(Predicate belongs) {
    const auto end = std::find_if_not(rest_.begin(), rest_.end(), belongs);
    const std::string_view taken = rest_.substr(0, static_cast<std::size_t>(end - rest_.begin()));
    rest_.remove_prefix(taken.size());
    return taken;
  }

  std::string_view rest_;
};

Escaping escaping_of(std::string_view scheme) {
  if (scheme == "allow-utf-8") return Escaping::kAllowUtf8;
  if (scheme == "underscores") return Escaping::kUnderscores;
  return scheme == "values" ? Escaping::kValues : Escaping::kNotAsked;
}

/// How closely a member names a format: 0 not at all, then `*/*`, `type/*`, and the type itself.
int closeness(const Member& member, Format format) {
  if (format == Format::kProtobuf) {
    const bool fits = same_name(member.name, "application/vnd.google.protobuf") &&
                      member.parameter("proto") == "io.prometheus.client.MetricFamily" &&
                      member.parameter("encoding") == "delimited";
    return fits ? 3 : 0;
  }
  if (member.name == "*/*") return 1;
  const std::string_view version = member.parameter("version");
  if (format == Format::kText) {
    if (same_name(member.name, "text/*")) return 2;
    return same_name(member.name, "text/plain") && (version.empty() || version == "0.0.4") ? 3 : 0;
  }
  if (same_name(member.name, "application/*")) return 2;
  if (!same_name(member.name, "application/openmetrics-text")) return 0;
  const bool fits = format == Format::kOpenmetrics100 ? version == "1.0.0" : version.empty() || version == "0.0.1";
  return fits ? 3 : 0;
}

/// The weight of one format: the member that names it most closely decides, of equally close ones the first.
struct Standing {
  int weight = 0;
  int closeness = 0;
  int place = 0;
  Escaping escaping = Escaping::kNotAsked;

  void consider(const Member& member, int found_closeness, int found_place) {
    if (found_closeness <= closeness) return;
    *this = {member.weight, found_closeness, found_place, escaping_of(member.parameter("escaping"))};
  }
  auto rank() const { return std::tuple(weight, closeness, -place); }
};

}  // namespace

Representation choose_representation(std::string_view accept) {
  // By number, and in the order of our own preference, which decides between formats that one wildcard matches.
  constexpr Format kFormats[] = {Format::kText, Format::kOpenmetrics100, Format::kOpenmetrics001, Format::kProtobuf};
  Standing standings[std::size(kFormats)];
  ListReader list(accept);
  for (int place = 0; const auto member = list.next(); ++place) {
    for (std::size_t i = 0; i < std::size(kFormats); ++i) {
      standings[i].consider(*member, closeness(*member, kFormats[i]), place);
    }
  }
  const Standing* best = std::max_element(std::begin(standings), std::end(standings),
                                          [](const Standing& a, const Standing& b) { return a.rank() < b.rank(); });
  if (best->weight == 0) return {};
  return {kFormats[best - standings], best->escaping};
}

std::string content_type(Representation representation) {
  static constexpr std::string_view kFormats[] = {"text/plain; version=0.0.4; charset=utf-8",
                                                  "application/openmetrics-text; version=1.0.0; charset=utf-8",
                                                  "application/openmetrics-text; version=0.0.1; charset=utf-8",
                                                  "application/vnd.google.protobuf; "
                                                  "proto=io.prometheus.client.MetricFamily; encoding=delimited"};
  static constexpr std::string_view kEscapings[] = {"", "; escaping=allow-utf-8", "; escaping=underscores",
                                                    "; escaping=values"};
  std::string type(kFormats[static_cast<std::size_t>(representation.format)]);
  return type.append(kEscapings[static_cast<std::size_t>(representation.escaping)]);
}

Coding choose_coding(std::string_view accept_encoding) {
  std::optional<int> gzip, identity, rest;
  ListReader list(accept_encoding);
  while (const auto member = list.next()) {
    const bool is_gzip = same_name(member->name, "gzip") || same_name(member->name, "x-gzip");
    std::optional<int>& named = is_gzip ? gzip : same_name(member->name, "identity") ? identity : rest;
    if ((is_gzip || &named == &identity || member->name == "*") && !named) named = member->weight;
  }
  // A coding that is not named has the weight of `*`. Identity is acceptable even without one, but not preferred.
  const bool is_wished = gzip.has_value() || identity == 0;
  const int gzip_weight = gzip.value_or(rest.value_or(0));
  return is_wished && gzip_weight > 0 && gzip_weight >= identity.value_or(rest.value_or(0)) ? Coding::kGzip
                                                                                            : Coding::kIdentity;
}

}  // namespace shmetrics::exporter
