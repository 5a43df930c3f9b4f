#include "exporter/http/ui.hpp"

#include <algorithm>

namespace shmetrics::exporter {
namespace {

// Nothing from elsewhere, and no script or style that a label value could bring: only files of this program run.
constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'";

}  // namespace

const UiFile* ui_file_at(std::span<const UiFile> files, std::string_view path) {
  if (!path.starts_with(kUiPrefix)) return nullptr;
  const auto found = std::ranges::find(files, path.substr(kUiPrefix.size()), &UiFile::name);
  return found == files.end() ? nullptr : &*found;
}

void put_ui_file(const UiFile& file, const Request& request, bool with_compression, Response& response) {
  const bool is_gzip = with_compression && choose_coding(joined_fields(request, "Accept-Encoding")) == Coding::kGzip;
  response.body = is_gzip ? file.gzipped : file.bytes;
  response.set_header("Content-Type", file.content_type);
  response.set_header("Content-Security-Policy", kPolicy);
  response.set_header("Vary", "Accept-Encoding");
  if (is_gzip) response.set_header("Content-Encoding", "gzip");
  if (response.status != 200) return;
  const std::string tag = "\"" + std::string(file.hash) + (is_gzip ? "-gzip\"" : "\"");
  response.set_header("ETag", tag);
  response.set_header("Cache-Control", "no-cache");  // kept, and asked for again: the next release has others
  const std::string known = joined_fields(request, "If-None-Match");
  if (known != "*" && known.find(tag) == known.npos) return;
  response.status = 304;
  response.omits_body = true;  // the length stays that of the 200 (RFC 9110, 8.6)
}

}  // namespace shmetrics::exporter
