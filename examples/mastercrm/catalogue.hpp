// All metrics of MasterCRM, as its metrics guide lists them: names, kinds, labels, buckets, and what the gauges of many
// workers become. The one place to look something up, and the one to change.
//
// Made by the master before it forks: families and handles hold offsets and work in every child. Label values come from
// bounded sets: a route pattern and not a path, a company and not a person.
#pragma once

#include <initializer_list>
#include <shmetrics/shmetrics.hpp>
#include <string_view>
#include <system_error>

namespace mastercrm {

using shmetrics::Counter;
using shmetrics::Family;
using shmetrics::Gauge;
using shmetrics::GaugeMode;
using shmetrics::Histogram;

// Bounds in seconds. A quantile is only as exact as the bucket that it falls into, so they are dense where the usual
// values are, and reach beyond what an alert asks for (2 s of a request, 1 s of a query).
inline const shmetrics::Buckets kRequestSeconds{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};
inline const shmetrics::Buckets kQuerySeconds{.0001, .00025, .0005, .001, .0025, .005, .01, .025,
                                              .05,   .1,     .25,   .5,   1,     2.5,  5};
inline const shmetrics::Buckets kJobSeconds{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300};
inline const shmetrics::Buckets kModelSeconds{.05, .1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60, 120};
inline const shmetrics::Buckets kConversationSeconds{1,    10,   60,       300,       900,
                                                     1800, 3600, 4 * 3600, 24 * 3600, 7 * 24 * 3600};

// What a client may name in a request and find in a label; anything else is answered with 400.
inline constexpr std::string_view kChannels[] = {"email", "sms", "chat"};
inline constexpr std::string_view kDirections[] = {"inbound", "outbound"};
inline constexpr std::string_view kInitiators[] = {"contact", "agent"};
inline constexpr std::string_view kCompanies[] = {"1", "2", "3"};
inline constexpr std::string_view kUserTypes[] = {"agent", "admin"};
inline constexpr std::string_view kCampaignTypes[] = {"newsletter", "promotion"};
inline constexpr std::string_view kSubscriptionTypes[] = {"partner", "legacy"};
inline constexpr std::string_view kEventTypes[] = {"conversation.created", "message.created"};
inline constexpr std::string_view kModels[] = {"crm-small", "crm-retired"};
inline constexpr std::string_view kAiOperations[] = {"reply", "summary"};
inline constexpr std::string_view kNamespaces[] = {"notifications", "chat"};
inline constexpr std::string_view kQueues[] = {"webhooks", "campaigns"};
inline constexpr std::string_view kJobStatuses[] = {"waiting", "active", "failed"};

struct Catalogue {
  shmetrics::Registry registry;  // first: the others are declared in it

  // HTTP. Every worker knows its own connections: the living ones' sum is the truth, and a dead worker has none.
  Family<Histogram, 3> http_request_duration =
      registry.histogram("mastercrm_http_request_duration_seconds", "Duration of HTTP requests",
                         {"method", "route", "status_code"}, kRequestSeconds);
  Family<Counter, 3> http_requests = registry.counter("mastercrm_http_requests_total", "Total number of HTTP requests",
                                                      {"method", "route", "status_code"});
  Family<Gauge, 0> active_connections =
      registry.gauge("mastercrm_active_connections", "Number of active HTTP connections", {}, GaugeMode::livesum);
  Family<Gauge, 1> websocket_connections = registry.gauge(
      "mastercrm_websocket_connections", "Number of active WebSocket connections", {"namespace"}, GaugeMode::livesum);

  // Cache. Each worker has a cache of its own, and reports that alone: what is cached is their sum. Of a cache that all
  // workers share, such as a Redis, each would report the same: livemostrecent.
  Family<Counter, 1> cache_hits = registry.counter("mastercrm_cache_hits_total", "Total cache hits", {"cache_type"});
  Family<Counter, 1> cache_misses =
      registry.counter("mastercrm_cache_misses_total", "Total cache misses", {"cache_type"});
  Family<Counter, 2> cache_operations =
      registry.counter("mastercrm_cache_operations_total", "Total cache operations", {"operation", "cache_type"});
  Family<Gauge, 1> cache_size =
      registry.gauge("mastercrm_cache_size", "Current cache size (keys)", {"cache_type"}, GaugeMode::livesum);
  Family<Gauge, 1> cache_memory =
      registry.gauge("mastercrm_cache_memory_bytes", "Cache memory usage", {"cache_type"}, GaugeMode::livesum);

