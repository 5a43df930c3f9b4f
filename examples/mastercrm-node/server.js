// MasterCRM in Node: four workers of cluster, of which any answers GET /api/metrics for all.
//
// usage: [PORT=8080] [UPSTREAM_PORT=8090] [METRICS_TOKEN=...] [SHMETRICS_SEGMENT=...] node server.js
'use strict';

const cluster = require('cluster');
const http = require('http');

const WORKERS = 4;
const port = Number(process.env.PORT || 8080);

// The primary keeps the tables, where a real application has a database server.
function supervise() {
  const tables = require('./tables');
  let isEnding = false;
  for (let i = 0; i < WORKERS; i += 1) cluster.fork();
  cluster.on('message', (worker, { id, name, values }) => {
    tables.run(name, values).then(rows => ({ id, rows }), error => ({ id, error: error.message }))
      .then(answer => worker.isConnected() && worker.send(answer, () => undefined));
  });
  cluster.on('exit', (worker, code) => {
    if (code === 2) process.exit(1); // it has said why
    if (!isEnding) cluster.fork();
  });
  cluster.once('listening', (worker, address) => {
    console.log(`mastercrm: serves http://127.0.0.1:${address.port}/ with ${WORKERS} workers`);
  });
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.on(signal, () => {
      isEnding = true;
      cluster.disconnect(() => process.exit());
    });
  }
}

function work() {
  const server = http.createServer(require('./app'));
  require('./websockets').serveOn(server);
  require('./queue').workOn();
  server.on('error', error => {
    console.error(`mastercrm: cannot listen on port ${port}: ${error.code}; choose another by PORT`);
    process.exit(2);
  });
  server.listen(port, '127.0.0.1');
  // A worker that a signal ends counts as a death; one that exits does not.
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit());
}

if (cluster.isPrimary) supervise();
else work();
