// For the tests of programs that use shmetrics: a segment of its own for each test, and what a scrape of it would show.
// Link target: shmetrics::testing.
#pragma once

#include <initializer_list>
#include <optional>
#include <shmetrics/shmetrics.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace shmetrics::testing {

/// A new segment in a folder of its own on tmpfs, gone with this object: the file, and whatever was declared in it.
/// Handles and families that outlive it do nothing any more, until the eighth segment after it: from then on they may
/// count in others. Threads that counted in it should have ended by then. Not for several threads.
class TemporarySegment {
 public:
  /// Options as for Registry::open; the path is chosen here. Throws std::system_error.
  explicit TemporarySegment(Options options = small());
  ~TemporarySegment();
  TemporarySegment(const TemporarySegment&) = delete;
  TemporarySegment& operator=(const TemporarySegment&) = delete;

  const Registry& registry() const { return registry_; }
  const std::string& path() const { return path_; }

  /// The sample of this name and exactly these labels, in any order, as Prometheus would store it; histograms and
  /// summaries by their `_count`, `_sum` and `_bucket` (with `le`). Nothing when a scrape would not show it.
  /// Throws std::runtime_error if somebody has spoilt the file; text() does, too.
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;
  std::optional<double> value(std::string_view sample, Labels labels = {}) const;

  /// The scrape: Prometheus text format 0.0.4.
  std::string text() const;

 private:
  static Options small();
  void take_away() noexcept;

  std::string folder_;
  std::string path_;
  Registry registry_;
};

}  // namespace shmetrics::testing
