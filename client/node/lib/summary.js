'use strict';

const addon = require('./addon');
const peer = require('./peer');
const warnOnce = require('./warning');
const { declare } = require('./family');
const { lasting, observing } = require('./lasting');
const { withRegister } = require('./registry');

const SummaryChild = observing(addon.summaryObserve);

class Summary extends lasting(peer.client.Summary) {
  constructor(config) {
    super(withRegister(config));
    this._declare();
    if (this._family && config.percentiles) warnOnce(`${this.name}: percentiles are left out, a histogram has them`);
  }

  _declare() {
    this._family = declare('summary', this, SummaryChild);
  }

  observe(labels, value) {
    if (!this._family) return super.observe(labels, value);
    const given = labels === 0 ? 0 : labels || {};
    if (value !== undefined) return this._family.child(given).observe(value);
    peer.validateLabel(this.labelNames, given);
    return this._family.childWithoutLabels().observe(given);
  }
}

module.exports = Summary;
