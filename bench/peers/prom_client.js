// prom-client, its AggregatorRegistry over the workers of node's cluster, at the work of bench/peers: see run.sh.
//
// usage: node prom_client.js update|scrape
//
// No churn: what a dead worker counted is gone with it.
'use strict';
const cluster = require('cluster');
const client = require('prom-client');

const LOOKED_UP = 1000;
const SCRAPED = 10000;
const PROCESSES = 8;
const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const NAMES = ['method', 'route', 'status_code'];

function labelSets(count) {
  const methods = ['GET', 'POST', 'PUT', 'DELETE'];
  const statuses = ['200', '201', '404', '500', '503'];
  return Array.from({ length: count }, (_, i) => ({
    method: methods[i % 4],
    route: `/api/v1/resource/${Math.floor(i / 20)}`,
    status_code: statuses[Math.floor(i / 4) % 5],
  }));
}

function milliseconds() {
  return Number(process.hrtime.bigint()) / 1e6;
}

async function leastMilliseconds(rounds, run) {
  let least = Infinity;
  for (let round = 0; round < rounds; round += 1) {
    const begin = milliseconds();
    await run();
    least = Math.min(least, milliseconds() - begin);
  }
  return least;
}

function say(name, value) {
  console.log(`${name} ${value.toPrecision(6)}`);
}

function must(holds, what) {
  if (holds) return;
  console.error(`wrong result: ${what}`);
  process.exit(1);
}

function sumOf(text, series) {
  return text.split('\n').filter((line) => line.startsWith(series))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

const requests = () => new client.Counter({ name: 'http_requests_total', help: 'Requests', labelNames: NAMES });

async function update() {
  const rounds = 9;
  const updates = 200000;
  const family = requests();
  const held = new client.Counter({ name: 'held_total', help: 'Held', labelNames: NAMES });
  const sets = labelSets(LOOKED_UP);
  const child = held.labels(sets[0].method, sets[0].route, sets[0].status_code);
  const histogram = new client.Histogram({ name: 'duration_seconds', help: 'Duration', buckets: BOUNDS });
  const values = Array.from({ length: 1000 }, (_, k) => 0.001 * 10 ** (4.8 * (k * 397 % 1024) / 1024));
  const works = {
    counter_ns: () => child.inc(),
    lookup_ns: (i) => family.inc(sets[i % LOOKED_UP]),
    histogram_ns: (i) => histogram.observe(values[i % values.length]),
  };
  for (const [name, once] of Object.entries(works)) {
    const least = await leastMilliseconds(rounds, () => {
      for (let i = 0; i < updates; i += 1) once(i);
    });
    say(name, least / updates * 1e6);
  }
  const text = await client.register.metrics();
  for (const series of ['held_total', 'http_requests_total', 'duration_seconds_count']) {
    must(sumOf(text, series) === rounds * updates, series);
  }
}

async function scrape() {
  const registry = new client.AggregatorRegistry();
  const workers = Array.from({ length: PROCESSES }, () => cluster.fork());
  await Promise.all(workers.map((worker) => new Promise((resolve) => {
    worker.on('message', (message) => message === 'counted' && resolve());
  })));
  let text = '';
  const least = await leastMilliseconds(12, async () => {
    text = await registry.clusterMetrics();
  });
  must(sumOf(text, 'http_requests_total') === PROCESSES * SCRAPED * (SCRAPED - 1) / 2, 'scrape');
  say('scrape_ms', least);
  say('text_bytes', Buffer.byteLength(text));
  workers.forEach((worker) => worker.process.kill('SIGKILL'));
  process.exit(0);
}

function work() {
  client.AggregatorRegistry.setRegistries(client.register);
  new client.AggregatorRegistry(); // answers the primary
  const family = requests();
  labelSets(SCRAPED).forEach((set, i) => family.inc(set, i));
  process.send('counted');
}

if (cluster.isWorker) {
  work();
} else {
  ({ update, scrape })[process.argv[2]]();
}
