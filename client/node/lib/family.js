// A metric's family in the segment, and its children: one object a label set, found by nested Maps of label values.
'use strict';

const addon = require('./addon');
const peer = require('./peer');
const warnOnce = require('./warning');

const INVALID_ARGUMENT = 5; // of enum shmetrics_code: labels or buckets break a rule
const DEFAULT_SERIES_LIMIT = 1000;
const LONGEST_VALUE = 1024;
const COLLECT_MS = 10000;

// 'SEGMENT NAME' of what this process has declared: a registry that has it no more does not show it.
const declared = new Set();
const collecting = new Set();

// For the successor null is no value, too.
function text(value) {
  return value === undefined || (value === null && peer.isSuccessor) ? '' : String(value);
}

// What the Maps may keep: neither objects, of which each call may make another, nor texts that no label can have.
function isKey(value) {
  if (typeof value === 'string') return value.length <= LONGEST_VALUE;
  return typeof value !== 'object' && typeof value !== 'function';
}

class Family {
  constructor(index, segment, metric, defaults, Child) {
    this.index = index;
    this.segment = segment;
    this.metric = metric;
    this.names = metric.labelNames;
    this.defaults = defaults;
    this.Child = Child;
    this.limit = metric.seriesLimit || DEFAULT_SERIES_LIMIT;
    this.count = 0;
    if (this.names.length > 0) {
      this.root = new Map();
    } else {
      this.root = new Child(this, Object.values(defaults).map(text), true);
      this.root.resolve();
    }
  }

  // The child of these labels, which are looked at once if all are there in the order of their declaration.
  child(labels) {
    let node = this.root;
    let count = 0;
    for (const name in labels) {
      if (name !== this.names[count]) return this.find(labels);
      count += 1;
      node = node.get(labels[name]);
      if (node === undefined) return this.find(labels);
    }
    return count === this.names.length ? node : this.find(labels);
  }

  childOfValues(values) {
    let node = this.root;
    for (const value of values) {
      node = node.get(value);
      if (node === undefined) return this.make(values);
    }
    return node;
  }

  childWithoutLabels() {
    return this.names.length === 0 ? this.root : this.find({});
  }

  // What is missing has its default, or counts as "".
  find(labels) {
    peer.validateLabel(this.names, labels);
    let node = this.root;
    for (const name of this.names) {
      node = node.get(labels[name]);
      if (node === undefined) return this.make(this.names.map(known => labels[known]));
    }
    return node;
  }

  // Keeps as many children as the family may have series: label values without bound cost no memory.
  make(keys) {
    const given = keys.map((key, i) => text(key === undefined ? this.defaults[this.names[i]] : key));
    const others = Object.entries(this.defaults).filter(([name]) => !this.names.includes(name));
    const isKept = this.count < this.limit && keys.every(isKey);
    const child = new this.Child(this, given.concat(others.map(([, value]) => text(value))), isKept);
    if (!isKept) return child;
    this.count += 1;
    let node = this.root;
    for (const key of keys.slice(0, -1)) {
      if (!node.has(key)) node.set(key, new Map());
      node = node.get(key);
    }
    node.set(keys[keys.length - 1], child);
    return child;
  }

  *children(node = this.root) {
    if (!(node instanceof Map)) yield node;
    else for (const below of node.values()) yield* this.children(below);
  }
}

// A label set. Its series is found by its first update, since prom-client shows it from then on. `index` 0: not yet, or
// not kept, and found again by each update.
class Child {
  constructor(family, values, isKept) {
    this.index = 0;
    this.family = family;
    this.values = values;
    this.isKept = isKept;
  }

  resolve() {
    this.index = addon.find(this.family.index, this.values, this.isKept);
    return this.index;
  }

  startTimerOfMetric() {
    const { names, metric } = this.family;
    return metric.startTimer(Object.fromEntries(names.map((name, i) => [name, this.values[i]])));
  }
}

// Asks again what nobody scrapes here: another worker may answer, or the exporter.
function collectRegularly(metric) {
  if (collecting.size === 0) setInterval(collectAll, COLLECT_MS).unref?.();
  collecting.add(metric);
}

function collectAll() {
  for (const metric of collecting) {
    if (!metric.registers.some(registry => registry.getSingleMetric(metric.name) === metric)) {
      collecting.delete(metric);
    } else {
      Promise.resolve().then(() => metric.collect())
        .catch(error => warnOnce(`${metric.name}: collect() fails: ${error}`, metric));
    }
  }
}

function isDeclared(name, segment) {
  return declared.has(`${segment} ${name}`);
}

// The family of a new metric; null if it stays in this process, as the peer keeps it.
function declare(kind, metric, ChildOfKind, { bounds = [], mode = 0 } = {}) {
  if (metric.registers.length === 0 || metric.aggregator === 'omit') return null;
  const { _segment: segment = 0 } = metric.registers[0];
  if (segment === null) return null;
  const defaults = Object.assign({}, ...metric.registers.map(registry => registry._defaultLabels));
  const names = [...new Set([...metric.labelNames, ...Object.keys(defaults)])];
  const [index, code, message] = addon.declare(kind, metric.name, String(metric.help), names, bounds, mode,
    metric.seriesLimit || 0, segment);
  if (message !== '') {
    warnOnce(code === INVALID_ARGUMENT ? `${message}; until then ${metric.name} stays in each process` : message);
  }
  if (code === INVALID_ARGUMENT) return null;
  declared.add(`${segment} ${metric.name}`);
  if (metric.collect) collectRegularly(metric);
  return new Family(index, segment, metric, defaults, ChildOfKind);
}

// The child that labels() was asked for: by values in order, or by an object.
function childOf(metric, args) {
  const family = metric._family;
  if (typeof args[0] !== 'object' && args.length === family.names.length) return family.childOfValues(args);
  return family.child(peer.getLabels(metric.labelNames, args) || {});
}

module.exports = { Child, childOf, declare, isDeclared };
