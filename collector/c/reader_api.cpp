// <shmetrics/reader.h> over the collector: one look at a file, kept as it was seen.
#include <fcntl.h>

#include <shmetrics/reader.h>
#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "collector/json.hpp"
#include "collector/openmetrics.hpp"
#include "collector/plain_family.hpp"
#include "collector/protobuf.hpp"
#include "collector/render.hpp"
#include "collector/scraper.hpp"
#include "collector/snapshot.hpp"
#include "collector/text_format.hpp"
#include "shm/segment.hpp"

struct shmetrics_reading {
  shmetrics::collector::Scraper scraper;
  shmetrics::collector::SegmentStatus status;
  mutable std::mutex kept;  // the first rendering of a format fills what the families keep for the next
};

namespace shmetrics::collector {
namespace {

int report(shmetrics_reader_error* error, shm::Fault fault, const char* message) {
  if (error == nullptr) return -1;
  error->code = static_cast<int>(fault);
  std::snprintf(error->message, sizeof error->message, "%s", message);
  return -1;
}

void succeed(shmetrics_reader_error* error) {
  if (error != nullptr) *error = {};
}

// Calls `part`, whose result is handed on; an exception is reported and gives `failed`.
template <typename Result, typename Part>
Result guarded(shmetrics_reader_error* error, Result failed, Part part) noexcept {
  const int kept_errno = errno;
  succeed(error);
  Result result = failed;
  try {
    result = part();
  } catch (const shm::Error& problem) {
    report(error, problem.fault(), problem.what());
  } catch (const std::bad_alloc&) {
    report(error, shm::Fault::kFull, "no memory left to read the segment");
  } catch (const std::exception& problem) {
    report(error, shm::Fault::kIo, problem.what());
  }
  errno = kept_errno;
  return result;
}

shmetrics_reading* read(shm::OpenedSegment opened, const std::string& path) {
  Scraper scraper(std::make_unique<SnapshotReader>(std::move(opened), path));
  SegmentStatus status = scraper.read();
  if (!status.up) throw shm::Error(shm::Fault::kDamaged, status.problem);
  return new shmetrics_reading{std::move(scraper), std::move(status), {}};
}

/// A sample in the making: the labels of a series, and perhaps one more.
class SampleVisitor {
 public:
  SampleVisitor(const PlainFamily& family, shmetrics_visit visit, void* context)
      : family_(family), visit_(visit), context_(context) {}

  int take(const PlainSeries& series) {
    names_.clear();
    values_.clear();
    for (const auto& [name, value] : series.labels) {
      names_.push_back(name.c_str());
      values_.push_back(value.c_str());
    }
    if (const auto* whole = std::get_if<std::uint64_t>(&series.value)) return give("", *whole);
    if (const auto* number = std::get_if<double>(&series.value)) return give("", *number);
    return give(std::get<Distribution>(series.value));
  }

 private:
  int give(const Distribution& observed) {
    for (const auto& [bound, count] : observed.buckets) {
      std::string le;
      if (std::isinf(bound)) {
        le = "+Inf";
      } else {
        append_bound(le, bound);
      }
      names_.push_back("le");
      values_.push_back(le.c_str());
      const int stop = give("_bucket", count);
      names_.pop_back();
      values_.pop_back();
      if (stop != 0) return stop;
    }
    const int stop = give("_sum", observed.sum);
    return stop != 0 ? stop : give("_count", observed.count);
  }
  template <typename Number>
  int give(std::string_view suffix, Number value) {
    const std::string name = family_.name + std::string(suffix);
    shmetrics_sample sample{};
    sample.family = family_.name.c_str();
    sample.type = family_.type.c_str();
    sample.help = family_.help.c_str();
    sample.unit = family_.unit.c_str();
    sample.mode = family_.mode.c_str();
    sample.name = name.c_str();
    sample.label_count = names_.size();
    sample.label_names = names_.data();
    sample.label_values = values_.data();
    sample.value = static_cast<double>(value);
    if constexpr (std::is_same_v<Number, std::uint64_t>) {
      sample.whole = value;
      sample.is_whole = 1;
    }
    return visit_(context_, &sample);
  }

