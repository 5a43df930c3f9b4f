// node -r @shmetrics/prom-client/register, or --import: who asks for prom-client gets this package, also middleware.
'use strict';

const Module = require('module');
const ours = require('./index');
const peer = require('./lib/peer');

// import and require of the copy that this package found. It is another module, since import remembers what the first
// one exported when it was loaded.
const replaced = new Module(peer.file);
Object.assign(replaced, { filename: peer.file, loaded: true, exports: ours });
Module._cache[peer.file] = replaced;

// require of a copy that lies within the middleware's own folder.
const load = Module._load;
Module._load = function loadOurs(request, ...rest) {
  return request === 'prom-client' ? ours : load.call(this, request, ...rest);
};
