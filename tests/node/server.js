// A server of four workers that counts. GET /work is answered after it is counted; /die is counted, and the worker kills
// itself before it answers; /leave ends the worker in order, after its answers; /metrics is the answering worker's.
//
// usage: node server.js PORT
'use strict';

const cluster = require('cluster');
const http = require('http');
const client = require('@shmetrics/prom-client');

if (cluster.isPrimary) {
  let isEnding = false;
  for (let i = 0; i < 4; i += 1) cluster.fork();
  cluster.on('exit', () => isEnding || cluster.fork());
  process.stdin.on('end', () => { // in order, as at a shutdown
    isEnding = true;
    cluster.disconnect(() => process.exit());
  }).resume();
} else {
  const requests = new client.Counter({ name: 'app_requests_total', help: 'Requests', labelNames: ['route'] });
  const seconds = new client.Histogram({ name: 'app_request_seconds', help: 'Seconds', labelNames: ['route'] });
  const active = new client.Gauge({ name: 'app_active', help: 'Requests in progress' });
  const server = http.createServer(async (request, response) => {
    if (request.url === '/metrics') {
      response.setHeader('Content-Type', client.register.contentType);
      response.end(await client.register.metrics());
      return;
    }
    active.inc();
    requests.inc({ route: request.url });
    seconds.observe({ route: request.url }, 0.01);
    if (request.url === '/die') process.kill(process.pid, 'SIGKILL');
    active.dec();
    response.end(String(process.pid));
    if (request.url === '/leave') cluster.worker.disconnect();
  });
  server.keepAliveTimeout = 1;
  server.listen(Number(process.argv[2]), '127.0.0.1');
}
