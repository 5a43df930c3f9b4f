'use strict';

const util = require('util');
const addon = require('./addon');
const peer = require('./peer');
const { Child, childOf, declare } = require('./family');
const { read, withRegister } = require('./registry');

// enum shmetrics_gauge_mode; docs/merge-rules.md.
const MODES = ['livesum', 'livemin', 'livemax', 'liveall', 'livemostrecent', 'sum', 'min', 'max', 'mostrecent', 'all',
  'shared'];
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

// What inc() and dec() were given; the successor takes null for nothing, too.
function amount(value) {
  return value === undefined || (peer.isSuccessor && value === null) ? 1 : value;
}

class GaugeChild extends Child {
  constructor(family, values, isKept) {
    super(family, values, isKept);
    this.inc = value => {
      const delta = amount(value);
      check('Delta', delta);
      addon.gaugeAdd(this.index || this.resolve(), delta);
    };
    this.dec = value => {
      addon.gaugeAdd(this.index || this.resolve(), -amount(value)); // takes '5' too, as theirs
    };
    this.set = value => {
      check('Value', value);
      addon.gaugeSet(this.index || this.resolve(), value);
    };
    this.remove = () => addon.gaugeRemove(this.family.index, this.values);
    this.setToCurrentTime = () => this.set(Date.now() / 1000);
    this.startTimer = () => this.startTimerOfMetric();
  }
}

class Gauge extends peer.client.Gauge {
  constructor(config) {
    modeOf(config ?? {}); // throws before the metric has a registry, where it would stay
    super(withRegister(config));
    this._declare();
  }

  _declare() {
    this._family = declare('gauge', this, GaugeChild, { mode: modeOf(this) });
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
    check('Delta', amount(value));
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

  // Of this worker's values only, as remove().
  reset() {
    if (!this._family) {
      super.reset();
    } else if (this.labelNames.length === 0) {
      this._family.childWithoutLabels().set(0);
    } else {
      for (const child of this._family.children()) child.remove();
    }
  }

  // This worker shows the label set no more, until it sets it again.
  remove(...args) {
    if (!this._family) super.remove(...args);
    else childOf(this, args).remove();
  }
}

module.exports = Gauge;
