// A table of a page of docs, as its reader sees it: tests do what it says.
#pragma once

#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace shmetrics::tests {

/// The cells of a line of a table, without spaces and backticks around them.
inline std::vector<std::string> columns(std::string_view line) {
  std::vector<std::string> columns;
  line.remove_prefix(1);
  while (!line.empty()) {
    std::string column(line.substr(0, line.find('|')));
    line.remove_prefix(column.size() + 1);
    column.erase(0, column.find_first_not_of(" `"));
    column.erase(column.find_last_not_of(" `") + 1);
    columns.push_back(column);
  }
  return columns;
}

/// The rows of the table with this head, without it. Throws if the page at `path` has none.
inline std::vector<std::vector<std::string>> rows_below(const std::string& path, std::string_view head) {
  std::ifstream page(path);
  std::string line;
  while (line != head) {
    if (!std::getline(page, line)) throw std::runtime_error(path + " has no table " + std::string(head));
  }
  std::getline(page, line);  // the rule below the head
  std::vector<std::vector<std::string>> rows;
  while (std::getline(page, line) && line.starts_with('|')) rows.push_back(columns(line));
  return rows;
}

}  // namespace shmetrics::tests
