// A server of four processes that counts in shared memory; any of them answers /metrics for all:
//
//   SHMETRICS_SEGMENT=/dev/shm/app.seg node cluster_app.js 8080
'use strict';

const cluster = require('cluster');
const http = require('http');
const { Counter, Histogram, register } = require('@shmetrics/prom-client');

if (cluster.isPrimary) {
  for (let i = 0; i < 4; i += 1) cluster.fork();
  cluster.on('exit', () => cluster.fork());
} else {
  // A worker that ends by a signal counts as a death.
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit());
  const requests = new Counter({ name: 'app_http_requests_total', help: 'Requests', labelNames: ['method', 'status'] });
  const seconds = new Histogram({ name: 'app_http_request_seconds', help: 'Duration of requests' });

  http.createServer(async (request, response) => {
    if (request.url === '/metrics') {
      response.setHeader('Content-Type', register.contentType);
      response.end(await register.metrics());
      return;
    }
    const end = seconds.startTimer();
    requests.inc({ method: request.method, status: 200 });
    end();
    response.end('hello\n'); // who has an answer is counted, whatever happens to the worker then
  }).listen(Number(process.argv[2]), '127.0.0.1');
}
