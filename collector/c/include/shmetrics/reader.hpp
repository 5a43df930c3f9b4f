// Reading a segment back, in C++20: <shmetrics/reader.h> with values and exceptions. Header-only; link
// libshmetrics_reader (shmetrics::reader).
//
// Threads: a Reading never changes, so any number of threads may use it. Failure: ReadingError, of any function that
// says so; what a callback throws reaches the caller. Lifetime: text and samples handed to a callback are gone when it
// returns, all else is a copy. What <shmetrics/reader.h> says of workers, signals and forks holds here.
#pragma once

#include <shmetrics/reader.h>
#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace shmetrics {

/// A segment could not be read; what() is one line that says why.
class ReadingError : public std::runtime_error {
 public:
  explicit ReadingError(const shmetrics_reader_error& error) : std::runtime_error(error.message), code_(error.code) {}
  /// Of enum shmetrics_code in <shmetrics/shmetrics.h>.
  int code() const noexcept { return code_; }

 private:
  int code_;
};

/// A worker's entry in the table.
struct ReadWorker {
  std::uint32_t worker = 0;  ///< number of the entry; label `worker` of a gauge
  std::string state;         ///< live dead released
  std::uint64_t pid = 0;     ///< as the worker saw it: another container may have the same
  std::string program;
  std::uint64_t started_unix_ns = 0, adopted = 0, deaths = 0, slots = 0;
};

/// What a segment held at one moment, merged over all workers.
class Reading {
 public:
  /// Reads the segment at `path`; "": $SHMETRICS_SEGMENT, else the default path. Throws ReadingError.
  static Reading of(const std::string& path = {}) {
    shmetrics_reader_error error;
    return Reading(shmetrics_read(path.empty() ? nullptr : path.c_str(), &error), error);
  }
  /// Reads the segment that `descriptor` is open at, and leaves the descriptor as it is. Throws ReadingError.
  static Reading of_descriptor(int descriptor) {
    shmetrics_reader_error error;
    return Reading(shmetrics_read_descriptor(descriptor, &error), error);
  }

  /// Says of a family, or of one of the names of its samples, whether it is wanted.
  using Wanted = std::function<bool(std::string_view name)>;
  /// The families that are wanted (empty: all), by name. Throws ReadingError.
  std::string text(shmetrics_format format = SHMETRICS_TEXT, const Wanted& wanted = {}) const {
    std::string text;
    Kept filter([&](const char* name) { return wanted(name) ? 1 : 0; });
    Kept sink([&](const char* bytes, std::size_t size) { return text.append(bytes, size), 0; });
    const shmetrics_wanted ask = filter.call<const char*>;
    shmetrics_reader_error error;
    const int result = shmetrics_reading_render(get(), format, wanted ? ask : nullptr, &filter,
                                                sink.call<const char*, std::size_t>, &sink, &error);
    filter.rethrow();
    sink.rethrow();
    if (result != 0) throw ReadingError(error);
    return text;
  }

  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;
  /// The value of the sample with this name and just these labels, in any order.
  std::optional<double> value(const std::string& name, Labels labels = {}) const {
    std::vector<std::string> texts;
    for (const auto& [label, value] : labels) texts.insert(texts.end(), {std::string(label), std::string(value)});
    std::vector<const char*> names, values;
    for (std::size_t i = 0; i < texts.size(); i += 2) {
      names.push_back(texts[i].c_str());
      values.push_back(texts[i + 1].c_str());
    }
    double found = 0;
    const bool is_there =
        shmetrics_reading_value(get(), name.c_str(), names.data(), values.data(), names.size(), &found) != 0;
    return is_there ? std::optional(found) : std::nullopt;
  }

  /// Gives each sample to `visit`, in the order of the text format. Throws ReadingError.
  void for_each_sample(const std::function<void(const shmetrics_sample&)>& visit) const {
    Kept each([&](const shmetrics_sample* sample) { return visit(*sample), 0; });
    shmetrics_reader_error error;
    const int result = shmetrics_reading_walk(get(), each.call<const shmetrics_sample*>, &each, &error);
    each.rethrow();
    if (result != 0) throw ReadingError(error);
  }

  /// All that take part, by number.
  std::vector<ReadWorker> workers() const {
    std::vector<ReadWorker> found;
    Kept each([&](const shmetrics_worker* worker) {
      found.push_back({worker->worker, worker->state, worker->pid, worker->program, worker->started_unix_ns,
                       worker->adopted, worker->deaths, worker->slots});
      return 0;
    });
    shmetrics_reading_workers(get(), each.call<const shmetrics_worker*>, &each);
    each.rethrow();
    return found;
  }

  const shmetrics_reading* get() const noexcept { return reading_.get(); }

 private:
  /// A function behind the C API, which no exception may go through: what it throws is kept, and it is called no more.
  template <typename Function>
  struct Kept {
    explicit Kept(Function kept) : function(std::move(kept)) {}
    template <typename... Arguments>
    static int call(void* context, Arguments... arguments) noexcept {
      Kept& kept = *static_cast<Kept*>(context);
      if (kept.thrown != nullptr) return 1;
      try {
        return kept.function(arguments...);
      } catch (...) {
        kept.thrown = std::current_exception();
        return 1;
      }
    }
    void rethrow() const {
      if (thrown != nullptr) std::rethrow_exception(thrown);
    }
    Function function;
    std::exception_ptr thrown;
  };
  struct Free {
    void operator()(shmetrics_reading* reading) const noexcept { shmetrics_reading_free(reading); }
  };

  Reading(shmetrics_reading* reading, const shmetrics_reader_error& error) : reading_(reading) {
    if (reading == nullptr) throw ReadingError(error);
  }

  std::unique_ptr<shmetrics_reading, Free> reading_;
};

}  // namespace shmetrics
