'use strict';

const util = require('util');
const addon = require('./addon');
const peer = require('./peer');
const warnOnce = require('./warning');
const { Child, childOf, declare } = require('./family');
const { read, withRegister } = require('./registry');

// enum shmetrics_gauge_mode; docs/merge-rules.md.
const MODES = ['livesum', 'livemin', 'livemax', 'liveall', 'livemostrecent', 'sum', 'min', 'max', 'mostrecent', 'all'];
// What prom-client's aggregators mean: of the workers that live.
const MODE_OF_AGGREGATOR = { sum: 'livesum', min: 'livemin', max: 'livemax', first: 'livemostrecent', average: 'liveall' };

function modeOf(metric) {
  const name = metric.mode ?? MODE_OF_AGGREGATOR[metric.aggregator] ?? 'livesum';
  const mode = MODES.indexOf(name);
  if (mode < 0) throw new Error(`${metric.name} has no mode ${util.inspect(name)}: use one of ${MODES.join(', ')}`);
  return mode;
}

function isObject(labels) {
  return typeof labels === 'object' && labels !== null;
}

function check(word, value) {
  if (typeof value !== 'number') throw new TypeError(`${word} is not a valid number: ${util.format(value)}`);
}

class GaugeChild extends Child {
  constructor(family, values, isKept) {
    super(family, values, isKept);
    this.inc = (value = 1) => {
      check('Delta', value);
      addon.gaugeAdd(this.index || this.resolve(), value);
    };
    this.dec = (value = 1) => {
      addon.gaugeAdd(this.index || this.resolve(), -value); // takes '5' too, as theirs
    };
    this.set = value => {
      check('Value', value);
      addon.gaugeSet(this.index || this.resolve(), value);
    };
    this.setToCurrentTime = () => this.set(Date.now() / 1000);
    this.startTimer = () => this.startTimerOfMetric();
  }
}

class Gauge extends peer.client.Gauge {
  constructor(config) {
    const mode = modeOf(config ?? {}); // before the metric has a registry, where it would stay
    super(withRegister(config));
    this._family = declare('gauge', this, GaugeChild, { mode });
  }

  set(labels, value) {
    if (!this._family) return super.set(labels, value);
    if (!isObject(labels)) return this._family.childWithoutLabels().set(labels);
    check('Value', value);
    return this._family.child(labels).set(value);
  }

  inc(labels, value) {
    if (!this._family) return super.inc(labels, value);
    if (!isObject(labels)) return this._family.childWithoutLabels().inc(labels);
    check('Delta', value === undefined ? 1 : value);
    return this._family.child(labels).inc(value);
  }

  dec(labels, value) {
    if (!this._family) return super.dec(labels, value);
    if (!isObject(labels)) return this._family.childWithoutLabels().dec(labels);
    return this._family.child(labels).dec(value);
  }

  labels(...args) {
    if (!this._family) return super.labels(...args);
    return childOf(this, args);
  }

  get() {
    return this._family ? read(this) : super.get();
  }

  // Only this worker's values; they go on being shown.
  reset() {
    if (!this._family) super.reset();
    else for (const child of this._family.children()) if (child.index) child.set(0);
  }

  remove(...args) {
    if (!this._family) super.remove(...args);
    else warnOnce(`${this.name}: a label set cannot be removed while its worker lives`);
  }
}

module.exports = Gauge;
