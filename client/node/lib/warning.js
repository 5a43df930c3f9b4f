// What cannot be is said once, by name.
'use strict';

const said = new Set();

module.exports = function warnOnce(text) {
  if (said.has(text)) return;
  said.add(text);
  process.emitWarning(text, 'ShmetricsWarning');
};
