// MasterCRM in Node: four workers of cluster, and GET /api/metrics is answered by any of them, for all.
//
// usage: [METRICS_TOKEN=...] [PORT=8080] node server.js
'use strict';

const cluster = require('cluster');
const http = require('http');

const PORT = Number(process.env.PORT || 8080);
const CHANNELS = ['email', 'sms', 'chat'];

// Label values come from sets that are bounded: a client may not make series.
const known = (value, values) => (values.includes(value) ? value : values[0]);

function routes(crm) {
  return [
    ['get', '/health', async () => [200, { ok: true }]],
    ['get', '/contacts/:id', async ({ params }) => {
      const found = await crm.contact(params.id);
      return found ? [200, found] : [404, { error: 'no such contact' }];
    }],
    ['post', '/contacts/:id', async ({ params, body }) => {
      try {
        return [201, await crm.createContact({ id: params.id, name: body.name })];
      } catch {
        return [409, { error: 'there is such a contact' }];
      }
    }],
    ['post', '/conversations', async ({ body }) => {
      const channel = known(body.channel, CHANNELS);
      const initiatedBy = known(body.initiated_by, ['contact', 'agent']);
      crm.converse({ channel, initiatedBy, seconds: Number(body.seconds) || 60 });
      crm.deliver('partner', 'conversation.created', body.reachable !== false);
      return [201, { channel }];
    }],
    ['post', '/campaigns', async ({ body }) => {
      crm.sendCampaign('newsletter', known(body.channel, CHANNELS), Number(body.count) || 1);
      return [202, {}];
    }],
    ['post', '/ai/reply', async ({ body }) => {
      if (!crm.isWithinLimit(known(body.company, ['1', '2', '3']))) return [429, { error: 'later' }];
      const text = await crm.reply(known(body.model, ['crm-small', 'crm-retired']), String(body.text));
      return text ? [200, { text }] : [502, { error: 'no answer' }];
    }],
  ];
}

async function bodyOf(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  try {
    return JSON.parse(text || '{}');
  } catch {
    return {};
  }
}

function send(response, status, body) {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(body));
}

// The one place that counts and times. A route is its pattern, never a path.
function counted(metrics, method, route, handle) {
  return async (request, response, params) => {
    const end = metrics.http.duration.startTimer({ method, route });
    metrics.http.connections.inc();
    response.on('close', () => metrics.http.connections.dec());
    const [status, body] = await handle({ params, body: await bodyOf(request) }).catch(() => [500, {}]);
    end({ status_code: status });
    metrics.http.requests.inc({ method, route, status_code: status });
    send(response, status, body);
  };
}

async function serveMetrics(register, access, request, response) {
  if (!access.mayRead(request)) {
    response.writeHead(401, { 'WWW-Authenticate': 'Bearer' });
    response.end('unauthorized\n');
    return;
  }
  const text = await register.metrics();
  response.writeHead(200, { 'Content-Type': register.contentType });
  response.end(text);
}

// By express, where it is installed; else by a router of its own.
function router(table) {
  try {
    const express = require('express');
    const app = express().disable('x-powered-by');
    for (const [method, pattern, handle] of table) {
      app[method](pattern, (request, response) => handle(request, response, request.params));
    }
    return app;
  } catch {
    const patterns = table.map(([method, pattern, handle]) =>
      [method.toUpperCase(), new RegExp(`^${pattern.replace(/:(\w+)/g, '(?<$1>[^/]+)')}$`), handle]);
    return (request, response) => {
      const { pathname } = new URL(request.url, 'http://localhost');
      for (const [method, pattern, handle] of patterns) {
        const match = method === request.method && pattern.exec(pathname);
        if (match) return handle(request, response, { ...match.groups });
      }
      return send(response, 404, { error: 'no such path' });
    };
  }
}

function serve() {
  const metrics = require('./metrics');
  const access = require('./access');
  const table = routes(require('./crm')).map(([method, pattern, handle]) =>
    [method, pattern, counted(metrics, method.toUpperCase(), pattern, handle)]);
  table.push(['get', '/api/metrics', serveMetrics.bind(null, metrics.register, access)]);
  const server = http.createServer(router(table));
  server.on('upgrade', (request, socket) => {
    const labels = { namespace: known(request.url.slice('/ws/'.length), ['notifications', 'chat']) };
    const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = require('crypto').createHash('sha1').update(key).digest('base64');
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      `Sec-WebSocket-Accept: ${accept}\r\n\r\n`);
    metrics.http.websockets.inc(labels);
    socket.on('close', () => metrics.http.websockets.dec(labels)).on('error', () => undefined).resume();
  });
  server.listen(PORT, '127.0.0.1');
  // Without it the signal would end the worker at once, which counts as a death.
  process.on('SIGTERM', () => process.exit());
}

function supervise() {
  let isEnding = false;
  for (let i = 0; i < 4; i += 1) cluster.fork();
  cluster.on('exit', () => isEnding || cluster.fork());
  process.on('SIGTERM', () => {
    isEnding = true;
    cluster.disconnect(() => process.exit());
  });
}

if (cluster.isPrimary) supervise();
else serve();
