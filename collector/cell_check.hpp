// Validity of the cells of one slot. Part of check. Pure: works on a private copy.
//
// Threads: any. Failure: std::bad_alloc, and what the report throws. Lifetime: a call keeps nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "collector/catalog.hpp"

namespace shmetrics::collector {

bool is_zero(std::span<const std::uint64_t> words);

using Report = std::function<void(const std::string& problem)>;

/// `cells` are the slot's from its first on, as many as are allocated, at most those that the directory knows.
void check_thread_cells(std::span<const std::uint64_t> cells, const Catalog& catalog, bool is_spill,
                        const Report& report);
void check_gauge_spill(std::span<const std::uint64_t> cells, const Catalog& catalog, const Report& report);

}  // namespace shmetrics::collector
