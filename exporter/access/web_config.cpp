#include "exporter/access/web_config.hpp"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <boost/nowide/utf/utf.hpp>
#include <charconv>
#include <filesystem>
#include <functional>
#include <set>
#include <stdexcept>

#include "collector/duration.hpp"

namespace shmetrics::exporter {
namespace {

[[noreturn]] void refuse_line(const std::string& file, int line, const std::string& reason) {
  throw std::invalid_argument(fmt::format("--web.config.file {} line {}: {}", file, line, reason));
}

/// One value of the file, with the key and place that a message about it names.
struct Value {
  const std::string& file;
  std::string key;  // with those above it: tls_server_config.cert_file
  YAML::Node node;

  [[noreturn]] void refuse(const std::string& reason) const {
    refuse_line(file, node.Mark().line + 1, key.empty() ? reason : key + ": " + reason);
  }
  /// Plain or quoted, of any type; not null, and without an explicit tag, since the toolkit heeds those.
  std::string text() const {
    if (!node.IsScalar() || (node.Tag() != "?" && node.Tag() != "!")) refuse("give one word or text");
    return node.Scalar();
  }
  std::string choice(const std::vector<std::string>& allowed) const {
    std::string given = text();
    if (std::find(allowed.begin(), allowed.end(), given) == allowed.end()) {
      refuse(fmt::format("{} is not known; allowed: {}", given, fmt::join(allowed, ", ")));
    }
    return given;
  }
  bool flag() const {
    bool on = false;
    if (!node.IsScalar() || node.Tag() != "?" || !YAML::convert<bool>::decode(node, on)) refuse("give true or false");
    return on;
  }
  std::vector<Value> list() const {
    if (!node.IsSequence() || node.Tag() != "?") refuse("give a list");
    std::vector<Value> items;
    for (const YAML::Node& item : node) items.push_back({file, key, item});
    return items;
  }
  /// In the order of the file, each key once.
  std::vector<std::pair<std::string, Value>> pairs() const {
    if (!node.IsMap() || node.Tag() != "?") refuse("give a map of keys and values");
    std::vector<std::pair<std::string, Value>> found;
    std::set<std::string> seen;
    for (const auto& entry : node) {
      const Value name{file, key, entry.first};
      const std::string word = name.text();
      if (!seen.insert(word).second) name.refuse(fmt::format("{} is given twice", word));
      found.emplace_back(word, Value{file, key.empty() ? word : key + "." + word, entry.second});
    }
    return found;
  }
};

using Fields = std::map<std::string, std::function<void(const Value&)>>;

/// A key without a value is as good as none, as in the toolkit.
void read_fields(const Value& map, const Fields& fields) {
  for (const auto& [name, value] : map.pairs()) {
    const auto field = fields.find(name);
    if (field == fields.end()) {
      std::vector<std::string> known;
      for (const auto& [word, reader] : fields) known.push_back(word);
      map.refuse(fmt::format("line {}: {} is no key here; allowed: {}", value.node.Mark().line + 1, name,
                             fmt::join(known, ", ")));
    }
    if (!value.node.IsNull()) field->second(value);
  }
}

// Those of Go without the key exchange of RSA, which has no forward secrecy, and which newer toolkits refuse.
const std::vector<std::string> kCipherSuites{"TLS_AES_128_GCM_SHA256",
                                             "TLS_AES_256_GCM_SHA384",
                                             "TLS_CHACHA20_POLY1305_SHA256",
                                             "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
                                             "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
                                             "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
                                             "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
                                             "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
                                             "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
                                             "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                                             "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
                                             "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
                                             "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"};

std::string path_in(const Value& value) {
  return (std::filesystem::path(value.file).parent_path() / value.text()).string();
}

ClientAuth client_auth_of(const Value& value) {
  const std::vector<std::string> names{"NoClientCert", "RequestClientCert", "RequireAnyClientCert",
                                       "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"};
  return static_cast<ClientAuth>(std::find(names.begin(), names.end(), value.choice(names)) - names.begin());
}

TlsVersion version_of(const Value& value) {
  return value.choice({"TLS12", "TLS13"}) == "TLS12" ? TlsVersion::kTls12 : TlsVersion::kTls13;
}

std::vector<std::string> choices_of(const Value& value, const std::vector<std::string>& allowed) {
  std::vector<std::string> chosen;
  for (const Value& item : value.list()) chosen.push_back(item.choice(allowed));
  return chosen;
}

void check_tls(const Value& block, const TlsConfig& tls) {
  for (const auto& [name, pem] :
       {std::pair{"cert", &tls.certificate}, {"key", &tls.key}, {"client_ca", &tls.client_ca}}) {
    if (!pem->path.empty() && !pem->text.empty()) block.refuse(fmt::format("give {} or {}_file, not both", name, name));
  }
  if (!tls.certificate.is_given()) block.refuse("cert_file is missing; without one there is no TLS");
  if (!tls.key.is_given()) block.refuse("key_file is missing");
  if (tls.min_version > tls.max_version) block.refuse("min_version is above max_version");
  if (tls.client_ca.is_given() && tls.client_auth == ClientAuth::kNone) {
    block.refuse("client_ca_file without client_auth_type; give RequireAndVerifyClientCert, for example");
  }
  // Go would take the system's authorities: everybody with a certificate for a web site.
  if (verifies_certificate(tls.client_auth) && !tls.client_ca.is_given()) {
    block.refuse("client_auth_type verifies; client_ca_file is missing");
  }
  if (!tls.client_allowed_sans.empty() && tls.client_auth != ClientAuth::kRequireAndVerify) {
    block.refuse("client_allowed_sans needs client_auth_type RequireAndVerifyClientCert");
  }
  const auto is_for_tls13 = [](const std::string& name) { return name.find("_WITH_") == std::string::npos; };
  if (tls.cipher_suites.empty() || tls.max_version == TlsVersion::kTls13) return;
  if (std::all_of(tls.cipher_suites.begin(), tls.cipher_suites.end(), is_for_tls13)) {
    block.refuse("cipher_suites has none for max_version TLS12; add some with _WITH_ in their names");
  }
}

std::optional<TlsConfig> read_tls(const Value& block) {
  if (block.node.IsMap() && block.node.size() == 0) return std::nullopt;
  TlsConfig tls;
  const auto text = [](PemSource& pem) { return [&pem](const Value& v) { pem.text = std::string_view(v.text()); }; };
  const auto path = [](PemSource& pem) {
    return [&pem](const Value& v) { pem.path = v.text().empty() ? "" : path_in(v); };
  };
  read_fields(block,
              {{"cert", text(tls.certificate)},
               {"cert_file", path(tls.certificate)},
               {"key", text(tls.key)},
               {"key_file", path(tls.key)},
               {"client_ca", text(tls.client_ca)},
               {"client_ca_file", path(tls.client_ca)},
               {"client_auth_type", [&tls](const Value& v) { tls.client_auth = client_auth_of(v); }},
               {"client_allowed_sans",
                [&tls](const Value& v) {
                  for (const Value& item : v.list()) tls.client_allowed_sans.push_back(item.text());
                  // In the toolkit an empty list allows nobody; here it is not taken for no list.
                  if (tls.client_allowed_sans.empty()) v.refuse("the list is empty; give a name, or leave the key out");
                }},
               {"min_version", [&tls](const Value& v) { tls.min_version = version_of(v); }},
               {"max_version", [&tls](const Value& v) { tls.max_version = version_of(v); }},
               {"cipher_suites", [&tls](const Value& v) { tls.cipher_suites = choices_of(v, kCipherSuites); }},
               {"prefer_server_cipher_suites", [&tls](const Value& v) { tls.prefer_server_cipher_suites = v.flag(); }},
               {"curve_preferences", [&tls](const Value& v) {
                  tls.curves = choices_of(v, {"CurveP256", "CurveP384", "CurveP521", "X25519"});
                }}});
  check_tls(block, tls);
  return tls;
}

void read_headers(const Value& map, WebConfig& config) {
  const auto any = [&config](const Value& v) {
    const std::string value = v.text();
    const bool is_printable = std::all_of(value.begin(), value.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
    if (!is_printable) v.refuse("only visible ASCII characters and blanks are allowed");
    config.headers.emplace_back(v.key.substr(v.key.rfind('.') + 1), value);
  };
  const auto one_of = [&any](const std::vector<std::string>& allowed) {
    return [&any, allowed](const Value& v) {
      v.choice(allowed);
      any(v);
    };
  };
  read_fields(map, {{"Content-Security-Policy", any},
                    {"Strict-Transport-Security", any},
                    {"X-Content-Type-Options", one_of({"nosniff"})},
                    {"X-Frame-Options", one_of({"deny", "sameorigin"})},
                    {"X-XSS-Protection", any}});
}

bool is_bcrypt_hash(const std::string& hash) {
  constexpr std::string_view kDigits = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  constexpr std::string_view kNumerals = "0123456789";
  if (hash.size() != 60 || !hash.starts_with("$2") || hash[3] != '$' || hash[6] != '$') return false;
  if (hash[2] != 'a' && hash[2] != 'b' && hash[2] != 'y') return false;
  if (hash.substr(4, 2).find_first_not_of(kNumerals) != std::string::npos) return false;
  return hash.find_first_not_of(kDigits, 7) == std::string::npos;
}

void read_users(const Value& map, WebConfig& config) {
  for (const auto& [name, value] : map.pairs()) {
    if (name.empty() || name.find(':') != std::string::npos)
      value.refuse("a user's name is not empty and has no colon");
    const std::string hash = value.text();
    if (!is_bcrypt_hash(hash)) value.refuse("give a bcrypt hash, as htpasswd -nBC 10 USER prints it");
    const int cost = std::stoi(hash.substr(4, 2));
    if (cost < 4 || cost > kMaxBcryptCost) {
      value.refuse(fmt::format("the bcrypt cost is {}; allowed: 4 to {}", cost, kMaxBcryptCost));
    }
    config.users[name] = hash;
  }
}

std::chrono::milliseconds interval_of(const Value& value) {
  const std::string text = value.text();
  if (text == "0" || text == "0s") return {};
  const auto interval = collector::parse_duration(text);
  if (!interval) value.refuse(fmt::format("{} is no duration from 1ms to 24h; 0 switches the limit off", text));
  return *interval;
}

int burst_of(const Value& value) {
  constexpr int kMost = 1'000'000;
  const std::string text = value.text();
  int burst = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), burst);
  const bool is_number = error == std::errc{} && end == text.data() + text.size() && (text[0] != '0' || text == "0");
  // The toolkit takes text for no number.
  if (!is_number || value.node.Tag() != "?" || burst < 0 || burst > kMost) {
    value.refuse(fmt::format("give a number of requests from 1 to {}", kMost));
  }
  return burst;
}

/// Without one of the two the toolkit serves nobody, or everybody.
void read_rate_limit(const Value& block, WebConfig& config) {
  bool has_interval = false;
  read_fields(block, {{"burst", [&config](const Value& v) { config.rate_limit.burst = burst_of(v); }},
                      {"interval", [&](const Value& v) {
                         config.rate_limit.interval = interval_of(v);
                         has_interval = true;
                       }}});
  if (config.rate_limit.burst > 0 && !has_interval) block.refuse("interval is missing; 1s, for example");
  if (config.rate_limit.interval.count() > 0 && config.rate_limit.burst == 0)
    block.refuse("burst is missing, or 0; 20, for example");
}

/// Whether YAML calls it printable. yaml-cpp does not check that; the toolkit's parser does.
void check_characters(const std::string& text, const std::string& path) {
  using Utf8 = boost::nowide::utf::utf_traits<char>;
  int line = 1;
  for (auto at = text.begin(); at != text.end();) {
    const auto point = Utf8::decode(at, text.end());
    if (point == '\n') ++line;
    const bool is_control = (point < 0x20 && point != '\t' && point != '\n' && point != '\r') ||
                            (point >= 0x7f && point < 0xa0) || (point >= 0xfffe && point <= 0xffff);
    if (is_control || point == boost::nowide::utf::illegal || point == boost::nowide::utf::incomplete) {
      refuse_line(path, line, "a control character or a byte that is no UTF-8; save the file as plain text in UTF-8");
    }
  }
}

}  // namespace

WebConfig parse_web_config(const std::string& text, const std::string& path) {
  check_characters(text, path);
  WebConfig config;
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(text);
    if (documents.size() > 1) refuse_line(path, documents[1].Mark().line + 1, "a second document; remove it");
    if (documents.empty() || documents[0].IsNull()) return config;
    const auto headers = [&config](const Value& v) { read_headers(v, config); };
    // http2 is accepted and changes nothing: this exporter speaks HTTP/1.1, and so does every client of HTTP/2.
    const auto http = [&headers](const Value& v) {
      read_fields(v, {{"http2", [](const Value& on) { on.flag(); }}, {"headers", headers}});
    };
    read_fields({path, "", documents[0]},
                {{"tls_server_config", [&config](const Value& v) { config.tls = read_tls(v); }},
                 {"http_server_config", http},
                 {"basic_auth_users", [&config](const Value& v) { read_users(v, config); }},
                 {"rate_limit", [&config](const Value& v) { read_rate_limit(v, config); }}});
  } catch (const YAML::Exception& error) {
    refuse_line(path, error.mark.line + 1, fmt::format("no YAML: {}", error.msg));
  }
  return config;
}

}  // namespace shmetrics::exporter
