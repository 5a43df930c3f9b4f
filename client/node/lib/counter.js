'use strict';

const util = require('util');
const addon = require('./addon');
const peer = require('./peer');
const warnOnce = require('./warning');
const { Child, childOf, declare } = require('./family');
const { read, withRegister } = require('./registry');

function check(value) {
  if (value && !Number.isFinite(value)) throw new TypeError(`Value is not a valid number: ${util.format(value)}`);
  if (value < 0) throw new Error('It is not possible to decrease a counter');
}

class CounterChild extends Child {
  constructor(family, values, isKept) {
    super(family, values, isKept);
    this.inc = value => {
      if (value === undefined || value === null) {
        addon.counterAdd(this.index || this.resolve());
      } else {
        check(value);
        addon.counterAdd(this.index || this.resolve(), +value);
      }
    };
  }
}

class Counter extends peer.client.Counter {
  constructor(config) {
    super(withRegister(config));
    this._family = declare('counter', this, CounterChild);
  }

  incWithoutExemplar(labels, value) {
    if (!this._family) return super.incWithoutExemplar(labels, value);
    if (typeof labels === 'object' && labels !== null) return this._family.child(labels).inc(value);
    return this._family.childWithoutLabels().inc(labels);
  }

  // Exemplars have no room in the segment.
  incWithExemplar(options = {}) {
    if (!this._family) return super.incWithExemplar(options);
    return this.incWithoutExemplar(options.labels ?? {}, options.value);
  }

  labels(...args) {
    if (!this._family || this.enableExemplars) return super.labels(...args);
    const isKnown = name => this.labelNames.includes(name);
    if (typeof args[0] === 'object' && !Object.keys(args[0] ?? {}).every(isKnown)) {
      return super.labels(...args); // whose inc() throws
    }
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

module.exports = Counter;
