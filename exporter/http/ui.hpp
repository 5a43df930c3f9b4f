// The live page: its files, which are a part of the program, and how one of them is answered. Pure.
//
// Threads: any. Failure: std::bad_alloc alone. Lifetime: the files live as long as the program.
#pragma once

#include <span>
#include <string_view>

#include "exporter/http/handler.hpp"

namespace shmetrics::exporter {

/// A file of exporter/ui, as the build has put it into the program.
struct UiFile {
  std::string_view name;  // behind /ui/; of the page itself empty
  std::string_view content_type;
  std::string_view bytes, gzipped;
  std::string_view hash;  // of the bytes; the ETag is made of it
};

inline constexpr std::string_view kUiPrefix = "/ui/";
inline constexpr std::string_view kUiWithoutSlash = "/ui";
inline constexpr std::string_view kSnapshotPath = "/api/v1/snapshot";

/// All of them, for Site::ui.
std::span<const UiFile> ui_files();

/// The file that is at this path, or null.
const UiFile* ui_file_at(std::span<const UiFile> files, std::string_view path);

/// Makes `answer`, a 200 or a 401, one with this file: 304 where `known_tags` has it already, compressed where the
/// coding says so. A 401 is not to be kept, and has no ETag.
void put_ui_file(const UiFile& file, Coding coding, std::string_view known_tags, Answer& answer);

}  // namespace shmetrics::exporter
