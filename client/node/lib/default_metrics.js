// The default metrics of prom-client, in the segment: a series a worker, where numbers of several workers do not add up.
'use strict';

const Counter = require('./counter');
const Gauge = require('./gauge');
const Histogram = require('./histogram');
const Summary = require('./summary');
const peer = require('./peer');
const { Registry, register } = require('./registry');

const CLASSES = { counter: Counter, gauge: Gauge, histogram: Histogram, summary: Summary };

// The peer's functions make metrics of the peer's classes, and set them later: so each of these becomes one of ours.
function adopt(metric, isLabelled) {
  Object.setPrototypeOf(metric, CLASSES[metric.type].prototype);
  if (metric.type === 'counter') metric.inc = metric[metric.enableExemplars ? 'incWithExemplar' : 'incWithoutExemplar'];
  if (metric.type === 'histogram') metric.observe = metric.observeWithoutExemplar;
  if (metric.type === 'gauge' && isLabelled) metric.mode = 'livesum'; // the caller's label tells the workers apart
  else if (metric.type === 'gauge' && ['sum', 'omit'].includes(metric.aggregator)) metric.mode = 'liveall';
  if (metric.aggregator === 'omit') metric.aggregator = 'sum';
  metric._declare();
}

function collectDefaultMetrics(config) {
  const isConfig = config === undefined || config === null || typeof config === 'object';
  const registry = (isConfig && config?.register) || register;
  const before = new Set(registry.getMetricsAsArray());
  peer.client.collectDefaultMetrics(isConfig ? { ...config, register: registry } : config);
  if (!(registry instanceof Registry)) return;
  for (const metric of registry.getMetricsAsArray()) {
    if (!before.has(metric)) adopt(metric, 'worker' in (config?.labels ?? {}));
  }
}
collectDefaultMetrics.metricsList = peer.client.collectDefaultMetrics.metricsList;

module.exports = collectDefaultMetrics;
