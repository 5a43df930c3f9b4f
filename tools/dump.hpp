// `shmetrics dump`: what a segment holds, as a table, as JSON or in a format of a scrape.
//
// Threads: one thread. Failure: std::bad_alloc alone; all else is an exit code. Lifetime: a call keeps nothing.
#pragma once

#include <string>

namespace shmetrics::tools {

enum class DumpFormat { kTable, kJson, kText, kOpenmetrics, kProtobuf };

struct DumpOptions {
  std::string path;
  DumpFormat format = DumpFormat::kTable;
  std::string family;         // shell pattern; empty: all families
  bool with_workers = false;  // of the table; JSON has them always, the formats of a scrape never
};

/// Appends to `out`. Returns the exit code; then, when it is not 0, `problem` is one line that says what to do.
int dump(const DumpOptions& options, std::string& out, std::string& problem);

}  // namespace shmetrics::tools
