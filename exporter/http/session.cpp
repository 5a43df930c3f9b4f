#include "exporter/http/session.hpp"

#include <fmt/chrono.h>
#include <linux/sockios.h>
#include <openssl/crypto.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <ctime>
#include <optional>
#include <variant>
#include <vector>

#include "exporter/http/transport.hpp"

namespace shmetrics::exporter {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

using Clock = std::chrono::steady_clock;
// Static, so that a chunk extension or a trailer cannot make it grow. A request of the permitted size fits behind what
// is pipelined.
using Buffer = beast::flat_static_buffer<kMaxHeaderBytes + 4096>;
using Parser = http::request_parser<http::empty_body, WipingAllocator<char>>;
using Message = Parser::value_type;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kPasswordPause{5};
constexpr std::size_t kMaxLingerBytes = 256 * 1024;  // of a stranger

std::string http_date() {
  return fmt::format("{:%a, %d %b %Y %H:%M:%S GMT}", fmt::gmtime(std::time(nullptr)));
}

bool is_parse_error(const beast::error_code& error) {
  return error.category() == http::make_error_code(http::error::bad_method).category() &&
         error != http::error::end_of_stream && error != http::error::partial_message;
}

class CountedRequest {
 public:
  explicit CountedRequest(std::uint64_t& count) : count_(count) { ++count_; }
  ~CountedRequest() { --count_; }
  CountedRequest(const CountedRequest&) = delete;

 private:
  std::uint64_t& count_;
};

/// One among those who have a scrape in flight.
class ScrapePlace {
 public:
  ScrapePlace(std::list<Peer>& all, const Peer& peer) : all_(all), at_(all.insert(all.end(), peer)) {}
  ~ScrapePlace() { all_.erase(at_); }
  ScrapePlace(const ScrapePlace&) = delete;

 private:
  std::list<Peer>& all_;
  std::list<Peer>::iterator at_;
};

class Session {
 public:
  Session(Socket socket, Connection& connection, SessionContext& context)
      : transport_(std::move(socket), context.site.settings->tls), connection_(connection), context_(context) {
    connection_.hang_up = [this] { stream_.close(); };
    // One that has not asked yet may ask once, if only the certificate is another.
    connection_.is_outdated = [this] { return is_revoked() || (requests_ > 0 && is_outdated()); };
  }
  ~Session() {
    connection_.hang_up = {};
    connection_.is_outdated = {};
    buffer_.clear();
    const auto bytes = buffer_.prepare(buffer_.max_size());
    OPENSSL_cleanse(bytes.data(), bytes.size());  // the last requests, with their credentials
  }

  asio::awaitable<void> run() {
    if (transport_.tls()) {
      const bool is_agreed = co_await shake_hands();
      if (!is_agreed) {
        co_await linger();
        co_return;
      }
    }
    for (bool goes_on = true; goes_on; ++requests_) {
      if (!co_await await_first_byte() || is_revoked()) co_return;
      Parser parser;
      parser.header_limit(kMaxHeaderBytes);
      const auto [error, size] = co_await http::async_read_header(transport_, buffer_, parser, kAwait);
      if (error && !is_parse_error(error)) co_return note_timeout(error, CloseReason::kHeaderTimeout);
      const auto arrival = Clock::now();
      const CountedRequest guard(context_.counts.in_flight);
      std::optional<ScrapePlace> place;
      settings_ = context_.site.settings;
      // Not `error ? ... : co_await ...`: g++ 12 destroys what such an expression gives twice.
      Response response = refuse_malformed();
      if (!error) response = co_await respond_to(parser.get());
      if (auto* order = std::get_if<ScrapeOrder>(&response)) {
        place.emplace(context_.scraping, connection_.peer);
        response = co_await collect(std::move(*order), arrival);
      }
      if (is_revoked()) co_return;  // a reload came while the head did, or a password was checked, or a scrape made
      goes_on = co_await write(std::get<Answer>(std::move(response)), parser.get());
    }
    if (transport_.tls()) {
      // Waits for the peer's goodbye, which it need not send.
      stream_.expires_after(linger_time());
      co_await transport_.tls()->async_shutdown(kAwait);
    }
    co_await linger();
  }

