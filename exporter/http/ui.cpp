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

void put_ui_file(const UiFile& file, Coding coding, std::string_view known_tags, Answer& answer) {
  const bool is_gzip = coding == Coding::kGzip;
  answer.body = std::make_shared<const std::string>(is_gzip ? file.gzipped : file.bytes);
  answer.set_header("Content-Type", file.content_type);
  answer.set_header("Content-Security-Policy", kPolicy);
  answer.set_header("Vary", "Accept-Encoding");
  if (is_gzip) answer.set_header("Content-Encoding", "gzip");
  if (answer.status != 200) return;
  const std::string tag = "\"" + std::string(file.hash) + (is_gzip ? "-gzip\"" : "\"");
  answer.set_header("ETag", tag);
  answer.set_header("Cache-Control", "no-cache");  // kept, and asked for again: the next release has others
  if (known_tags != "*" && known_tags.find(tag) == known_tags.npos) return;
  answer.status = 304;
  answer.omits_body = true;  // the length stays that of the 200 (RFC 9110, 8.6)
}

}  // namespace shmetrics::exporter
