#include "exporter/ui.hpp"

#include <algorithm>

namespace shmetrics::exporter {
namespace {

// Nothing from elsewhere, and no script or style that a label value could bring: only files of this program run.
constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'";

void set_header(Response& response, std::string_view name, std::string value) {
  for (auto& [key, old] : response.headers) {
    if (same_name(key, name)) {
      old = std::move(value);
      return;
    }
  }
  response.headers.emplace_back(name, std::move(value));
}

}  // namespace

const UiFile* ui_file_at(std::span<const UiFile> files, std::string_view path) {
  if (!path.starts_with(kUiPrefix)) return nullptr;
  const auto found = std::ranges::find(files, path.substr(kUiPrefix.size()), &UiFile::name);
  return found == files.end() ? nullptr : &*found;
}

void put_ui_file(const UiFile& file, const Request& request, bool with_compression, Response& response) {
  const bool is_gzip = with_compression && choose_coding(joined_fields(request, "Accept-Encoding")) == Coding::kGzip;
  response.body = is_gzip ? file.gzipped : file.bytes;
  set_header(response, "Content-Type", std::string(file.content_type));
  set_header(response, "Content-Security-Policy", kPolicy);
  set_header(response, "Vary", "Accept-Encoding");
  if (is_gzip) set_header(response, "Content-Encoding", "gzip");
  if (response.status != 200) return;
  const std::string tag = "\"" + std::string(file.hash) + (is_gzip ? "-gzip\"" : "\"");
  set_header(response, "ETag", tag);
  set_header(response, "Cache-Control", "no-cache");  // kept, and asked for again: the next release has others
  const std::string known = joined_fields(request, "If-None-Match");
  if (known != "*" && known.find(tag) == known.npos) return;
  response.status = 304;
  response.omits_body = true;  // the length stays that of the 200 (RFC 9110, 8.6)
}

}  // namespace shmetrics::exporter