 private:
  /// A reload has changed whom a connection may belong to: what the handshake found right by the old rules counts no
  /// longer, not even for one request. A client that was idle asks again on a new connection.
  bool is_revoked() const {
    const TlsContext* const now = context_.site.settings->tls.get();
    const TlsContext* const then = transport_.made_under();
    return now == nullptr || then == nullptr ? now != then : !now->judges_clients_as(*then);
  }
  /// A reload has changed anything about connections, the certificate too.
  bool is_outdated() const {
    const TlsContext* const now = context_.site.settings->tls.get();
    return is_revoked() || (now != nullptr && !now->is_same_as(*transport_.made_under()));
  }

  asio::awaitable<bool> shake_hands() {
    stream_.expires_after(context_.limits.header_timeout);
    const auto [error] = co_await transport_.tls()->async_handshake(asio::ssl::stream_base::server, kAwait);
    if (!error) co_return true;
    const bool is_tls_error = error.category() == asio::error::get_ssl_category();
    if (is_tls_error && ERR_GET_REASON(static_cast<unsigned long>(error.value())) == SSL_R_HTTP_REQUEST) {
      co_await write_plainly(
          "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 28\r\n\r\n"
          "this port speaks HTTPS only\n");
    }
    note_timeout(error, CloseReason::kHeaderTimeout);
    note_failed_handshake(error);
    co_return false;
  }

  asio::awaitable<void> write_plainly(std::string_view text) {
    stream_.expires_after(kLingerTimeout);
    co_await stream_.async_write_some(asio::buffer(text), kAwait);
  }

  void note_failed_handshake(const beast::error_code& error) {
    const std::string peer = connection_.peer.text();
    if (error.category() != asio::error::get_ssl_category()) {
      // A port scan, a probe that only connects, or silence until the deadline.
      return log(LogLevel::kDebug, "TLS handshake not finished", {{"peer", peer}, {"error", error.message()}});
    }
    const std::string cause = tls_failure_of(transport_.tls()->native_handle(), error.message());
    context_.refusals.log("TLS", LogLevel::kWarn, "TLS handshake refused", {{"cause", cause}, {"peer", peer}});
  }

  /// False when the connection is over. A pipelined request has its first byte already.
  asio::awaitable<bool> await_first_byte() {
    const bool is_first = requests_ == 0;
    const Limits& limits = context_.limits;
    connection_.is_waiting = buffer_.size() == 0;
    const auto header_deadline = Clock::now() + limits.header_timeout;
    if (connection_.is_waiting) {
      stream_.expires_at(is_first ? header_deadline : Clock::now() + limits.idle_timeout);
      const auto [error, size] = co_await transport_.async_read_some(buffer_.prepare(2048), kAwait);
      if (error) {
        note_timeout(error, is_first ? CloseReason::kHeaderTimeout : CloseReason::kIdleTimeout);
        co_return false;
      }
      buffer_.commit(size);
      connection_.is_waiting = false;
    }
    stream_.expires_at(is_first ? header_deadline : Clock::now() + limits.header_timeout);
    co_return true;
  }

  void note_timeout(const beast::error_code& error, CloseReason reason) {
    if (error == beast::error::timeout) note_closed(context_, reason, connection_.peer);
  }

  asio::awaitable<Response> respond_to(const Message& message) {
    std::vector<Field> fields;
    for (const auto& f : message) {
      // One more than permitted is enough to be refused.
      if (fields.size() > kMaxFields) break;
      fields.push_back({f.name_string(), f.value()});
    }
    const auto request = parse_request({.version = static_cast<int>(message.version()),
                                        .method = message.method_string(),
                                        .target = message.target(),
                                        .fields = fields},
                                       connection_.peer);
    if (!request) co_return refuse_malformed();
    const Target target = target_of(context_.site, *request);
    Admission admission{settings_, {Verdict::kOpen}};
    if (!target.is_open) admission = co_await admit(*request);
    settings_ = admission.settings;
    co_await note(admission.judgement.verdict);
    // A stranger takes nothing from the bucket, so it shuts nobody out.
    if (!target.is_open && is_admitted(admission.judgement.verdict)) {
      if (const auto wait = context_.bucket.wait_for(settings_->rate_limit, Clock::now())) {
        admission.judgement = {Verdict::kRateLimited};
        admission.wait = *wait;
      }
    }
    if (admission.judgement.verdict == Verdict::kQueryToken && context_.counts.query_token_requests++ == 0) {
      log(LogLevel::kWarn, "a token came in a query, where proxies log it; send it as Authorization: Bearer TOKEN");
    }
    co_return respond(context_.site, *request, target, admission);
  }

