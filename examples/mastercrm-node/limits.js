// Token buckets: who may do what how often. Of this worker; four of them allow four times as much.
'use strict';

const { limits } = require('./metrics');

const MOST = 100000;
const buckets = new Map();

// Whether `who`, an ip or a company, may do it once more; `perSecond` is the most at once, too.
exports.allows = (type, resource, perSecond, who) => {
  const key = `${type} ${resource} ${who}`;
  const now = performance.now();
  if (buckets.size > MOST) buckets.clear(); // everybody starts anew: memory stays bounded
  const bucket = buckets.get(key) ?? { tokens: perSecond, filled: now };
  const tokens = Math.min(perSecond, bucket.tokens + (now - bucket.filled) / 1000 * perSecond);
  const isAllowed = tokens >= 1;
  buckets.set(key, { tokens: isAllowed ? tokens - 1 : tokens, filled: now });
  limits.checks.inc({ limit_type: type, result: isAllowed ? 'allowed' : 'rejected' });
  if (!isAllowed) limits.rejections.inc({ limit_type: type, resource });
  return isAllowed;
};
