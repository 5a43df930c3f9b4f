// The package whose names ours are: prom-client, or its successor @prometheus-io/client. Where a package.json gives our
// package the name prom-client by an npm alias, the real one has the name prom-client-original there.
'use strict';

const path = require('path');

const own = path.dirname(__dirname);

function find(name) {
  try {
    const found = require.resolve(name);
    return found.startsWith(own + path.sep) ? undefined : found;
  } catch {
    return undefined;
  }
}

const NAMES = ['prom-client', '@prometheus-io/client', 'prom-client-original'];

const found = NAMES.map(find).find(file => file !== undefined);
if (found === undefined) {
  throw new Error('@shmetrics/prom-client needs prom-client 15, or @prometheus-io/client, beside it: ' +
    'npm install prom-client@15');
}
const beside = name => require(path.join(path.dirname(found), 'lib', name));

const client = require(found);

module.exports = {
  client,
  isSuccessor: client.ClusterRegistry !== undefined, // which checks a value before its labels
  files: NAMES.map(find).filter(file => file !== undefined),
  getLabels: beside('util').getLabels,
  validateLabel: beside('validation').validateLabel,
};
