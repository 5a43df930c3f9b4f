// The real prom-client. Where a package.json gives our package that name by an npm alias, the real one has the name
// prom-client-original there.
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

const found = find('prom-client') ?? find('prom-client-original');
if (found === undefined) {
  throw new Error('@shmetrics/prom-client needs prom-client 15 beside it: npm install prom-client@15');
}
const beside = name => require(path.join(path.dirname(found), 'lib', name));

module.exports = {
  client: require(found),
  file: found,
  getLabels: beside('util').getLabels,
  validateLabel: beside('validation').validateLabel,
};
