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

class SummaryChild extends Child {
  constructor(family, values, isKept) {
    super(family, values, isKept);
    this.observe = value => {
      check(value);
      addon.summaryObserve(this.index || this.resolve(), value);
    };
    this.startTimer = () => this.startTimerOfMetric();
  }
}

class Summary extends peer.client.Summary {
  constructor(config) {
    super(withRegister(config));
    this._family = declare('summary', this, SummaryChild);
    if (this._family && config.percentiles) warnOnce(`${this.name}: percentiles are left out, a histogram has them`);
  }

  observe(labels, value) {
    if (!this._family) return super.observe(labels, value);
    const given = labels === 0 ? 0 : labels || {};
    if (value !== undefined) return this._family.child(given).observe(value);
    peer.validateLabel(this.labelNames, given);
    return this._family.childWithoutLabels().observe(given);
  }

  labels(...args) {
    if (!this._family) return super.labels(...args);
    return childOf(this, args);
  }

  get() {
    return this._family ? read(this) : super.get();
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

module.exports = Summary;
