#include "exporter/access/tokens.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

#include "exporter/request/head.hpp"

namespace shmetrics::exporter {
namespace {

constexpr std::string_view kVariable = "METRICS_TOKEN";
constexpr std::string_view kBlanks = " \t\r\n\v\f";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

/// Not what an unexpanded template, an unset variable or the quotes of an environment file leave behind: everybody can
/// guess that.
bool is_token(std::string_view text) {
  constexpr std::string_view kQuotes = "\"'`";
  const bool is_visible =
      std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f && c != ','; });
  if (!is_visible || text.size() < kMinTokenLength || text.size() > kMaxTokenLength) return false;
  if (kQuotes.find(text.front()) != kQuotes.npos || kQuotes.find(text.back()) != kQuotes.npos) return false;
  if (text.front() == '$' || text.starts_with("{{") || (text.front() == '%' && text.back() == '%')) return false;
  const bool has_reference = text.find("${") != text.npos || text.find("$(") != text.npos;
  return !same_name(text, "undefined") && !has_reference;  // `null` is too short already
}

}  // namespace

TokenSet TokenSet::from_list(std::string_view list) {
  TokenSet set;
  std::size_t position = 0;
  while (true) {
    const std::size_t comma = list.find(',');
    ++position;
    if (const auto token = trimmed(list.substr(0, comma)); !token.empty()) {
      set.add(token, fmt::format("token {} of METRICS_TOKEN", position));
    }
    if (comma == std::string_view::npos) return set;
    list.remove_prefix(comma + 1);
  }
}

TokenSet TokenSet::from_lines(std::string_view text, const std::string& source) {
  TokenSet set;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::string_view token = trimmed(line);
    if (!token.empty() && token.front() != '#') set.add(token, fmt::format("{} line {}", source, number));
  }
  if (set.empty()) {
    throw std::invalid_argument(source + ": no token in it; write one a line, for example: openssl rand -hex 32");
  }
  return set;
}

void TokenSet::add(const TokenSet& other) {
  digests_.insert(digests_.end(), other.digests_.begin(), other.digests_.end());
  short_ones_ += other.short_ones_;
}

void TokenSet::add(std::string_view token, const std::string& where) {
  if (!is_token(token)) {
    throw std::invalid_argument(
        fmt::format("{} is not {} to {} visible ASCII characters without comma, or is quoted or a "
                    "placeholder; make one with: openssl rand -hex 32",
                    where, kMinTokenLength, kMaxTokenLength));
  }
  if (token.size() < kShortToken) ++short_ones_;
  digests_.push_back(sha256(token));
}

bool TokenSet::matches(std::string_view offered) const {
  if (offered.empty() || offered.size() > kMaxTokenLength) return false;
  const Digest digest = sha256(offered);
  unsigned found = 0;
  for (const Digest& known : digests_) {
    found |= static_cast<unsigned>(CRYPTO_memcmp(known.data(), digest.data(), digest.size()) == 0);
  }
  return found != 0;
}

std::string take_token_environment() {
  std::string taken;
  bool is_first = true;
  // The list itself and not getenv: a second variable of the same name would stay readable.
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    std::string_view text(*entry);
    if (!text.starts_with(kVariable) || text.substr(kVariable.size(), 1) != "=") continue;
    text.remove_prefix(kVariable.size() + 1);
    if (is_first) taken = text;
    is_first = false;
    OPENSSL_cleanse(*entry + kVariable.size() + 1, text.size());
  }
  unsetenv(kVariable.data());
  return taken;
}

}  // namespace shmetrics::exporter
