// WebSockets: says back what it is told, until the client leaves.
'use strict';

const { WebSocketServer } = require('ws');

const { http } = require('./metrics');

const NAMESPACES = ['notifications', 'chat'];

exports.serveOn = server => {
  const websockets = new WebSocketServer({ noServer: true, maxPayload: 65536 });
  server.on('connection', socket => {
    http.connections.inc();
    socket.on('close', () => http.connections.dec());
  });
  server.on('upgrade', (request, socket, head) => {
    const namespace = NAMESPACES.find(name => request.url === `/ws/${name}`);
    const labels = { method: 'GET', route: namespace ? request.url : 'other', status_code: namespace ? 101 : 404 };
    http.requests.inc(labels);
    http.duration.observe(labels, 0);
    if (!namespace) {
      socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    websockets.handleUpgrade(request, socket, head, websocket => {
      http.websockets.inc({ namespace });
      websocket.on('message', (message, binary) => websocket.send(message, { binary }));
      websocket.on('close', () => http.websockets.dec({ namespace })).on('error', () => undefined);
    });
  });
};
