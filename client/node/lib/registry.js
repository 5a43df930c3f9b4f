// The reading side: a registry shows what all workers have counted in its metrics, whichever worker is asked.
'use strict';

const addon = require('./addon');
const peer = require('./peer');
const warnOnce = require('./warning');

const TEXT = 0; // of enum shmetrics_format
const OPENMETRICS = 1;
const JSON_TEXT = 2;

function number(value) {
  return typeof value === 'number' ? value : Number(value.replace('Inf', 'Infinity'));
}

function valuesOf({ name, type, series }) {
  if (type !== 'histogram' && type !== 'summary') {
    return series.map(({ labels, value }) => ({ value: number(value), labels }));
  }
  const values = [];
  for (const { labels, buckets = [], sum, count } of series) {
    const add = (suffix, value, own = {}) =>
      values.push({ metricName: name + suffix, labels: { ...own, ...labels }, value: number(value) });
    for (const [le, cumulative] of buckets) add('_bucket', cumulative, { le });
    add('_sum', sum);
    add('_count', count);
  }
  return values;
}

// As getMetricsAsJSON() has it. All values are merged over the workers already, so an aggregator of several workers
// takes the first.
function metricOf(family) {
  return {
    help: family.help,
    name: family.name,
    type: family.type === 'info' ? 'gauge' : family.type,
    values: valuesOf(family),
    aggregator: 'first',
  };
}

async function readFamilies() {
  const text = (await addon.render(JSON_TEXT)).join('');
  return JSON.parse(text).families;
}

// metric.get()
async function read(metric) {
  await metric.collect?.();
  const found = (await readFamilies()).find(family => family.name === metric.name);
  return found ? metricOf(found) : { help: metric.help, name: metric.name, type: metric.type, values: [],
    aggregator: 'first' };
}

// [name, text] of each family. OpenMetrics names a counter without its suffix.
async function readTexts(format) {
  return (await addon.render(format)).filter(text => !text.startsWith('# EOF')).map(text => {
    const [, name, type] = /^# TYPE (\S+) (\S+)$/m.exec(text);
    return [format === OPENMETRICS && type === 'counter' ? `${name}_total` : name, text];
  });
}

class Registry extends peer.client.Registry {
  // Whether this registry shows a family of the segment. The global one shows also what other programs and workers have
  // declared, and this process has not.
  _shows(name) {
    const metric = this._metrics[name];
    if (metric) return Boolean(metric._family);
    return this._isWhole === true && !require('./family').declared.has(name);
  }

  // Metrics of prom-client's own kind, which stay in this process: default metrics, and what the segment does not take.
  _locals(shared) {
    const locals = new peer.client.Registry(this.contentType);
    locals.setDefaultLabels(this._defaultLabels);
    for (const metric of this.getMetricsAsArray()) {
      if (!metric._family && !shared.has(metric.name)) locals.registerMetric(metric);
    }
    return locals;
  }

  async _collect() {
    const asked = this.getMetricsAsArray().filter(metric => metric._family && metric.collect);
    await Promise.all(asked.map(async metric => metric.collect()));
  }

  async metrics() {
    await this._collect();
    const format = this.contentType === Registry.OPENMETRICS_CONTENT_TYPE ? OPENMETRICS : TEXT;
    const shared = (await readTexts(format)).filter(([name]) => this._shows(name));
    const locals = this._locals(new Map(shared));
    const text = shared.map(([, ofFamily]) => ofFamily).join('');
    if (locals.getMetricsAsArray().length > 0) return text + await locals.metrics();
    return format === OPENMETRICS ? `${text}# EOF\n` : text;
  }

  async getMetricsAsString(metric) {
    if (!metric._family) return super.getMetricsAsString(metric);
    await metric.collect?.();
    const format = this.contentType === Registry.OPENMETRICS_CONTENT_TYPE ? OPENMETRICS : TEXT;
    const found = (await readTexts(format)).find(([name]) => name === metric.name);
    return found ? found[1].trimEnd() : '';
  }

  async getMetricsAsJSON() {
    await this._collect();
    const shared = (await readFamilies()).filter(({ name }) => this._shows(name)).map(metricOf);
    const locals = this._locals(new Map(shared.map(metric => [metric.name, metric])));
    return shared.concat(await locals.getMetricsAsJSON());
  }

  setDefaultLabels(labels) {
    const late = this.getMetricsAsArray().find(metric => metric._family);
    if (late && Object.keys(labels).length > 0) {
      warnOnce(`default labels are for metrics that are made after them: ${late.name} does not get them`);
    }
    super.setDefaultLabels(labels);
  }

  static merge(registries) {
    const merged = new Registry(peer.client.Registry.merge(registries).contentType);
    merged._isWhole = registries.some(registry => registry._isWhole);
    for (const registry of registries) registry.getMetricsAsArray().forEach(metric => merged.registerMetric(metric));
    return merged;
  }
}

const register = new Registry();
register._isWhole = true;
Registry.globalRegistry = register;

// Nobody has to be asked: the primary, or any worker, reads what all have counted.
class AggregatorRegistry extends Registry {
  constructor(contentType) {
    super(contentType);
    this._isWhole = true;
  }

  clusterMetrics() {
    return this.metrics();
  }

  static aggregate(metrics, contentType) {
    return peer.client.AggregatorRegistry.aggregate(metrics, contentType);
  }

  static setRegistries(registries) {
    peer.client.AggregatorRegistry.setRegistries(registries);
  }
}

// A metric's configuration, with our global registry in the place of theirs.
function withRegister(config) {
  return config !== null && typeof config === 'object' && !config.registers
    ? { ...config, registers: [register] }
    : config;
}

module.exports = { AggregatorRegistry, Registry, read, register, withRegister };
