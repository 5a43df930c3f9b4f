// What cannot be is said once, by name.
'use strict';

const said = new Set();

module.exports = function warnOnce(text, cause = text) {
  if (said.has(cause)) return;
  said.add(cause);
  process.emitWarning(text, 'ShmetricsWarning');
};
