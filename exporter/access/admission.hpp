// The decision about one request, with the settings by which it was made. The answer uses these settings too, even if a
// reload has come in between.
//
// Threads: any. Failure: none. Lifetime: keeps its settings alive.
#pragma once

#include <memory>

#include "exporter/access/auth.hpp"
#include "exporter/access/settings.hpp"

namespace shmetrics::exporter {

struct Admission {
  std::shared_ptr<const Settings> settings;
  Judgement judgement = {Verdict::kNoCredential};
  std::chrono::milliseconds wait{0};  // of kRateLimited
};

}  // namespace shmetrics::exporter