  asio::awaitable<Admission> admit(const Request& request) {
    const Caller caller{.has_verified_certificate = transport_.has_verified_client(),
                        .is_trusted = [this] { return is_trusted_peer(); }};
    while (true) {
      const std::shared_ptr<const Settings> settings = context_.site.settings;
      const Judgement judgement = authenticate(settings->auth, request, caller);
      if (judgement.verdict != Verdict::kUncheckedPassword) co_return Admission{settings, judgement};
      const Login login = login_for(settings->auth, std::get<BasicLogin>(request.credential));
      if (!context_.site.passwords->remembers(login)) co_await hold_back();
      using Outcome = PasswordChecker::Outcome;
      const auto check = context_.site.passwords->check(login, connection_.peer);
      if (!check) co_return Admission{settings, {Verdict::kPasswordsWaiting}};
      // Polled, not awaited, so that no other thread ever touches this coroutine.
      for (asio::steady_timer pause(transport_.get_executor()); *check == Outcome::kPending;) {
        pause.expires_after(kPasswordPause);
        co_await pause.async_wait(kAwait);
      }
      // A reload in the meantime: what was right by the old settings is asked of the new ones.
      if (settings != context_.site.settings) continue;
      if (*check == Outcome::kFailed) co_return Admission{settings, {Verdict::kPasswordsWaiting}};
      co_return Admission{settings, {*check == Outcome::kRight ? Verdict::kBasic : Verdict::kInvalidCredential}};
    }
  }

  /// What a verdict means for this connection, and for others of its peer.
  asio::awaitable<void> note(Verdict verdict) {
    if (verdict == Verdict::kInvalidCredential || verdict == Verdict::kAmbiguousCredential) {
      context_.memory.note_wrong(connection_.peer, Clock::now());
      co_await hold_back();
    } else if (is_admitted(verdict) && verdict != Verdict::kOpen) {
      context_.memory.note_right(connection_.peer, Clock::now());
      connection_.was_let_in = true;
    }
  }

  /// A peer that guesses credentials waits longer each time. Our own user and root on this machine never wait.
  asio::awaitable<void> hold_back() {
    const auto pause = context_.memory.pause_for(connection_.peer, Clock::now());
    const bool is_near = connection_.peer.kind == Peer::Kind::kUnix || connection_.peer.is_loopback();
    if (pause.count() == 0 || (is_near && is_trusted_peer())) co_return;
    asio::steady_timer timer(transport_.get_executor(), pause);
    co_await timer.async_wait(kAwait);
  }

  /// Asked of the kernel until it answers, which may fail for want of memory.
  bool is_trusted_peer() {
    if (!is_trusted_) {
      const auto owner = owner_of_peer(stream_.socket().native_handle());
      owner_ = owner ? std::to_string(*owner) : "unknown";
      if (!owner) return false;
      is_trusted_ = context_.trusted_users.includes(*owner);
    }
    return *is_trusted_;
  }

  asio::awaitable<Answer> collect(ScrapeOrder order, Clock::time_point arrival) {
    if (has_too_many_scrapes()) co_return failed(order, ScrapeFailure::kBusy);
    // If the scraper gives up just when the response comes, the response and the connection are lost.
    constexpr double kPart = 0.95;
    const std::chrono::duration<double> asked = order.patience.value_or(kMostPatience) * kPart;
    const auto patience = std::min<std::chrono::duration<double>>(asked, kMostPatience);
    const auto deadline = arrival + std::chrono::duration_cast<Clock::duration>(patience);
    auto outcome = co_await context_.scrapes.get(order.query, connection_.peer, deadline);
    if (auto* text = std::get_if<std::shared_ptr<const std::string>>(&outcome)) {
      co_return fulfilled(std::move(order), std::move(*text));
    }
    co_return failed(order, std::get<ScrapeFailure>(outcome));
  }

  /// With this one. A peer has no more than half of the places, so that none shuts out the others.
  bool has_too_many_scrapes() const {
    const std::size_t most = context_.limits.max_requests;
    if (most == 0) return false;
    const auto is_of_peer = [this](const Peer& peer) { return peer.same_site(connection_.peer); };
    const auto of_peer = std::count_if(context_.scraping.begin(), context_.scraping.end(), is_of_peer);
    return context_.scraping.size() > most || static_cast<std::size_t>(of_peer) > std::max<std::size_t>(most / 2, 1);
  }

