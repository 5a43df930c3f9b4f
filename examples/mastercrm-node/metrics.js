// The 27 families of the metrics guide, by prom-client's names. Only the first line differs from what it was.
'use strict';

const client = require('@shmetrics/prom-client'); // was: require('prom-client')

const metric = (Kind, name, help, labelNames = [], more = {}) =>
  new client[Kind]({ name: `mastercrm_${name}`, help, labelNames, ...more });
const counter = metric.bind(null, 'Counter');
const gauge = metric.bind(null, 'Gauge'); // the living workers' sum, unless `aggregator` says otherwise
const histogram = metric.bind(null, 'Histogram');

// A collect() that asks the database. Every known pair is set: what is not there any more reads 0.
function show(table, name, pairs) {
  return async function collect() {
    const counts = new Map(await require('./database').query('select', table, name));
    for (const pair of pairs) {
      const [first, second] = pair.split(' ');
      this.set({ [this.labelNames[0]]: first, [this.labelNames[1]]: second }, counts.get(pair) ?? 0);
    }
  };
}
const known = (first, second) => first.flatMap(one => second.map(other => `${one} ${other}`));

exports.register = client.register;

exports.http = {
  duration: histogram('http_request_duration_seconds', 'Duration of HTTP requests', ['method', 'route', 'status_code'],
    { buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] }),
  requests: counter('http_requests_total', 'Total number of HTTP requests', ['method', 'route', 'status_code']),
  connections: gauge('active_connections', 'Number of active HTTP connections'),
  websockets: gauge('websocket_connections', 'Number of active WebSocket connections', ['namespace']),
};

exports.cache = {
  hits: counter('cache_hits_total', 'Total cache hits', ['cache_type']),
  misses: counter('cache_misses_total', 'Total cache misses', ['cache_type']),
  operations: counter('cache_operations_total', 'Total cache operations', ['operation', 'cache_type']),
  size: gauge('cache_size', 'Current cache size (keys)', ['cache_type']),
  memory: gauge('cache_memory_bytes', 'Cache memory usage', ['cache_type']),
};

exports.database = {
  duration: histogram('db_query_duration_seconds', 'Database query duration', ['operation', 'table', 'success'],
    { buckets: client.exponentialBuckets(0.0001, 2.5, 14) }),
  pool: gauge('db_connection_pool_size', 'Database connection pool metrics', ['state']),
  errors: counter('db_errors_total', 'Total database errors', ['operation', 'error_type']),
};

exports.queue = {
  // The queue and the sessions are in the database: each worker would get the same answer, and the last one is right.
  size: gauge('queue_size', 'Current queue size', ['queue_name', 'status'], {
    aggregator: 'first',
    collect: show('jobs', 'size', known(['webhooks', 'campaigns'], ['waiting', 'active', 'failed'])),
  }),
  processed: counter('queue_jobs_processed_total', 'Total queue jobs processed', ['queue_name', 'status']),
  duration: histogram('queue_processing_duration_seconds', 'Queue job processing duration', ['queue_name', 'job_type']),
  delivered: counter('webhooks_delivered_total', 'Webhooks successfully delivered',
    ['subscription_type', 'event_type']),
  failed: counter('webhooks_failed_total', 'Failed webhook deliveries', ['subscription_type', 'event_type', 'reason']),
  campaigns: counter('campaigns_messages_sent_total', 'Total campaign messages sent', ['campaign_type', 'channel']),
};

exports.limits = {
  rejections: counter('rate_limit_rejections_total', 'Total rate limit rejections', ['limit_type', 'resource']),
  checks: counter('rate_limit_checks_total', 'Total rate limit checks', ['limit_type', 'result']),
};

exports.ai = {
  duration: histogram('ai_request_duration_seconds', 'AI/LLM request duration', ['provider', 'model', 'operation'],
    { buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120] }),
  tokens: counter('ai_tokens_used_total', 'Total AI tokens used', ['provider', 'model', 'type']),
  errors: counter('ai_errors_total', 'Total AI/LLM errors', ['provider', 'model', 'error_type']),
};

exports.business = {
  activeUsers: gauge('active_users', 'Number of active users', ['company_id', 'user_type'], {
    aggregator: 'first',
    collect: show('sessions', 'active', known(['1', '2', '3'], ['agent', 'admin'])),
  }),
  messages: counter('messages_processed_total', 'Total messages processed', ['channel', 'direction', 'status']),
  conversations: counter('conversations_created_total', 'Conversations created', ['channel', 'initiated_by']),
  conversationSeconds: histogram('conversation_duration_seconds', 'Conversation duration', ['channel'],
    { buckets: [1, 10, 60, 300, 900, 1800, 3600, 14400, 86400, 604800] }),
};
