// prom-client's names, and its successor's. Counter, Gauge, Histogram, Summary and the reading side are ours, the rest is prom-client's.
'use strict';

const addon = require('./lib/addon');
const peer = require('./lib/peer').client;

if (addon === null) {
  Object.defineProperties(exports, Object.getOwnPropertyDescriptors(peer)); // lib/addon.js has said why
  exports.registryOf = () => new peer.Registry();
  exports.releaseWorker = () => undefined;
} else {
  const { Registry, AggregatorRegistry, register } = require('./lib/registry');
  exports.register = register;
  exports.Registry = Registry;
  exports.registryOf = segment => new Registry(undefined, { segment });
  Object.defineProperty(exports, 'contentType', {
    enumerable: true,
    get: () => register.contentType,
    set: value => register.setContentType(value),
  });
  exports.prometheusContentType = Registry.PROMETHEUS_CONTENT_TYPE;
  exports.openMetricsContentType = Registry.OPENMETRICS_CONTENT_TYPE;
  exports.validateMetricName = peer.validateMetricName;
  exports.Counter = require('./lib/counter');
  exports.Gauge = require('./lib/gauge');
  exports.Histogram = require('./lib/histogram');
  exports.Summary = require('./lib/summary');
  exports.Pushgateway = class Pushgateway extends peer.Pushgateway {
    constructor(url, options, registry = register) {
      super(url, options, registry);
    }
  };
  exports.linearBuckets = peer.linearBuckets;
  exports.exponentialBuckets = peer.exponentialBuckets;
  exports.collectDefaultMetrics = require('./lib/default_metrics');
  exports.aggregators = peer.aggregators;
  exports.AggregatorRegistry = AggregatorRegistry;
  if (peer.ClusterRegistry) {
    exports.ClusterRegistry = AggregatorRegistry;
    exports.WorkerRegistry = AggregatorRegistry;
  }
  // Says that this process ends in order. exit() does it by itself, a signal without a handler does not.
  exports.releaseWorker = addon.releaseWorker;
}