  asio::awaitable<bool> write(Answer answer, const Message& request) {
    context_.counts.count(answer.status, answer.route);
    note(answer);
    // The operator's headers replace ours.
    for (const auto& [name, value] : settings_->headers) answer.set_header(name, value);
    http::response<http::span_body<const char>> message(http::int_to_status(answer.status), request.version());
    for (const auto& [name, value] : answer.headers) message.insert(name, value);
    message.set(http::field::date, http_date());
    const bool may_stay =
        request.keep_alive() && !answer.closes && !context_.is_draining && !is_outdated() && !connection_.is_extra;
    const bool is_last = may_stay && requests_ + 1 == kMaxRequestsPerConnection;
    if (is_last) note_closed(context_, CloseReason::kMaxRequests, connection_.peer);
    message.keep_alive(may_stay && !is_last);
    message.content_length(answer.body->size());
    message.body() = {answer.body->data(), answer.body->size()};
    http::response_serializer<http::span_body<const char>> serializer(message);
    serializer.split(answer.omits_body);
    for (std::size_t written = kWriteChunkBytes;
         !(answer.omits_body ? serializer.is_header_done() : serializer.is_done());) {
      if (written >= kWriteChunkBytes) {
        stream_.expires_after(context_.limits.write_timeout);
        written = 0;
      }
      const auto [error, size] = co_await http::async_write_some(transport_, serializer, kAwait);
      if (error) {
        note_timeout(error, CloseReason::kWriteTimeout);
        co_return false;
      }
      written += size;
    }
    co_return message.keep_alive() && !context_.is_draining;  // which may have begun since the header was made
  }

  void note(const Answer& answer) {
    const std::string status = std::to_string(answer.status);
    const std::string peer = connection_.peer.text();
    log(LogLevel::kDebug, "request", {{"status", status}, {"handler", name_of(answer.route)}, {"peer", peer}});
    if (answer.cause == nullptr) return;
    LogFields fields{{"status", status}, {"cause", answer.cause}, {"peer", peer}};
    if (!answer.header.empty()) fields.emplace_back("header", answer.header);
    if (answer.cause == std::string_view("peer_uid")) fields.emplace_back("uid", owner_);
    context_.refusals.log(answer.cause, LogLevel::kWarn, "request refused", fields, connection_.peer.site_text());
  }

  /// A peer that was let in has the same time for the rest of its last answer as for each piece before.
  std::chrono::milliseconds linger_time() {
    int unsent = 0;
    const bool is_late = ::ioctl(stream_.socket().native_handle(), SIOCOUTQNSD, &unsent) == 0 && unsent > 0;
    return connection_.was_let_in && is_late ? context_.limits.write_timeout : kLingerTimeout;
  }

  /// If we close while the peer still sends, the kernel sends a reset, and the peer loses answers that it has not read
  /// yet. So we read on for a while.
  asio::awaitable<void> linger() {
    beast::error_code ignored;
    stream_.socket().shutdown(asio::socket_base::shutdown_send, ignored);
    stream_.expires_after(linger_time());
    buffer_.clear();
    for (std::size_t read = 0; read < kMaxLingerBytes || connection_.was_let_in;) {
      const auto [error, size] = co_await stream_.async_read_some(buffer_.prepare(buffer_.max_size()), kAwait);
      if (error) co_return;
      read += size;
    }
  }

  Transport transport_;
  Stream& stream_ = transport_.stream();
  Buffer buffer_;
  Connection& connection_;
  SessionContext& context_;
  std::shared_ptr<const Settings> settings_;  // of the request under way: what judged it also dresses its answer
  std::size_t requests_ = 0;                  // answered
  std::optional<bool> is_trusted_;            // the peer's process, once it was asked for
  std::string owner_;                         // its user, or `unknown`
};

}  // namespace

void note_closed(SessionContext& context, CloseReason reason, const Peer& peer) {
  context.counts.connections.count(reason);
  // A scraper that comes every five minutes reaches these two deadlines, and is not at fault.
  const bool is_usual = reason == CloseReason::kIdleTimeout || reason == CloseReason::kMaxRequests;
  context.refusals.log(name_of(reason), is_usual ? LogLevel::kDebug : LogLevel::kWarn, "a limit closed a connection",
                       {{"reason", name_of(reason)}, {"peer", peer.text()}});
}

asio::awaitable<void> serve(Socket socket, Connection& connection, SessionContext& context) {
  Session session(std::move(socket), connection, context);
  co_await session.run();
}

}  // namespace shmetrics::exporter
