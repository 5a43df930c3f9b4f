// The first line is METRICS_TOKEN, the rest a request's target: token list, query, percent-decoding. Judged by a
// reading of the query that was written in another way.
#include <stdexcept>
#include <string>
#include <vector>

#include "exporter/access/auth.hpp"
#include "tests/fuzz/oracle.hpp"

namespace {

using namespace shmetrics;
using exporter::Verdict;

std::vector<std::string> parts(const std::string& text, char separator) {
  std::vector<std::string> found(1);
  for (const char c : text) {
    if (c == separator) {
      found.emplace_back();
    } else {
      found.back() += c;
    }
  }
  return found;
}

/// False: an escape is broken.
bool decode(const std::string& text, std::string& out) {
  static const std::string kDigits = "0123456789abcdef0123456789ABCDEF";
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] != '%') {
      out += text[i++];
      continue;
    }
    if (i + 3 > text.size()) return false;
    const std::size_t high = kDigits.find(text[i + 1]), low = kDigits.find(text[i + 2]);
    if (high == kDigits.npos || low == kDigits.npos) return false;
    out += static_cast<char>(high % 16 << 4 | low % 16);
    i += 3;
  }
  return true;
}

std::string trim(std::string text) {
  const auto is_blank = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  while (!text.empty() && is_blank(text.front())) text.erase(0, 1);
  while (!text.empty() && is_blank(text.back())) text.pop_back();
  return text;
}

/// What a template or an environment file leaves behind.
bool is_leftover(const std::string& token) {
  std::string lower = token;
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  const auto is_quote = [](char c) { return c == '"' || c == '\'' || c == '`'; };
  const bool has_reference = token.find("${") != token.npos || token.find("$(") != token.npos;
  const bool is_variable = token[0] == '$' || token.substr(0, 2) == "{{" || (token[0] == '%' && token.back() == '%');
  return lower == "undefined" || has_reference || is_variable || is_quote(token.front()) || is_quote(token.back());
}

struct Expected {
  bool is_list_good = true;
  std::vector<std::string> tokens;

  explicit Expected(const std::string& list) {
    for (const std::string& part : parts(list, ',')) {
      const std::string token = trim(part);
      if (token.empty()) continue;
      tokens.push_back(token);
      for (const char c : token) is_list_good = is_list_good && c >= '!' && c <= '~';
      is_list_good = is_list_good && token.size() >= 8 && token.size() <= 1024 && !is_leftover(token);
    }
  }

  bool knows(const std::string& offered) const {
    bool is_known = false;
    for (const std::string& token : tokens) is_known = is_known || token == offered;
    return is_known;
  }

  Verdict verdict(const std::string& target) const {
    const std::size_t mark = target.find('?');
    std::size_t shown = 0;
    bool is_valid = false;
    for (const std::string& pair : parts(mark == target.npos ? "" : target.substr(mark + 1), '&')) {
      const std::size_t equals = pair.find('=');
      std::string name, value;
      if (!decode(pair.substr(0, equals), name) || name != "token") continue;
      ++shown;
      is_valid = decode(equals == pair.npos ? "" : pair.substr(equals + 1), value) && knows(value);
    }
    if (shown == 0) return Verdict::kNoCredential;
    if (shown > 1) return Verdict::kAmbiguousCredential;
    return is_valid ? Verdict::kQueryToken : Verdict::kInvalidCredential;
  }
};

std::string without_digits(std::string text) {
  std::erase_if(text, [](char c) { return c >= '0' && c <= '9'; });
  return text;
}

const std::string& refusal_of_another_list() {
  static const std::string text = [] {
    try {
      exporter::TokenSet::from_list("a\x01");
    } catch (const std::invalid_argument& refusal) {
      return without_digits(refusal.what());
    }
    return std::string();
  }();
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const std::size_t line = std::min(bytes.find('\n'), bytes.size());
  const std::string list = bytes.substr(0, line);
  const std::string target = "/metrics" + bytes.substr(std::min(line + 1, bytes.size()));
  try {
    exporter::TokenSet::from_lines(bytes, "FILE");
  } catch (const std::invalid_argument& refusal) {
    fuzz::demand(std::string(refusal.what()).find('\n') == std::string::npos, "a refusal is one line", refusal.what());
  }
  const Expected expected(list);
  exporter::AuthPolicy policy;
  try {
    policy.tokens = exporter::TokenSet::from_list(list);
    fuzz::demand(expected.is_list_good, "a bad token is refused", list);
  } catch (const std::invalid_argument& refusal) {
    fuzz::demand(!expected.is_list_good, "a good list is taken", refusal.what());
    fuzz::demand(without_digits(refusal.what()) == refusal_of_another_list(), "a refusal tells no token",
                 refusal.what());
    return 0;
  }
  for (const std::string& token : expected.tokens) {
    fuzz::demand(policy.tokens.matches(token), "a token is known");
    fuzz::demand(policy.tokens.matches(token + "x") == expected.knows(token + "x"), "a longer one is another");
  }
  // A copy without a byte to spare, so that a read past its end is one past the allocation.
  const std::vector<char> exact(target.begin(), target.end());
  const exporter::Head head{.method = "GET", .target = {exact.data(), exact.size()}, .fields = {}};
  exporter::Request request;
  request.credential = exporter::credential_of(head, exporter::parameters_of(head.target));
  request.foreign_sign = exporter::foreign_sign_of(head, {});
  const Verdict verdict = exporter::authenticate(policy, request, {}).verdict;
  fuzz::demand(verdict == expected.verdict(target), exporter::name_of(verdict), target);
  policy.query_token = false;
  fuzz::demand(exporter::authenticate(policy, request, {}).verdict != Verdict::kQueryToken,
               "query tokens can be switched off");
  return 0;
}
