// node -r @shmetrics/prom-client/register, or --import: who asks for prom-client or @prometheus-io/client gets this
// package, also middleware.
'use strict';

const Module = require('module');
const ours = require('./index');
const peer = require('./lib/peer');

// import and require of the copies that this package found. Each is another module than ours, since import remembers what
// the first one exported when it was loaded.
for (const file of peer.files) {
  const replaced = new Module(file);
  Object.assign(replaced, { filename: file, loaded: true, exports: ours });
  Module._cache[file] = replaced;
}

// require of a copy that lies within the middleware's own folder.
const load = Module._load;
Module._load = function loadOurs(request, ...rest) {
  return request === 'prom-client' || request === '@prometheus-io/client' ? ours : load.call(this, request, ...rest);
};