  const PlainFamily& family_;
  const shmetrics_visit visit_;
  void* const context_;
  std::vector<const char*> names_, values_;
};

/// Families whose names `wanted` says yes to; of `name` alone, if it is not null.
int walk(const shmetrics_reading& reading, const char* name, shmetrics_visit visit, void* context) {
  int stop = 0;
  const auto has_name = [name](const std::vector<std::string>& names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  FamilyGroups(reading.scraper.view())
      .for_each(name != nullptr ? Wanted(has_name) : Wanted(), [&](std::span<const FamilyPart> parts) {
        if (stop != 0) return;
        const PlainFamily family = plain_head(*parts.front().family);
        SampleVisitor visitor(family, visit, context);
        for_each_series(parts.front(), [&](const PlainSeries& series) {
          if (stop == 0) stop = visitor.take(series);
        });
      });
  return stop;
}

int render(const shmetrics_reading& reading, shmetrics_format format, const Wanted& wanted, shmetrics_sink sink,
           void* context) {
  std::string text;
  int stop = 0;
  const auto flush = [&] {
    if (stop == 0 && !text.empty()) stop = sink(context, text.data(), text.size());
    text.clear();
  };
  if (format == SHMETRICS_JSON) {
    TextOutput output(text, TextOutput::kUnlimited);
    render_json(reading.scraper, reading.status, wanted, output);
  } else {
    FamilyGroups(reading.scraper.view()).for_each(wanted, [&](std::span<const FamilyPart> parts) {
      if (stop != 0) return;
      TextOutput output(text);
      std::unique_lock lock(reading.kept);  // never while `sink` or `wanted` runs
      if (format == SHMETRICS_OPENMETRICS) {
        render_openmetrics(parts, Created::kNo, output);
      } else if (format == SHMETRICS_PROTOBUF) {
        render_protobuf(parts, std::chrono::system_clock::now(), output);
      } else {
        render_text(parts, output);
      }
      lock.unlock();
      if (!output.left_out().empty()) {
        throw shm::Error(shm::Fault::kFull, parts.front().family->name +
                                                " makes more than 256 MiB of text: leave it out, or walk its values");
      }
      flush();
    });
    if (format == SHMETRICS_OPENMETRICS) end_openmetrics(text);
  }
  flush();
  return stop;
}

/// What shmetrics_reading_value() looks for, and finds.
struct Wish {
  std::string_view name;
  const char *const *label_names, *const *label_values;
  std::size_t label_count;
  double value;
};

int compare(void* context, const shmetrics_sample* sample) {
  Wish& wish = *static_cast<Wish*>(context);
  if (wish.name != sample->name || wish.label_count != sample->label_count) return 0;
  for (std::size_t i = 0; i < sample->label_count; ++i) {  // no name is twice in a sample
    const auto* const end = wish.label_names + wish.label_count;
    const auto* const found = std::find(wish.label_names, end, std::string_view(sample->label_names[i]));
    if (found == end) return 0;
    if (wish.label_values[found - wish.label_names] != std::string_view(sample->label_values[i])) return 0;
  }
  wish.value = sample->value;
  return 1;
}

}  // namespace
}  // namespace shmetrics::collector

namespace collector = shmetrics::collector;
namespace shm = shmetrics::shm;

extern "C" {

shmetrics_reading* shmetrics_read(const char* path, shmetrics_reader_error* error) {
  return collector::guarded<shmetrics_reading*>(error, nullptr, [&] {
    const std::string chosen = path != nullptr ? path : shm::default_path();
    return collector::read(shm::open_for_reading(chosen), chosen);
  });
}

shmetrics_reading* shmetrics_read_descriptor(int descriptor, shmetrics_reader_error* error) {
  return collector::guarded<shmetrics_reading*>(error, nullptr, [&] {
    if (descriptor < 0) {
      throw shm::Error(shm::Fault::kRefused,
                       "there is no descriptor of the segment: the program closed it and may not open the file again");
    }
    const std::string name = "descriptor " + std::to_string(descriptor);
    shm::Descriptor own(fcntl(descriptor, F_DUPFD_CLOEXEC, 3));
    if (!own) throw shm::from_errno(errno, name);
    return collector::read(shm::open_for_reading(std::move(own), name), name);
  });
}

void shmetrics_reading_free(shmetrics_reading* reading) {
  delete reading;
}

int shmetrics_reading_render(const shmetrics_reading* reading, enum shmetrics_format format, shmetrics_wanted wanted,
                             void* wanted_context, shmetrics_sink sink, void* sink_context,
                             shmetrics_reader_error* error) {
  return collector::guarded(error, -1, [&] {
    if (reading == nullptr || sink == nullptr || format > SHMETRICS_PROTOBUF)
      throw shm::Error(shm::Fault::kInvalidArgument, "no reading, no sink, or no such format");
    collector::Wanted filter;
    if (wanted != nullptr) {
      filter = [&](const std::vector<std::string>& names) {
        return std::any_of(names.begin(), names.end(),
                           [&](const std::string& name) { return wanted(wanted_context, name.c_str()) != 0; });
      };
    }
    return collector::render(*reading, format, filter, sink, sink_context);
  });
}

int shmetrics_reading_walk(const shmetrics_reading* reading, shmetrics_visit visit, void* context,
                           shmetrics_reader_error* error) {
  return collector::guarded(error, -1, [&] {
    if (reading == nullptr || visit == nullptr)
      throw shm::Error(shm::Fault::kInvalidArgument, "no reading, or nobody to visit it");
    return collector::walk(*reading, nullptr, visit, context);
  });
}

int shmetrics_reading_value(const shmetrics_reading* reading, const char* name, const char* const* label_names,
                            const char* const* label_values, size_t label_count, double* value) {
  return collector::guarded(nullptr, 0, [&] {
    if (reading == nullptr || name == nullptr) return 0;
    collector::Wish wish{name, label_names, label_values, label_count, 0};
    if (collector::walk(*reading, name, collector::compare, &wish) == 0) return 0;
    *value = wish.value;
    return 1;
  });
}

int shmetrics_reading_workers(const shmetrics_reading* reading,
                              int (*visit)(void* context, const shmetrics_worker* worker), void* context) {
  return collector::guarded(nullptr, 0, [&] {
    if (reading == nullptr) return 0;
    for (const collector::WorkerRow& row : reading->scraper.workers()) {
      if (row.state == collector::WorkerState::kUnused) continue;
      const std::string state(collector::state_name(row.state));
      const shmetrics_worker worker{row.worker,          state.c_str(), row.pid,    row.program.c_str(),
                                    row.started_unix_ns, row.adopted,   row.deaths, row.slots};
      if (const int stop = visit(context, &worker); stop != 0) return stop;
    }
    return 0;
  });
}

}  // extern "C"
