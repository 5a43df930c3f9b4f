// What a scrape of four workers with 5,000 series each takes, and how long the event loops stand still meanwhile: ours
// from any process, prom-client's clusterMetrics() from the primary. The least time and the longest pause of ten.
//
// usage: SHMETRICS_SEGMENT=/dev/shm/bench.seg node bench/node/scrape.js PACKAGE   with it on NODE_PATH
'use strict';

const cluster = require('cluster');
const { monitorEventLoopDelay } = require('perf_hooks');

const client = require(process.argv[2]);

const SERIES = 5000;
const WORKERS = 4;
const ROUNDS = 10;

const milliseconds = () => Number(process.hrtime.bigint()) / 1e6;

function watch() {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  return () => delay.max / 1e6;
}

async function primary() {
  const registry = new client.AggregatorRegistry();
  const workers = Array.from({ length: WORKERS }, () => cluster.fork());
  const answers = () => Promise.all(workers.map(worker => new Promise(resolve => worker.once('message', resolve))));
  const fromWorkers = async () => {
    const all = Promise.all(workers.map(worker => new Promise(resolve => {
      worker.on('message', function take(message) {
        if (typeof message !== 'number') return;
        worker.off('message', take);
        resolve(message);
      });
    })));
    for (const worker of workers) worker.send('pause');
    return Math.max(...await all);
  };
  await answers();
  await registry.clusterMetrics();
  await fromWorkers();
  const pause = watch();
  let least = Infinity;
  let text = '';
  for (let round = 0; round < ROUNDS; round += 1) {
    const begin = milliseconds();
    text = await registry.clusterMetrics();
    least = Math.min(least, milliseconds() - begin);
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  const sum = text.split('\n').filter(line => line.startsWith('bench_total{'))
    .reduce((all, line) => all + Number(line.slice(line.lastIndexOf(' '))), 0);
  if (sum !== SERIES * WORKERS) throw new Error(`counted ${sum}`);
  const slowest = await fromWorkers();
  console.log(`${process.argv[2]}: scrape ${least.toFixed(1)} ms, longest pause of the process that answers ` +
    `${pause().toFixed(1)} ms, of the workers ${slowest.toFixed(1)} ms`);
  for (const worker of workers) worker.process.kill('SIGKILL');
  process.exit();
}

function worker() {
  new client.AggregatorRegistry(); // under prom-client it answers the primary
  const counter = new client.Counter({ name: 'bench_total', help: 'Bench', labelNames: ['x'], seriesLimit: SERIES });
  for (let i = 0; i < SERIES; i += 1) counter.inc({ x: `value ${i}` });
  let pause = () => 0;
  process.on('message', message => {
    if (message !== 'pause') return;
    process.send(pause());
    pause = watch();
  });
  process.send('ready');
}

if (cluster.isPrimary) primary();
else worker();
