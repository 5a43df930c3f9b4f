// The first byte says who asks; the rest is what comes over the connection, in one piece or in two: Beast's parser as
// a session uses it, the guard, authentication and routing.
#include <algorithm>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "exporter/http/handler.hpp"
#include "tests/exporter/asked.hpp"
#include "tests/fuzz/oracle.hpp"

namespace {

using namespace shmetrics;
namespace beast = boost::beast;
namespace http = beast::http;

constexpr std::size_t kMaxHeaderBytes = 16 * 1024;  // as exporter/http/session.hpp has it
constexpr const char* kToken = "correct-horse-battery-staple";

const exporter::Site& site() {
  static const exporter::Site kSite = [] {
    exporter::Settings settings;
    settings.auth.tokens = exporter::TokenSet::from_list(kToken);
    exporter::Site site;
    site.settings = std::make_shared<const exporter::Settings>(std::move(settings));
    site.version = "1.2.3";
    return site;
  }();
  return kSite;
}

std::string everything(const exporter::Response& response) {
  const exporter::Answer& answer = exporter::answer_of(response);
  std::string text = std::to_string(answer.status);
  for (const auto& [name, value] : answer.headers) text += "\n" + name + ": " + value;
  return text + "\n\n" + *answer.body;
}

/// Every answer there is, from requests made by hand; the metrics in each representation.
std::set<std::string> all_answers() {
  std::set<std::string> answers{everything(exporter::refuse_malformed())};
  for (const char* type :
       {"text/plain", "application/openmetrics-text;version=0.0.1", "application/openmetrics-text;version=1.0.0",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"}) {
    for (const char* escaping : {"", ";escaping=allow-utf-8", ";escaping=underscores", ";escaping=values"}) {
      for (const char* coding : {"gzip", "identity"}) {
        const std::string accept = std::string(type) + escaping;
        const exporter::Field fields[] = {{"Host", "localhost"}, {"Accept", accept}, {"Accept-Encoding", coding}};
        answers.insert(everything(
            exporter::respond_to(site(), {.target = "/metrics", .fields = {std::begin(fields), std::end(fields)}})));
      }
    }
  }
  const exporter::Field host{"Host", "localhost"};
  for (const auto kind : {exporter::Peer::Kind::kUnix, exporter::Peer::Kind::kTcp}) {
    for (const char* method : {"GET", "HEAD", "POST"}) {
      for (const char* target : {"/", "/metrics", "/-/healthy", "/nothing"}) {
        answers.insert(everything(exporter::respond_to(
            site(), {.peer = {.kind = kind}, .method = method, .target = target, .fields = {host}})));
      }
    }
  }
  return answers;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text;
}

std::string without_escapes(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      out += static_cast<char>(std::strtol(text.substr(i + 1, 2).c_str(), nullptr, 16));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

/// Whether these bytes could let a stranger in: they hold the token, as it is or escaped.
bool shows_token(const std::string& bytes) {
  return bytes.find(kToken) != bytes.npos || without_escapes(bytes).find(kToken) != std::string::npos;
}

/// Signs that a request was passed on, or made by a page of somebody else's.
bool is_passed_on(const std::string& bytes) {
  const std::string text = lower(bytes);
  for (const char* sign : {"\nforwarded:", "\nx-forwarded-for:", "\nvia:", "\nx-real-ip:", "\norigin:"}) {
    if (text.find(sign) != text.npos) return true;
  }
  return text.find(" http/1.1\r\n") == text.npos;
}

exporter::Response answer(const http::request<http::empty_body>& message, const exporter::Peer& peer) {
  std::vector<exporter::Field> fields;
  for (const auto& f : message) {
    if (fields.size() > exporter::kMaxFields) break;
    fields.push_back({f.name_string(), f.value()});
  }
  const exporter::Asked asked{.peer = peer,
                              .version = static_cast<int>(message.version()),
                              .method = message.method_string(),
                              .target = message.target(),
                              .fields = fields};
  if (!exporter::defect_of(asked.head()).empty()) return exporter::refuse_malformed();
  return exporter::respond_to(site(), asked);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::set<std::string> answers = all_answers();
  if (size < 2) return 0;
  exporter::Peer peer;
  const bool is_near = data[0] % 2 == 0;
  if (is_near) peer.kind = exporter::Peer::Kind::kUnix;
  const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t cut = data[0] < 128 ? bytes.size() : bytes.size() * (data[0] - 128) / 128;

  http::request_parser<http::empty_body> parser;
  parser.header_limit(kMaxHeaderBytes);
  beast::error_code error;
  beast::flat_static_buffer<kMaxHeaderBytes + 4096> buffer;
  std::size_t header_bytes = 0;  // what follows is the next request
  for (std::size_t at = 0; at < bytes.size() && !parser.is_header_done();) {
    const std::size_t piece = std::min(at < cut ? cut - at : bytes.size() - at, buffer.max_size() - buffer.size());
    if (piece == 0) return 0;
    buffer.commit(boost::asio::buffer_copy(buffer.prepare(piece), boost::asio::buffer(bytes.data() + at, piece)));
    at += piece;
    const std::size_t parsed = parser.put(buffer.data(), error);
    header_bytes += parsed;
    buffer.consume(parsed);
    if (error && error != http::error::need_more) return 0;
  }
  if (!parser.is_header_done()) return 0;
  const exporter::Response response = answer(parser.get(), peer);
  fuzz::demand(answers.contains(everything(response)), "an answer has nothing of its request", everything(response));
  const bool has_metrics = exporter::is_order(response);
  fuzz::demand(!has_metrics || exporter::answer_of(response).status == 200, "metrics come with 200 alone");
  const bool may = shows_token(bytes) || (is_near && !is_passed_on(bytes.substr(0, header_bytes)));
  fuzz::demand(!has_metrics || may, "who shows no credential and is not local gets no metrics", bytes);
  return 0;
}
