// All that the programs do with a segment's file, and what must hold of it whatever the file is.
#pragma once

#include <string>

#include "collector/scraper.hpp"

namespace shmetrics::fuzz {

/// Reads, merges, renders in every format. Returns the text in format 0.0.4.
std::string read_and_demand(collector::Scraper& scraper);
/// The same file as two segments with names, merged into one list of families.
void group_and_demand(const std::string& path);
/// `shmetrics check`.
void check_and_demand(const std::string& path);

}  // namespace shmetrics::fuzz
