#include "examples/mastercrm/job_queue.hpp"

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "examples/mastercrm/upstream.hpp"

namespace mastercrm {
namespace {

using nlohmann::json;

constexpr auto kWebhookTimeout = std::chrono::seconds(5);
constexpr double kOrphanedSeconds = 60;     // a job's worker was killed, another shall do it
constexpr double kFailedSeconds = 3600;     // how long a failed job is kept to be looked at
constexpr double kActiveUserSeconds = 300;  // since a user was last seen

}  // namespace

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

void enqueue(Database& database, std::string_view queue, std::string_view type, std::string payload) {
  database.query({"insert", "jobs"},
                 "INSERT INTO jobs(queue, type, payload, status, changed) VALUES(?, ?, ?, 'waiting', ?)",
                 {std::string(queue), std::string(type), std::move(payload), now_seconds()});
}

std::optional<QueueWorker::Job> QueueWorker::claim() {
  // Looking takes no write lock; only who found something asks for it.
  if (database_.query({"select", "jobs"}, "SELECT 1 FROM jobs WHERE status = 'waiting' LIMIT 1").empty()) return {};
  const auto rows = database_.query(
      {"update", "jobs"},
      "UPDATE jobs SET status = 'active', changed = ? WHERE id = (SELECT id FROM jobs WHERE status = 'waiting' "
      "ORDER BY id LIMIT 1) RETURNING id, queue, type, payload",
      {now_seconds()});
  if (rows.empty()) return {};  // another worker was faster
  return Job{std::stoll(rows[0][0]), rows[0][1], rows[0][2], rows[0][3]};
}

void QueueWorker::finish(const Job& job, bool completed) {
  if (completed) {
    database_.query({"delete", "jobs"}, "DELETE FROM jobs WHERE id = ?", {job.id});
  } else {
    database_.query({"update", "jobs"}, "UPDATE jobs SET status = 'failed', changed = ? WHERE id = ?",
                    {now_seconds(), job.id});
  }
}

bool QueueWorker::do_one() {
  const auto job = claim();
  if (!job) return false;
  bool completed = false;
  {
    const shmetrics::Timer timer(metrics_.queue_processing_duration.with(job->queue, job->type));
    completed = job->queue == "webhooks" ? deliver_webhook(job->payload) : send_campaign_message(job->payload);
  }
  finish(*job, completed);
  metrics_.queue_jobs_processed.with(job->queue, completed ? "completed" : "failed").inc();
  return true;
}

bool QueueWorker::deliver_webhook(const std::string& payload) {
  const json job = json::parse(payload);
  const std::string subscription = job.at("subscription_type"), event = job.at("event_type");
  std::string reason;
  try {
    const Reply reply = post_json(upstream_port_, job.at("path"), job.at("event").dump(), kWebhookTimeout);
    if (reply.status >= 400) reason = reply.status >= 500 ? "http_5xx" : "http_4xx";
  } catch (const UpstreamError& error) {
    reason = error.reason;
  }
  if (reason.empty()) {
    metrics_.webhooks_delivered.with(subscription, event).inc();
  } else {
    metrics_.webhooks_failed.with(subscription, event, reason).inc();
  }
  return reason.empty();
}

bool QueueWorker::send_campaign_message(const std::string& payload) {
  const json job = json::parse(payload);
  const std::string channel = job.at("channel");
  database_.query({"insert", "messages"},
                  "INSERT INTO messages(contact, channel, direction, text) VALUES(?, ?, 'outbound', ?)",
                  {job.at("contact").get<std::int64_t>(), channel, job.at("text").get<std::string>()});
  metrics_.campaigns_messages_sent.with(job.at("campaign_type").get<std::string>(), channel).inc();
  metrics_.messages_processed.with(channel, "outbound", "success").inc();
  return true;
}

void keep_house(const Catalogue& metrics, Database& database) {
  const double now = now_seconds();
  database.query({"update", "jobs"}, "UPDATE jobs SET status = 'waiting' WHERE status = 'active' AND changed < ?",
                 {now - kOrphanedSeconds});
  database.query({"delete", "jobs"}, "DELETE FROM jobs WHERE status = 'failed' AND changed < ?",
                 {now - kFailedSeconds});
  using Counts = std::map<std::pair<std::string, std::string>, double>;
  const auto counts_of = [](const Rows& rows) {
    Counts counts;
    for (const auto& row : rows) counts[{row[0], row[1]}] = std::stod(row[2]);
    return counts;
  };
  // Every known pair is set, so that what is not there any more reads 0.
  Counts jobs =
      counts_of(database.query({"select", "jobs"}, "SELECT queue, status, count(*) FROM jobs GROUP BY queue, status"));
  for (const auto queue : kQueues) {
    for (const auto status : kJobStatuses) {
      metrics.queue_size.with(queue, status).set(jobs[{std::string(queue), std::string(status)}]);
    }
  }
  Counts users = counts_of(database.query(
      {"select", "sessions"}, "SELECT company, type, count(*) FROM sessions WHERE seen > ? GROUP BY company, type",
      {now - kActiveUserSeconds}));
  for (const auto company : kCompanies) {
    for (const auto type : kUserTypes) {
      metrics.active_users.with(company, type).set(users[{std::string(company), std::string(type)}]);
    }
  }
}

}  // namespace mastercrm
