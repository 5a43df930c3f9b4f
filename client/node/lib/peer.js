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
const peer = require(found);
const { validateLabel } = require(path.join(path.dirname(found), 'lib/validation'));
const { getLabels } = require(path.join(path.dirname(found), 'lib/util'));

// A copy, since register.js puts our names in the place of theirs.
module.exports = { ...peer, validateLabel, getLabels, file: found };
