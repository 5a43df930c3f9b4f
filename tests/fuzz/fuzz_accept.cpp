// The bytes are an Accept field, and an Accept-Encoding field: any answer is one of few, nothing is chosen that the
// field does not hint at, and what is malformed beside it changes nothing.
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "exporter/request/negotiate.hpp"
#include "tests/fuzz/oracle.hpp"

namespace {

using namespace shmetrics;
using exporter::Coding;
using exporter::Format;
using exporter::Representation;

bool mentions(const std::string& text, const char* word) {
  return text.find(word) != text.npos;
}

std::set<std::string> all_types() {
  std::set<std::string> types;
  for (int format = 0; format < 4; ++format) {
    for (int escaping = 0; escaping < 4; ++escaping) {
      types.insert(exporter::content_type({static_cast<Format>(format), static_cast<exporter::Escaping>(escaping)}));
    }
  }
  return types;
}

/// What both choices say of a field, from a copy without a byte to spare.
std::pair<Representation, Coding> choices(const std::string& field) {
  const std::vector<char> exact(field.begin(), field.end());
  const std::string_view view(exact.data(), exact.size());
  return {exporter::choose_representation(view), exporter::choose_coding(view)};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::set<std::string> types = all_types();
  const std::string field(reinterpret_cast<const char*>(data), size);
  const auto chosen = choices(field);
  fuzz::demand(types.size() == 16 && types.contains(exporter::content_type(chosen.first)), "a type is one of sixteen");

  std::string lower = field;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  const bool hints_at_openmetrics =
      mentions(lower, "application/openmetrics-text") || mentions(lower, "application/*") || mentions(lower, "*/*");
  const bool hints_at_protobuf =
      mentions(lower, "application/vnd.google.protobuf") && mentions(lower, "proto=") && mentions(lower, "encoding=");
  const bool is_hinted_at = chosen.first.format == Format::kProtobuf ? hints_at_protobuf : hints_at_openmetrics;
  fuzz::demand(chosen.first.format == Format::kText || is_hinted_at, "OpenMetrics and protobuf are for who asks",
               field);
  const bool hints_at_gzip = mentions(lower, "gzip") || (mentions(lower, "identity") && mentions(lower, "*"));
  fuzz::demand(chosen.second == Coding::kIdentity || hints_at_gzip, "gzip is for who asks", field);

  fuzz::demand(choices("\x01," + field) == chosen, "a broken member in front changes nothing", field);
  fuzz::demand(choices(field + ",\x01") == chosen, "a broken member behind changes nothing", field);
  if (!mentions(field, "\"")) fuzz::demand(choices(field + "," + field) == chosen, "the first decides", field);
  return 0;
}
