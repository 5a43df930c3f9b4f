// node -r @shmetrics/prom-client/register, or --import: who asks for prom-client gets this package, also middleware.
'use strict';

const Module = require('module');
const ours = require('./index');
const peer = require('./lib/peer');

// import and require of the copy that this package found.
require.cache[peer.file].exports = ours;

// require of a copy that lies within the middleware's own folder.
const load = Module._load;
Module._load = function loadOurs(request, ...rest) {
  return request === 'prom-client' ? ours : load.call(this, request, ...rest);
};
