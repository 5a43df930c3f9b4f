// The secrets that let a scraper in. Only their SHA-256 is kept; no function here logs a token or puts one into an
// error.
//
// Threads: any may ask; main alone takes the environment. Failure: std::invalid_argument with one line. Lifetime:
// values.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "exporter/access/secret.hpp"

namespace shmetrics::exporter {

inline constexpr std::size_t kMinTokenLength = 8, kMaxTokenLength = 1024;
inline constexpr std::size_t kShortToken = 16;  // below this a warning is due

class TokenSet {
 public:
  /// From a list as METRICS_TOKEN has it: split at commas, blanks around a token dropped, empty ones ignored. A token
  /// is kMinTokenLength to kMaxTokenLength visible ASCII characters, without quotes around it and no placeholder
  /// (`undefined`, `${...}`). Another throws std::invalid_argument that tells its position, not its text.
  static TokenSet from_list(std::string_view list);

  /// One a line; blank lines and those that begin with # are ignored, so is a carriage return at the end. `source` is
  /// how messages call the file. Throws std::invalid_argument that tells the line's number for what is no token or has
  /// a comma, and when there is none at all.
  static TokenSet from_lines(std::string_view text, const std::string& source);

  /// Those of `other` are good too.
  void add(const TokenSet& other);

  bool empty() const { return digests_.empty(); }
  std::size_t size() const { return digests_.size(); }
  /// How many are shorter than kShortToken.
  std::size_t short_ones() const { return short_ones_; }

  /// Takes the same time whichever token matches, or none: each is compared, without early exit. Safe from any thread.
  bool matches(std::string_view offered) const;

 private:
  void add(std::string_view token, const std::string& where);

  std::vector<Digest> digests_;
  std::size_t short_ones_ = 0;
};

/// Reads METRICS_TOKEN once, overwrites its bytes where exec(2) put them (so that /proc/PID/environ does not show it)
/// and removes it from the environment. Empty when unset. Call it first in main, before a thread exists. The caller
/// wipes what it got.
std::string take_token_environment();

}  // namespace shmetrics::exporter
