// What an update costs, beside prom-client and its successor in the same process: CPU time in ns, without the loop
// around it; the least of many rounds.
//
// usage: SHMETRICS_SEGMENT=/dev/shm/bench.seg node bench/node/peers.js   with all three packages on NODE_PATH
'use strict';

const os = require('os');
const clients = ['@shmetrics/prom-client', 'prom-client', '@prometheus-io/client'];

const THREE = ['method', 'route', 'status'];
const ROUNDS = 15;
const UPDATES = 200000;

function nanoseconds(update) {
  let least = Infinity;
  for (let round = 0; round < ROUNDS; round += 1) {
    const begin = process.cpuUsage();
    for (let i = 0; i < UPDATES; i += 1) update(i);
    const { user, system } = process.cpuUsage(begin);
    least = Math.min(least, (user + system) * 1000 / UPDATES);
  }
  return least;
}

// A function a kind of update, made anew for each package: shared code would know both of them, and be slower.
const WORKS = {
  'child.inc() of a kept child': client => {
    const counter = new client.Counter({ name: 'kept_total', help: 'Kept', labelNames: THREE });
    const child = counter.labels('GET', '/', '200');
    return () => child.inc();
  },
  'counter.inc({3 labels})': client => {
    const counter = new client.Counter({ name: 'named_total', help: 'Named', labelNames: THREE });
    const sets = Array.from({ length: 100 }, (_, i) => ({ method: 'GET', route: `/route/${i}`, status: 200 }));
    return i => counter.inc(sets[i % 100]);
  },
  'counter.labels(a, b, c).inc()': client => {
    const counter = new client.Counter({ name: 'placed_total', help: 'Placed', labelNames: THREE });
    return () => counter.labels('GET', '/', '200').inc();
  },
  'counter.inc()': client => {
    const counter = new client.Counter({ name: 'plain_total', help: 'Plain' });
    return () => counter.inc();
  },
  'histogram.observe(x)': client => {
    const histogram = new client.Histogram({ name: 'plain_seconds', help: 'Plain' });
    return i => histogram.observe((i & 1023) / 100);
  },
  'histogram.observe({3 labels}, x)': client => {
    const histogram = new client.Histogram({ name: 'named_seconds', help: 'Named', labelNames: THREE });
    const labels = { method: 'GET', route: '/', status: 200 };
    return i => histogram.observe(labels, (i & 1023) / 100);
  },
  'gauge.set(x)': client => {
    const gauge = new client.Gauge({ name: 'set_plain', help: 'Plain' });
    return i => gauge.set(i);
  },
};

// The same source compiled for each package, as the comment on WORKS wants.
function fresh(work, client) {
  return new Function('client', 'THREE', `return (${work})(client)`)(client, THREE);
}

const loop = nanoseconds(fresh(() => () => undefined, null));
const [{ model }] = os.cpus();
console.log(`${os.cpus().length} cores of ${model}, load ${os.loadavg()[0].toFixed(1)}, node ${process.version}`);
console.log(`| CPU time in ns | ${clients.join(' | ')} |\n| --- | --- | --- | --- |`);
for (const [name, work] of Object.entries(WORKS)) {
  const figures = clients.map(client => (nanoseconds(fresh(work, require(client))) - loop).toFixed(0));
  console.log(`| \`${name}\` | ${figures.join(' | ')} |`);
}
