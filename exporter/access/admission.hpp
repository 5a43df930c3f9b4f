// What was decided about one request, with the settings by which it was decided: whoever answers the request goes by
// these, also when a reload has come in between.
#pragma once

#include <memory>

#include "exporter/access/auth.hpp"
#include "exporter/access/settings.hpp"

namespace shmetrics::exporter {

struct Admission {
  std::shared_ptr<const Settings> settings;
  Judgement judgement = {Verdict::kNoCredential};
};

}  // namespace shmetrics::exporter
