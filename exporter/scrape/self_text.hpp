// The exporter's own families, in the format and with the filter that a scrape asks for.
//
// Threads: one thread for each text. Failure: std::bad_alloc alone. Lifetime: what it is made of must outlive it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "collector/family_groups.hpp"
#include "collector/protobuf.hpp"
#include "collector/text_format.hpp"
#include "exporter/request/scrape_query.hpp"

namespace shmetrics::exporter {

class SelfText {
 public:
  /// Appends to `out`; all must outlive it. A family of `process_*` that one of `others` produces is theirs.
  SelfText(std::string& out, const ScrapeQuery& query, const collector::FamilyGroups* others = nullptr)
      : out_(out), query_(query), others_(others) {}

  /// Begins a family; `type` is counter or gauge. The samples that follow are its own, and vanish with it when the
  /// filter does not want it. The unit is what the name says: seconds or bytes.
  void head(std::string_view name, std::string_view help, std::string_view type);

  template <typename Value>
  void sample(std::string_view name, collector::Labels labels, Value value) {
    if (!is_wanted_) return;
    if (message_) return message_->number(labels, static_cast<double>(value));
    collector::append_sample(out_, name, labels, value);
  }
  /// What comes behind the last family.
  void end();

 private:
  void close();

  std::string& out_;
  const ScrapeQuery& query_;
  const collector::FamilyGroups* others_;
  bool is_wanted_ = false;
  std::optional<collector::ProtobufFamily> message_;
};

}  // namespace shmetrics::exporter
