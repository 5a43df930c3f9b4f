// What counters, histograms and summaries share: what was counted stays, and the truth is that of all workers.
'use strict';

const util = require('util');
const { Child, childOf } = require('./family');
const { read } = require('./registry');
const warnOnce = require('./warning');

// `Base` is prom-client's class.
function lasting(Base) {
  return class extends Base {
    labels(...args) {
      return this._family ? childOf(this, args) : super.labels(...args);
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
  };
}

function check(value) {
  if (!Number.isFinite(value)) throw new TypeError(`Value is not a valid number: ${util.format(value)}`);
}

// A child whose values `observe(index, value)` takes.
function observing(observe) {
  return class extends Child {
    constructor(family, values, isKept) {
      super(family, values, isKept);
      this.observe = value => {
        check(value);
        observe(this.index || this.resolve(), value);
      };
      this.startTimer = () => this.startTimerOfMetric();
    }
  };
}

module.exports = { check, lasting, observing };
