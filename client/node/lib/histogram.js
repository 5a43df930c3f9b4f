'use strict';

const addon = require('./addon');
const peer = require('./peer');
const { declare } = require('./family');
const { check, lasting, observing } = require('./lasting');
const { read, withRegister } = require('./registry');

const HistogramChild = observing(addon.histogramObserve);

class Histogram extends lasting(peer.client.Histogram) {
  constructor(config) {
    super(withRegister(config));
    this._declare();
  }

  _declare() {
    const bounds = [...new Set(this.upperBounds)].filter(Number.isFinite).sort((a, b) => a - b);
    this._family = declare('histogram', this, HistogramChild, { bounds });
  }

  observeWithoutExemplar(labels, value) {
    if (!this._family) return super.observeWithoutExemplar(labels, value);
    if (typeof labels === 'object' && labels !== null) {
      if (peer.isSuccessor) check(value);
      return this._family.child(labels).observe(value);
    }
    if (labels || labels === 0) return this._family.childWithoutLabels().observe(labels);
    return this._family.childWithoutLabels().observe(value); // (undefined, value), as they take it
  }

  // Exemplars have no room in the segment.
  observeWithExemplar(options = {}) {
    if (!this._family) return super.observeWithExemplar(options);
    return this.observeWithoutExemplar(options.labels ?? {}, options.value);
  }

  zero(labels) {
    if (!this._family) return super.zero(labels);
    const child = this._family.child(labels);
    return child.index || child.resolve();
  }

  getForPromString() {
    return this._family ? read(this) : super.getForPromString();
  }
}

module.exports = Histogram;
