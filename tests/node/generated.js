// Programs made at random, the same under any package with prom-client's names: what they throw and what is exposed.
//
// usage: node generated.js PACKAGE SEED COUNT -> {errors, json, text}
'use strict';

const client = require(process.argv[2]);
const [seed, count] = process.argv.slice(3).map(Number);

let state = seed >>> 0;
function random(limit) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor(state / 2 ** 32 * limit);
}
const pick = list => list[random(list.length)];

// Clocks stand still, and go on by as much as the program says.
let now = 1000;
process.hrtime = start => {
  const seconds = [Math.trunc(now), Math.round((now % 1) * 1e9)];
  if (!start) return seconds;
  return [seconds[0] - start[0] - (seconds[1] < start[1] ? 1 : 0),
    seconds[1] - start[1] + (seconds[1] < start[1] ? 1e9 : 0)];
};
Date.now = () => now * 1000;
Object.defineProperty(performance, 'now', { value: () => now * 1000 }); // a plain assignment fails on Node 18

const NAMES = ['method', 'route', 'status'];
// Not '': prom-client shows it beside the series that misses the label, as the same one twice; its successor does so
// with null and undefined, too.
const VALUES = ['GET', '/users/:id', 200, '200', 'ä"\\\n', true, 1.5];
if (!client.ClusterRegistry) VALUES.push(null, undefined);
const errors = [];

function attempt(what, action) {
  try {
    return action();
  } catch (error) {
    errors.push(`${what}: ${error.constructor.name}: ${error.message}`);
    return undefined;
  }
}

function labelsFor(names) {
  const labels = {};
  const order = random(4) === 0 ? [...names].reverse() : names;
  for (const name of order) if (random(8) !== 0) labels[name] = pick(VALUES);
  if (random(12) === 0) labels.stranger = 'x';
  return labels;
}

// What is given to an update beside labels. NaN is left out of counters, whose sum would be NaN from then on; and
// nothing at all of summaries, whose message then speaks of the labels.
function numberFor(kind) {
  const odd = ['5', -1, Infinity, null, {}];
  if (kind !== 'Counter') odd.push(NaN, -Infinity);
  if (kind !== 'Summary') odd.push(undefined);
  return random(6) === 0 ? pick(odd) : pick([0, 1, 0.25, 3, 1e6, ...(kind === 'Gauge' ? [-2] : [])]);
}

const VERBS = {
  Counter: ['inc', 'inc'],
  Gauge: ['set', 'inc', 'dec', 'setToCurrentTime', 'startTimer'],
  Histogram: ['observe', 'observe', 'startTimer'],
  Summary: ['observe', 'startTimer'],
};

function update(kind, metric, names) {
  const verb = pick(VERBS[kind]);
  const labels = labelsFor(names);
  const number = numberFor(kind);
  const byValues = names.map(() => pick(VALUES.slice(0, 4))).concat(random(10) === 0 ? ['more'] : []);
  const target = pick([
    () => [metric, names.length > 0 && random(8) !== 0 ? [labels] : []],
    () => [metric.labels(labels), []],
    () => [names.length > 0 ? metric.labels(...byValues) : metric, []],
  ]);
  attempt(`${metric.name}.${verb}`, () => {
    const [object, given] = target();
    if (verb === 'setToCurrentTime') object[verb](...given);
    else if (verb === 'startTimer') {
      const end = object[verb](...given);
      now += pick([0.5, 0.125, 3]);
      end(random(3) === 0 ? labelsFor(names) : undefined);
    } else object[verb](...given, ...(random(10) === 0 && kind !== 'Summary' ? [] : [number]));
  });
}

function program(index) {
  const kind = pick(Object.keys(VERBS));
  const names = NAMES.filter(() => random(2) === 0);
  const name = `made_${index}_${kind === 'Counter' ? 'total' : 'value'}`;
  const config = { name, help: pick(['Help', 'Much\nhelp \\ "here"']), labelNames: names };
  if (kind === 'Histogram' && random(2) === 0) config.buckets = client.exponentialBuckets(0.25, 2, 5);
  const metric = new client[kind](config);
  if (random(5) === 0) attempt(`${name} again`, () => new client[kind](config));
  for (let i = random(30); i > 0; i -= 1) update(kind, metric, names);
  if (kind === 'Histogram' && names.length > 0) metric.zero({ [names[0]]: 'zero' });
}

const WRONG = [
  undefined, null, 5, {}, { name: 'a_total' }, { help: 'a' }, { name: '1_total', help: 'a' },
  { name: 'a_total', help: 'a', labelNames: ['b c'] }, { name: 'a_total', help: 'a', collect: 5 },
  { name: 'a_total', help: 'a', enableExemplars: true }, { name: 'b_value', help: 'b', labelNames: ['le', 'quantile'] },
];

async function main() {
  for (const kind of Object.keys(VERBS)) {
    for (const config of WRONG.slice(0, -1)) attempt(`${kind} ${JSON.stringify(config)}`, () => new client[kind](config));
  }
  for (const kind of ['Histogram', 'Summary']) attempt(`${kind} reserved`, () => new client[kind](WRONG.at(-1)));
  attempt('content type', () => client.register.setContentType('text/html'));
  attempt('registry', () => new client.Registry('text/html'));
  attempt('pushgateway', () => new client.Pushgateway('http://localhost').push.name);
  client.register.clear();
  for (let index = 0; index < count; index += 1) program(index);
  const text = await client.register.metrics();
  const json = await client.register.getMetricsAsJSON();
  client.register.setContentType(client.openMetricsContentType);
  console.log(JSON.stringify({ errors, json, text, openmetrics: await client.register.metrics() },
    (key, value) => (typeof value === 'number' && !Number.isFinite(value) ? String(value) : value)));
}

main();
