// What a request asks of the metrics: two requests with equal queries get the same bytes. Pure.
//
// Threads: any. Failure: none. Lifetime: values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "exporter/request/negotiate.hpp"

namespace shmetrics::exporter {

struct ScrapeQuery {
  Representation representation;
  Coding coding = Coding::kIdentity;
  std::vector<std::string> names = {};          // sorted, none twice; empty: no filter
  std::optional<std::string> snapshot_of = {};  // a segment's name, "" for the first: it as JSON, and nothing else

  bool operator==(const ScrapeQuery&) const = default;

  bool is_openmetrics() const {
    return representation.format == Format::kOpenmetrics100 || representation.format == Format::kOpenmetrics001;
  }
  bool is_protobuf() const { return representation.format == Format::kProtobuf; }
  bool has_filter() const { return !names.empty(); }
  /// Whether a family is wanted that produces these names: one of them, family or sample, is enough.
  bool wants(const std::vector<std::string>& produced) const;
};

}  // namespace shmetrics::exporter
