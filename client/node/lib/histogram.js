'use strict';

const util = require('util');
const addon = require('./addon');
const peer = require('./peer');
const warnOnce = require('./warning');
const { Child, childOf, declare } = require('./family');
const { read, withRegister } = require('./registry');

function check(value) {
  if (!Number.isFinite(value)) throw new TypeError(`Value is not a valid number: ${util.format(value)}`);
}

class HistogramChild extends Child {
  constructor(family, values, isKept) {
    super(family, values, isKept);
    this.observe = value => {
      check(value);
      addon.histogramObserve(this.index || this.resolve(), value);
    };
    this.startTimer = () => this.startTimerOfMetric();
  }
}

class Histogram extends peer.client.Histogram {
  constructor(config) {
    super(withRegister(config));
    const bounds = [...new Set(this.upperBounds)].filter(Number.isFinite).sort((a, b) => a - b);
    this._family = declare('histogram', this, HistogramChild, { bounds });
  }

  observeWithoutExemplar(labels, value) {
    if (!this._family) return super.observeWithoutExemplar(labels, value);
    if (typeof labels === 'object' && labels !== null) return this._family.child(labels).observe(value);
    if (labels || labels === 0) return this._family.childWithoutLabels().observe(labels);
    return this._family.childWithoutLabels().observe(value); // (undefined, value), as they take it
  }

  // Exemplars have no room in the segment.
  observeWithExemplar(options = {}) {
    if (!this._family) return super.observeWithExemplar(options);
    return this.observeWithoutExemplar(options.labels ?? {}, options.value);
  }

  zero(labels) {
    if (!this._family) super.zero(labels);
    else this._family.child(labels).resolve();
  }

  labels(...args) {
    if (!this._family) return super.labels(...args);
    return childOf(this, args);
  }

  get() {
    return this._family ? read(this) : super.get();
  }

  getForPromString() {
    return this._family ? read(this) : super.getForPromString();
  }

  reset() {
    if (!this._family) super.reset();
    else warnOnce(`${this.name}: what the workers have counted cannot be reset`);
  }

  remove(...args) {
    if (!this._family) super.remove(...args);
    else warnOnce(`${this.name}: a label set cannot be removed while its segment lives`);
  }
}

module.exports = Histogram;
