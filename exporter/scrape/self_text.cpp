#include "exporter/scrape/self_text.hpp"

#include "collector/openmetrics.hpp"

namespace shmetrics::exporter {
namespace {

std::string_view base_name(std::string_view name, std::string_view type) {
  constexpr std::string_view kTotal = "_total";
  if (type == "counter" && name.ends_with(kTotal)) name.remove_suffix(kTotal.size());
  return name;
}

std::string_view unit_of(std::string_view base) {
  for (const std::string_view unit : {"seconds", "bytes"}) {
    if (base.ends_with(unit)) return unit;
  }
  return {};
}

}  // namespace

void SelfText::head(std::string_view name, std::string_view help, std::string_view type) {
  close();
  const std::string_view base = base_name(name, type);
  const auto is_taken = [this](std::string_view own) { return own.starts_with("process_") && others_->produces(own); };
  is_wanted_ = query_.wants({std::string(name), std::string(base)}) &&
               (others_ == nullptr || (!is_taken(name) && !is_taken(base)));
  if (!is_wanted_) return;
  if (query_.is_openmetrics()) return collector::append_openmetrics_head(out_, name, type, unit_of(base), help);
  if (query_.is_protobuf()) {
    message_.emplace(name, help, type, unit_of(base));
    return;
  }
  collector::append_head(out_, name, help, type);
}

void SelfText::end() {
  close();
  if (query_.is_openmetrics()) collector::end_openmetrics(out_);
}

void SelfText::close() {
  if (message_) message_->append_to(out_);
  message_.reset();
}

}  // namespace shmetrics::exporter
