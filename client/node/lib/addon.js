// The binary part, or null where it cannot be: then the package is prom-client itself.
//
//   open([path]) -> segment; the first is 0    declare(kind, name, help, labels, bounds, mode, limit, segment)
//   find(family, values, kept) -> series         -> [family, code, message]
//   counterAdd(series[, n])                    gaugeAdd(series[, n]) gaugeSet(series, n) gaugeRemove(family, values)
//   histogramObserve(series, n)                summaryObserve(series, n)
//   setProgram(name) releaseWorker()           render(format, segment) -> promise of texts, one a family
'use strict';

const path = require('path');
const warnOnce = require('./warning');

function load() {
  try {
    const addon = require(path.join(__dirname, '..', 'prebuilds', `${process.platform}-${process.arch}`,
      'shmetrics.node'));
    if (process.argv[1]) addon.setProgram(path.basename(process.argv[1]));
    addon.open();
    return addon;
  } catch (error) {
    warnOnce(`metrics stay in each process, as prom-client keeps them: ${error.message.split('\n')[0]}`);
    return null;
  }
}

module.exports = load();
