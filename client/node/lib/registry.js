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

async function readFamilies(segment) {
  const text = (await addon.render(JSON_TEXT, segment)).join('');
  return JSON.parse(text).families;
}

// metric.get()
async function read(metric) {
  await metric.collect?.();
  const found = (await readFamilies(metric._family.segment)).find(family => family.name === metric.name);
  return found ? metricOf(found) : { help: metric.help, name: metric.name, type: metric.type, values: [],
    aggregator: 'first' };
}

// [name, text] of each family. OpenMetrics names a counter without its suffix.
async function readTexts(format, segment) {
  return (await addon.render(format, segment)).filter(text => !text.startsWith('# EOF')).map(text => {
    const [, name, type] = /^# TYPE (\S+) (\S+)$/m.exec(text);
    return [format === OPENMETRICS && type === 'counter' ? `${name}_total` : name, text];
  });
}

// Segments of this process by their paths; 0 is the one of $SHMETRICS_SEGMENT. Null: it cannot be opened.
const segments = new Map([[undefined, 0]]);
function segmentOf(path) {
  if (segments.has(path)) return segments.get(path);
  let segment = null;
  try {
    segment = addon.open(path);
  } catch (error) {
    warnOnce(`metrics of this segment stay in each process: ${error.message}`, path);
  }
  segments.set(path, segment);
  return segment;
}

class Registry extends peer.client.Registry {
  // `options.segment` is the path of another segment for this registry's metrics, of which it then shows all.
  constructor(contentType, options = {}) {
    super(contentType);
    this._segment = segmentOf(options?.segment);
    this._isWhole = Boolean(options?.segment);
  }

  // Whether this registry shows a family of a segment. A whole one shows also what other programs and workers have
  // declared, and this process has not.
  _shows(name, segment) {
    const metric = this.getSingleMetric(name);
    if (metric) return metric._family?.segment === segment;
    return this._isWhole && this._segment === segment && !require('./family').isDeclared(name, segment);
  }

  // Those that hold something to show: more than one after a merge.
  _segments() {
    const found = new Set(this.getMetricsAsArray().filter(metric => metric._family)
      .map(metric => metric._family.segment));
    if (this._isWhole && this._segment !== null) found.add(this._segment);
    return [...found];
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
    const texts = await Promise.all(this._segments().map(async segment =>
      (await readTexts(format, segment)).filter(([name]) => this._shows(name, segment))));
    const shared = texts.flat();
    const locals = this._locals(new Map(shared));
    const text = shared.map(([, ofFamily]) => ofFamily).join('');
    if (locals.getMetricsAsArray().length > 0) return text + await locals.metrics();
    return format === OPENMETRICS ? `${text}# EOF\n` : text;
  }

  async getMetricsAsString(metric) {
    if (!metric._family) return super.getMetricsAsString(metric);
    await metric.collect?.();
    const format = this.contentType === Registry.OPENMETRICS_CONTENT_TYPE ? OPENMETRICS : TEXT;
    const found = (await readTexts(format, metric._family.segment)).find(([name]) => name === metric.name);
    return found ? found[1].trimEnd() : '';
  }

  async getMetricsAsJSON(aggregator) {
    await this._collect();
    const isWanted = ({ name }) =>
      aggregator === undefined || (this.getSingleMetric(name)?.aggregator ?? 'sum') === aggregator;
    const families = await Promise.all(this._segments().map(async segment =>
      (await readFamilies(segment)).filter(({ name }) => this._shows(name, segment))));
    const shared = families.flat().map(metricOf);
    const locals = this._locals(new Map(shared.map(metric => [metric.name, metric])));
    return shared.concat(await locals.getMetricsAsJSON()).filter(isWanted);
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
    const whole = registries.find(registry => registry._isWhole);
    if (whole) Object.assign(merged, { _isWhole: true, _segment: whole._segment });
    for (const registry of registries) registry.getMetricsAsArray().forEach(metric => merged.registerMetric(metric));
    return merged;
  }
}

const register = new Registry();
register._isWhole = true;
Registry.globalRegistry = register;

// Nobody has to be asked: the primary, or any worker, reads what all have counted.
class AggregatorRegistry extends Registry {
  constructor(contentType, options) {
    super(contentType, options);
    this._isWhole = true;
  }

  clusterMetrics() {
    return this.metrics();
  }

  workerMetrics() {
    return this.metrics();
  }

  async shutdown() {} // the counts of who ends stay in the segment

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
