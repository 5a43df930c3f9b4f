#include "exporter/build_info.hpp"

namespace shmetrics::exporter {

std::string_view build_version() {
  return SHMETRICS_VERSION;
}
std::string_view build_revision() {
  return SHMETRICS_REVISION;
}
std::string_view build_compiler() {
  return SHMETRICS_COMPILER;
}

}  // namespace shmetrics::exporter
