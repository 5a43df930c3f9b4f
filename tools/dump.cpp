#include "tools/dump.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <span>

#include "collector/json.hpp"
#include "collector/openmetrics.hpp"
#include "collector/plain_family.hpp"
#include "collector/protobuf.hpp"
#include "collector/render.hpp"
#include "collector/scraper.hpp"
#include "collector/text_format.hpp"
#include "tools/exit_code.hpp"
#include "tools/printable.hpp"
#include "tools/reasons.hpp"

namespace shmetrics::tools {
namespace {

using collector::Distribution;
using collector::FamilyPart;
using collector::PlainFamily;
using collector::PlainSeries;
using collector::WorkerRow;
using collector::WorkerState;

constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;
constexpr std::size_t kWidestColumn = 100;  // a longer name moves only its own number to the right

void pad(std::string& out, std::string_view text, std::size_t width) {
  out += text;
  out.append(width > text.size() ? width - text.size() : 0, ' ');
  out += "  ";
}

// Buckets that have counted something, by their upper borders: a few digits tell them apart.
void append_native(std::string& out, const collector::NativeDistribution& native) {
  const auto bucket = [&out](double up_to, std::uint64_t count) {
    char text[32];
    std::snprintf(text, sizeof text, std::isinf(up_to) ? "+Inf" : "%.4g", up_to);
    out += std::string(" ") + text + ":" + std::to_string(count);
  };
  out += "  native";
  if (native.zero_count > 0) bucket(native.zero_threshold, native.zero_count);
  for (const auto& [above, up_to, count] : native.buckets) bucket(up_to, count);
}

void append_value(std::string& out, const PlainSeries& series) {
  if (const auto* whole = std::get_if<std::uint64_t>(&series.value)) return collector::append_number(out, *whole);
  if (const auto* number = std::get_if<double>(&series.value)) return collector::append_number(out, *number);
  const auto& distribution = std::get<Distribution>(series.value);
  out += "count ";
  collector::append_number(out, distribution.count);
  out += "  sum ";
  collector::append_number(out, distribution.sum);
  if (distribution.count > 0) {
    out += "  mean ";
    collector::append_number(out, distribution.sum / static_cast<double>(distribution.count));
  }
  if (distribution.native) append_native(out, *distribution.native);
}

void append_family(std::string& out, const PlainFamily& family) {
  out += "\n" + family.name + "  " + family.type + (family.mode.empty() ? "" : ", " + family.mode) + "  ";
  std::string help;
  collector::append_escaped_help(help, family.help);
  out += printable(help);
  out += '\n';
  std::vector<std::string> names;
  std::size_t width = 0;
  for (const PlainSeries& series : family.series) {
    names.push_back(series_text(family, series));
    width = std::max(width, std::min(names.back().size(), kWidestColumn));
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    out += "  ";
    pad(out, names[i], width);
    append_value(out, family.series[i]);
    out += '\n';
  }
}

void append_workers(std::string& out, const std::vector<WorkerRow>& workers) {
  out += "\n";
  for (const auto& [title, width] : {std::pair{"WORKER", 6},
                                     {"STATE", 8},
                                     {"PID", 10},
                                     {"SLOTS", 6},
                                     {"ADOPTED", 8},
                                     {"DEATHS", 8},
                                     {"STARTED", 20}}) {
    pad(out, title, static_cast<std::size_t>(width));
  }
  out += "PROGRAM\n";
  for (const WorkerRow& row : workers) {
    if (row.state == WorkerState::kUnused) continue;
    pad(out, std::to_string(row.worker), 6);
    pad(out, collector::state_name(row.state), 8);
    pad(out, std::to_string(row.pid), 10);
    pad(out, std::to_string(row.slots), 6);
    pad(out, std::to_string(row.adopted), 8);
    pad(out, std::to_string(row.deaths), 8);
    pad(out, collector::time_text(row.started_unix_ns / kNanosecondsPerSecond), 20);
    out += row.program + '\n';
  }
}

void append_summary(std::string& out, const std::string& path, const collector::SegmentStatus& status) {
  const auto of = [](std::uint64_t used, std::uint64_t limit) {
    return std::to_string(used) + " of " + std::to_string(limit);
  };
  out += "segment   " + path + "\n";
  out += "id        " + status.id + ", layout version " + std::to_string(status.layout_version) + "\n";
  out += "created   " + collector::time_text(static_cast<std::uint64_t>(status.created_unix_seconds)) + "\n";
  out += "workers   " + std::to_string(status.workers_live) + " live, " + std::to_string(status.workers_dead) +
         " dead, " + std::to_string(status.workers_released) + " released, " + std::to_string(status.workers_unused) +
         " unused\n";
  out += "slots     " + of(status.slots_used, status.slots_used + status.slots_free) + "\n";
  out += "families  " + std::to_string(status.families) + ", series " + std::to_string(status.series) + "\n";
  out += "cells     " + of(status.cells_used, status.cells_limit) + "\n";
  out += "directory " + of(status.directory_used_bytes, status.directory_limit_bytes) + " bytes\n";
  if (sum(status.declarations_refused) > 0)
    out += "refused   declarations: " + listed(status.declarations_refused) + "\n";
  if (sum(status.updates_dropped) > 0) out += "dropped   updates: " + listed(status.updates_dropped) + "\n";
  if (sum(status.values_refused) > 0) out += "refused   values: " + listed(status.values_refused) + "\n";
  if (status.quarantined() > 0)
    out += "damaged   " + std::to_string(status.quarantined()) + " parts are left out: see `shmetrics check`\n";
}

}  // namespace

int dump(const DumpOptions& options, std::string& out, std::string& problem) {
  collector::Scraper scraper(options.path);
  const collector::SegmentStatus status = scraper.read();
  if (!status.up) {
    problem = status.problem;
    return kFailed;
  }
  collector::Wanted wanted;
  if (!options.family.empty()) {
    wanted = [&](const auto& names) { return fnmatch(options.family.c_str(), names.front().c_str(), 0) == 0; };
  }
  const collector::FamilyGroups families(scraper.view());
  collector::TextOutput rendered(
      out, options.format == DumpFormat::kJson ? collector::TextOutput::kUnlimited : collector::kMaxTextBytes);
  switch (options.format) {
    case DumpFormat::kText:
      families.for_each(wanted, [&](std::span<const FamilyPart> parts) { render_text(parts, rendered); });
      break;
    case DumpFormat::kOpenmetrics:
      families.for_each(wanted, [&](std::span<const FamilyPart> parts) {
        collector::render_openmetrics(parts, collector::Created::kNo, rendered);
      });
      collector::end_openmetrics(out);
      break;
    case DumpFormat::kProtobuf:
      families.for_each(wanted, [&](std::span<const FamilyPart> parts) {
        collector::render_protobuf(parts, std::chrono::system_clock::now(), rendered);
      });
      break;
    case DumpFormat::kJson:
      collector::render_json(scraper, status, wanted, rendered);
      break;
    case DumpFormat::kTable:
      append_summary(out, options.path, status);
      if (options.with_workers) append_workers(out, scraper.workers());
      for (const PlainFamily& family : plain_families(scraper.view(), wanted)) append_family(out, family);
      break;
  }
  if (rendered.left_out().empty()) return kFine;
  problem = options.path + " makes more than " + std::to_string(collector::kMaxTextBytes >> 20) +
            " MiB of this format: choose families by --family, or take --format json";
  return kFailed;
}

}  // namespace shmetrics::tools
