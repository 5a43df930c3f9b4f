// What this worker has read already.
'use strict';

const { cache } = require('./metrics');

const MOST = 10000;
const BYTES_A_CHARACTER = 2;
const caches = { contact: new Map(), conversation: new Map() };

function set(type, key, text) {
  caches[type].set(key, text);
  cache.memory.inc({ cache_type: type }, BYTES_A_CHARACTER * text.length);
  cache.size.set({ cache_type: type }, caches[type].size);
}

function remove(type, key) {
  const text = caches[type].get(key);
  if (text === undefined) return;
  caches[type].delete(key);
  cache.memory.dec({ cache_type: type }, BYTES_A_CHARACTER * text.length);
  cache.size.set({ cache_type: type }, caches[type].size);
}

// The entry of `key`, or what `load` finds.
exports.through = async (type, key, load) => {
  const labels = { cache_type: type };
  cache.operations.inc({ operation: 'get', ...labels });
  const hit = caches[type].get(key);
  if (hit !== undefined) {
    cache.hits.inc(labels);
    return JSON.parse(hit);
  }
  cache.misses.inc(labels);
  const found = await load();
  if (found !== undefined) {
    remove(type, key); // another request may have been as fast
    if (caches[type].size === MOST) remove(type, caches[type].keys().next().value);
    set(type, key, JSON.stringify(found));
    cache.operations.inc({ operation: 'set', ...labels });
  }
  return found;
};

exports.forget = (type, key) => {
  remove(type, key);
  cache.operations.inc({ operation: 'delete', cache_type: type });
};