  // Database. A pool a worker, so they add up; `waiting` counts who wants a connection and has none yet.
  Family<Histogram, 3> db_query_duration =
      registry.histogram("mastercrm_db_query_duration_seconds", "Database query duration",
                         {"operation", "table", "success"}, kQuerySeconds);
  Family<Gauge, 1> db_connection_pool_size = registry.gauge(
      "mastercrm_db_connection_pool_size", "Database connection pool metrics", {"state"}, GaugeMode::livesum);
  Family<Counter, 2> db_errors =
      registry.counter("mastercrm_db_errors_total", "Total database errors", {"operation", "error_type"});

  // Queue. There is one, in the database, and it outlives every worker: who counted it last is right.
  Family<Gauge, 2> queue_size =
      registry.gauge("mastercrm_queue_size", "Current queue size", {"queue_name", "status"}, GaugeMode::mostrecent);
  Family<Counter, 2> queue_jobs_processed =
      registry.counter("mastercrm_queue_jobs_processed_total", "Total queue jobs processed", {"queue_name", "status"});
  Family<Histogram, 2> queue_processing_duration =
      registry.histogram("mastercrm_queue_processing_duration_seconds", "Queue job processing duration",
                         {"queue_name", "job_type"}, kJobSeconds);
  Family<Counter, 2> webhooks_delivered = registry.counter(
      "mastercrm_webhooks_delivered_total", "Webhooks successfully delivered", {"subscription_type", "event_type"});
  Family<Counter, 3> webhooks_failed = registry.counter("mastercrm_webhooks_failed_total", "Failed webhook deliveries",
                                                        {"subscription_type", "event_type", "reason"});
  Family<Counter, 2> campaigns_messages_sent = registry.counter("mastercrm_campaigns_messages_sent_total",
                                                                "Campaign messages sent", {"campaign_type", "channel"});

  // Rate limiting.
  Family<Counter, 2> rate_limit_rejections = registry.counter(
      "mastercrm_rate_limit_rejections_total", "Total rate limit rejections", {"limit_type", "resource"});
  Family<Counter, 2> rate_limit_checks =
      registry.counter("mastercrm_rate_limit_checks_total", "Total rate limit checks", {"limit_type", "result"});

  // Language model.
  Family<Histogram, 3> ai_request_duration =
      registry.histogram("mastercrm_ai_request_duration_seconds", "AI/LLM request duration",
                         {"provider", "model", "operation"}, kModelSeconds);
  Family<Counter, 3> ai_tokens_used =
      registry.counter("mastercrm_ai_tokens_used_total", "Total AI tokens used", {"provider", "model", "type"});
  Family<Counter, 3> ai_errors =
      registry.counter("mastercrm_ai_errors_total", "Total AI/LLM errors", {"provider", "model", "error_type"});

  // Business. Sessions are in the database as the queue is.
  Family<Gauge, 2> active_users = registry.gauge("mastercrm_active_users", "Number of active users",
                                                 {"company_id", "user_type"}, GaugeMode::mostrecent);
  Family<Counter, 3> messages_processed = registry.counter(
      "mastercrm_messages_processed_total", "Total messages processed", {"channel", "direction", "status"});
  Family<Counter, 2> conversations_created =
      registry.counter("mastercrm_conversations_created_total", "Conversations created", {"channel", "initiated_by"});
  Family<Histogram, 1> conversation_duration = registry.histogram(
      "mastercrm_conversation_duration_seconds", "Conversation duration", {"channel"}, kConversationSeconds);

  /// Why a family is inert, such as other buckets than live workers have; no error when all work.
  std::error_code error() const {
    for (const auto& error : {http_request_duration.error(),
                              http_requests.error(),
                              active_connections.error(),
                              websocket_connections.error(),
                              cache_hits.error(),
                              cache_misses.error(),
                              cache_operations.error(),
                              cache_size.error(),
                              cache_memory.error(),
                              db_query_duration.error(),
                              db_connection_pool_size.error(),
                              db_errors.error(),
                              queue_size.error(),
                              queue_jobs_processed.error(),
                              queue_processing_duration.error(),
                              webhooks_delivered.error(),
                              webhooks_failed.error(),
                              campaigns_messages_sent.error(),
                              rate_limit_rejections.error(),
                              rate_limit_checks.error(),
                              ai_request_duration.error(),
                              ai_tokens_used.error(),
                              ai_errors.error(),
                              active_users.error(),
                              messages_processed.error(),
                              conversations_created.error(),
                              conversation_duration.error()}) {
      if (error) return error;
    }
    return {};
  }
};

}  // namespace mastercrm
