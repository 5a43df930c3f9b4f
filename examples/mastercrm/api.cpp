#include "examples/mastercrm/api.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>

#include "examples/mastercrm/job_queue.hpp"
#include "examples/mastercrm/upstream.hpp"

namespace mastercrm {
namespace {

using nlohmann::json;

constexpr std::string_view kProvider = "local";
constexpr auto kModelTimeout = std::chrono::seconds(30);
constexpr std::int64_t kMostRecipients = 5000;
constexpr std::size_t kMostCached = 10'000;
constexpr std::string_view kEnds = "/?";  // of a part of a path

constexpr Limit kApiLimit{"ip", "api", 2000, 2000};
constexpr Limit kCampaignLimit{"company", "campaigns", 1, 2};
constexpr Limit kAiLimit{"company", "ai", 100, 100};

struct BadRequest : std::runtime_error {
  using std::runtime_error::runtime_error;
};

Response error(unsigned status, std::string_view text) {
  return {status, json{{"error", text}}.dump()};
}

/// The number in "/contacts/17/...". Too long a number is nobody's, and so is a UUID, which is an :id of routes too.
std::int64_t id_in(std::string_view target) {
  const auto* const begin = target.data() + std::min(target.find('/', 1), target.size() - 1) + 1;
  const auto* const end = std::find_first_of(begin, target.data() + target.size(), kEnds.begin(), kEnds.end());
  std::int64_t id = -1;
  const auto [stop, error] = std::from_chars(begin, end, id);
  return error == std::errc() && stop == end ? id : -1;
}

/// A field whose value becomes a label, so only what is known passes.
template <std::size_t N>
std::string choice(const json& body, const char* field, const std::string_view (&known)[N]) {
  auto value = body.value(field, std::string());
  if (std::find(std::begin(known), std::end(known), value) == std::end(known)) {
    throw BadRequest(std::string(field) + " has an unknown value");
  }
  return value;
}

std::string text(const json& body, const char* field) {
  auto value = body.value(field, std::string());
  if (value.empty()) throw BadRequest(std::string(field) + " is missing");
  return value;
}

/// A path of a subscriber's server. Spaces and ends of lines would make two requests out of one to it.
std::string path(const json& body) {
  auto value = text(body, "path");
  const auto is_plain = [](unsigned char c) { return c > ' ' && c < 0x7f; };
  if (value[0] != '/' || !std::all_of(value.begin(), value.end(), is_plain)) throw BadRequest("path is no path");
  return value;
}

std::int64_t number(const json& body, const char* field, std::int64_t most) {
  const auto value = body.value(field, std::int64_t{0});
  if (value < 1 || value > most) throw BadRequest(std::string(field) + " is not from 1 to " + std::to_string(most));
  return value;
}

}  // namespace

Api::Api(const Catalogue& metrics, Database& database, std::uint16_t upstream_port)
    : metrics_(metrics),
      database_(database),
      upstream_port_(upstream_port),
      contacts_(metrics, "contact", kMostCached),
      conversations_(metrics, "conversation", kMostCached),
      limiter_(metrics) {
  const auto serve = [this](const char* where, Action action) {
    handlers_[where] = [this, action](const Request& request) { return act(action, request); };
  };
  serve("GET /contacts", &Api::list_contacts);
  serve("POST /contacts", &Api::add_contact);
  serve("GET /contacts/:id", &Api::get_contact);
  serve("PUT /contacts/:id", &Api::change_contact);
  serve("POST /conversations", &Api::open_conversation);
  serve("GET /conversations/:id", &Api::get_conversation);
  serve("POST /conversations/:id/messages", &Api::add_message);
  serve("POST /conversations/:id/close", &Api::close_conversation);
  serve("POST /webhooks", &Api::subscribe);
  serve("POST /campaigns", &Api::start_campaign);
  serve("POST /ai/replies", &Api::write_reply);
  serve("POST /sessions", &Api::see_user);
  serve("GET /reports/forecast", &Api::forecast);
  handlers_["GET /health"] = [](const Request&) { return Response{}; };
}

Response Api::act(Action action, const Request& request) try {
  if (!limiter_.allows(kApiLimit, request.peer)) return error(429, "too many requests");
  return (this->*action)(request);
} catch (const BadRequest& bad) {
  return error(400, bad.what());
} catch (const json::exception&) {
  return error(400, "the body is not the JSON that this takes");
} catch (const DatabaseError& failure) {
  if (failure.type == "constraint") return error(409, "is there already");
  return error(503, "the database does not answer");
}

const Handler* Api::find(std::string_view method, std::string_view route) const {
  const auto found = handlers_.find(std::string(method).append(" ").append(route));
  return found == handlers_.end() ? nullptr : &found->second;
}

Response Api::list_contacts(const Request&) {
  json list = json::array();
  for (const auto& row :
       database_.query({"select", "contacts"}, "SELECT id, email FROM contacts ORDER BY id LIMIT 20")) {
    list.push_back({{"id", std::stoll(row[0])}, {"email", row[1]}});
  }
  return {200, list.dump()};
}

Response Api::get_contact(const Request& request) {
  const auto id = id_in(request.target);
  const auto key = std::to_string(id);
  if (const auto cached = contacts_.get(key)) return {200, *cached};
  const auto rows = database_.query({"select", "contacts"}, "SELECT email, name FROM contacts WHERE id = ?", {id});
  if (rows.empty()) return error(404, "no such contact");
  auto body = json{{"id", id}, {"email", rows[0][0]}, {"name", rows[0][1]}}.dump();
  contacts_.set(key, body);
  return {200, body};
}

Response Api::add_contact(const Request& request) {
  const json body = json::parse(request.body);
  const auto rows =
      database_.query({"insert", "contacts"}, "INSERT INTO contacts(email, name) VALUES(?, ?) RETURNING id",
                      {text(body, "email"), text(body, "name")});
  return {201, json{{"id", std::stoll(rows[0][0])}}.dump()};
}

Response Api::change_contact(const Request& request) {
  const auto id = id_in(request.target);
  const auto name = text(json::parse(request.body), "name");
  const auto rows =
      database_.query({"update", "contacts"}, "UPDATE contacts SET name = ? WHERE id = ? RETURNING id", {name, id});
  if (rows.empty()) return error(404, "no such contact");
  contacts_.erase(std::to_string(id));
  return {};
}

Response Api::open_conversation(const Request& request) {
  const json body = json::parse(request.body);
  const auto channel = choice(body, "channel", kChannels), initiator = choice(body, "initiated_by", kInitiators);
  const auto rows = database_.query(
      {"insert", "conversations"},
      "INSERT INTO conversations(contact, channel, opened) SELECT id, ?, ? FROM contacts WHERE id = ? RETURNING id",
      {channel, now_seconds(), body.at("contact").get<std::int64_t>()});
  if (rows.empty()) return error(404, "no such contact");
  metrics_.conversations_created.with(channel, initiator).inc();
  const json conversation{{"id", std::stoll(rows[0][0])}};
  publish("conversation.created", conversation);
  return {201, conversation.dump()};
}

Response Api::get_conversation(const Request& request) {
  const auto id = id_in(request.target);
  const auto key = std::to_string(id);
  if (const auto cached = conversations_.get(key)) return {200, *cached};
  const auto rows = database_.query({"select", "conversations"},
                                    "SELECT contact, channel, closed FROM conversations WHERE id = ?", {id});
  if (rows.empty()) return error(404, "no such conversation");
  const json found{
      {"id", id}, {"contact", std::stoll(rows[0][0])}, {"channel", rows[0][1]}, {"open", rows[0][2].empty()}};
  conversations_.set(key, found.dump());
  return {200, found.dump()};
}

/// A message to a closed conversation opens it again.
Response Api::add_message(const Request& request) {
  const json body = json::parse(request.body);
  const auto direction = choice(body, "direction", kDirections);
  const auto message = text(body, "text");
  const auto id = id_in(request.target);
  const auto rows =
      database_.query({"update", "conversations"},
                      "UPDATE conversations SET opened = iif(closed IS NULL, opened, ?), closed = NULL WHERE id = ? "
                      "RETURNING channel, contact",
                      {now_seconds(), id});
  if (rows.empty()) return error(404, "no such conversation");
  conversations_.erase(std::to_string(id));
  const auto& channel = rows[0][0];
  try {
    database_.query({"insert", "messages"},
                    "INSERT INTO messages(conversation, contact, channel, direction, text) VALUES(?, ?, ?, ?, ?)",
                    {id, std::stoll(rows[0][1]), channel, direction, message});
  } catch (const DatabaseError&) {
    metrics_.messages_processed.with(channel, direction, "failed").inc();
    throw;
  }
  metrics_.messages_processed.with(channel, direction, "success").inc();
  publish("message.created", json{{"conversation", id}});
  return {201};
}

Response Api::close_conversation(const Request& request) {
  const auto id = id_in(request.target);
  const auto now = now_seconds();
  const auto rows = database_.query(
      {"update", "conversations"},
      "UPDATE conversations SET closed = ? WHERE id = ? AND closed IS NULL RETURNING channel, opened", {now, id});
  if (rows.empty()) return error(409, "is closed, or not there");
  conversations_.erase(std::to_string(id));
  metrics_.conversation_duration.with(rows[0][0]).observe(std::max(0.0, now - std::stod(rows[0][1])));
  return {};
}

Response Api::subscribe(const Request& request) {
  const json body = json::parse(request.body);
  database_.query(
      {"insert", "subscriptions"}, "INSERT OR REPLACE INTO subscriptions VALUES(?, ?, ?)",
      {choice(body, "subscription_type", kSubscriptionTypes), choice(body, "event_type", kEventTypes), path(body)});
  return {201};
}

/// A job for each subscriber: a slow one holds up nobody's request.
void Api::publish(std::string_view event, const json& what) {
  for (const auto& row : database_.query(
           {"select", "subscriptions"}, "SELECT type, path FROM subscriptions WHERE event = ?", {std::string(event)})) {
    const json job{{"subscription_type", row[0]}, {"event_type", event}, {"path", row[1]}, {"event", what}};
    enqueue(database_, "webhooks", "deliver", job.dump());
  }
}

Response Api::start_campaign(const Request& request) {
  const json body = json::parse(request.body);
  if (!limiter_.allows(kCampaignLimit, choice(body, "company", kCompanies))) return error(429, "one campaign a second");
  const json message{{"campaign_type", choice(body, "campaign_type", kCampaignTypes)},
                     {"channel", choice(body, "channel", kChannels)},
                     {"text", text(body, "text")}};
  const auto recipients = number(body, "recipients", kMostRecipients);
  // A job a recipient, in one statement and so in one transaction: all of a campaign is in the queue, or nothing.
  database_.query({"insert", "jobs"},
                  "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO jobs(queue, "
                  "type, payload, status, changed) SELECT 'campaigns', 'send', json_set(?, '$.contact', i % 50 + 1), "
                  "'waiting', ? FROM n",
                  {recipients, message.dump(), now_seconds()});
  return {202, json{{"recipients", recipients}}.dump()};
}

Response Api::write_reply(const Request& request) {
  const json body = json::parse(request.body);
  const auto model = choice(body, "model", kModels), operation = choice(body, "operation", kAiOperations);
  if (!limiter_.allows(kAiLimit, choice(body, "company", kCompanies))) return error(429, "too many requests");
  const json prompt{{"model", model}, {"messages", {{{"role", "user"}, {"content", text(body, "text")}}}}};
  const auto failed = [&](std::string_view type) {
    metrics_.ai_errors.with(kProvider, model, type).inc();
    return error(502, "the language model does not answer");
  };
  try {
    const shmetrics::Timer timer(metrics_.ai_request_duration.with(kProvider, model, operation));
    const Reply reply = post_json(upstream_port_, "/v1/chat/completions", prompt.dump(), kModelTimeout);
    if (reply.status != 200) return failed(reply.status >= 500 ? "http_5xx" : "http_4xx");
    const json answer = json::parse(reply.body);
    const auto tokens = [&](const char* type, const char* field) {
      metrics_.ai_tokens_used.with(kProvider, model, type).inc(answer.at("usage").at(field).get<std::uint64_t>());
    };
    tokens("prompt", "prompt_tokens");
    tokens("completion", "completion_tokens");
    return {200, json{{"text", answer.at("choices").at(0).at("message").at("content")}}.dump()};
  } catch (const UpstreamError& failure) {
    return failed(failure.reason);
  } catch (const json::exception&) {
    return failed("malformed_answer");
  }
}

Response Api::see_user(const Request& request) {
  const json body = json::parse(request.body);
  database_.query({"insert", "sessions"}, "INSERT OR REPLACE INTO sessions VALUES(?, ?, ?, ?)",
                  {number(body, "user", INT32_MAX), choice(body, "company", kCompanies),
                   choice(body, "user_type", kUserTypes), now_seconds()});
  return {201};
}

/// A heavy report: a growth curve, step by step, in SQL. It takes seconds, on purpose of whoever asks for it.
Response Api::forecast(const Request&) {
  const auto rows =
      database_.query({"report", "contacts"},
                      "WITH RECURSIVE step(i, x) AS (SELECT 1, 0.3 UNION ALL SELECT i + 1, 3.9 * x * (1 - x) "
                      "FROM step WHERE i < 6000000) SELECT (SELECT count(*) FROM contacts), avg(x) FROM step");
  return {200, json{{"contacts", std::stoll(rows[0][0])}, {"growth", std::stod(rows[0][1])}}.dump()};
}

}  // namespace mastercrm
