// Which format and which coding a response gets: RFC 9110, 12.4 and 12.5, and what Prometheus makes of it
// (prometheus.io/docs/instrumenting/content_negotiation). Pure; any bytes are taken, none of them comes back.
//
// Threads: any. Failure: std::bad_alloc alone; nonsense is no wish. Lifetime: values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace shmetrics::exporter {

enum class Format : std::uint8_t { kText, kOpenmetrics100, kOpenmetrics001, kProtobuf };  // text is 0.0.4

/// How names outside the old alphabet are to be spelt. None is ever exposed here, so the answer only echoes it. Not
/// `dots`: that spells the names of the old alphabet in another way too, which is not done.
enum class Escaping : std::uint8_t { kNotAsked, kAllowUtf8, kUnderscores, kValues };

struct Representation {
  Format format = Format::kText;
  Escaping escaping = Escaping::kNotAsked;
  bool operator==(const Representation&) const = default;
};

/// From the Accept field: several lines of it are to be joined by commas, and without one it is empty. The format with
/// the highest weight; of equals the one that is named rather than matched by a wildcard, then the one named first.
/// Nothing that matches is no refusal: it gives text 0.0.4, as every Prometheus client does. `text/plain` without a
/// version is 0.0.4, OpenMetrics without one is 0.0.1; a parameter that nobody knows is ignored. Protobuf is never
/// matched by a wildcard, and only where the member says both which message and that each comes behind its length.
Representation choose_representation(std::string_view accept);

/// Exactly one of few constants, with version and charset: Prometheus 3 refuses anything vaguer.
std::string content_type(Representation representation);

enum class Coding : std::uint8_t { kIdentity, kGzip };

/// From the Accept-Encoding field. gzip where its weight is above 0 and not below that of identity; `*` alone is no
/// wish for gzip. Who forbids both gets identity.
Coding choose_coding(std::string_view accept_encoding);

}  // namespace shmetrics::exporter
