// What MasterCRM does for a request; its database, queue and language model are of this process, and forget.
'use strict';

const { ai, business, cache, database, limits, queue } = require('./metrics');

const sleep = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));

const POOL = 4;
const contacts = new Map([...Array(50).keys()].map(i => [String(i + 1), { id: i + 1, name: `Contact ${i + 1}` }]));
let active = 0;
let waiting = 0;
function showPool() {
  database.pool.set({ state: 'active' }, active);
  database.pool.set({ state: 'idle' }, POOL - active);
  database.pool.set({ state: 'waiting' }, waiting);
}
showPool();

async function query(operation, table, work) {
  const end = database.duration.startTimer({ operation, table });
  waiting += 1;
  while (active === POOL) await sleep(1);
  waiting -= 1;
  active += 1;
  showPool();
  try {
    await sleep(1);
    const found = work();
    end({ success: 'true' });
    return found;
  } catch (error) {
    database.errors.inc({ operation, error_type: error.message });
    end({ success: 'false' });
    throw error;
  } finally {
    active -= 1;
    showPool();
  }
}

const cached = new Map();
async function contact(id) {
  const labels = { cache_type: 'contact' };
  cache.operations.inc({ operation: 'get', ...labels });
  const hit = cached.get(id);
  if (hit) {
    cache.hits.inc(labels);
    return hit;
  }
  cache.misses.inc(labels);
  const found = await query('select', 'contacts', () => contacts.get(id));
  if (found) {
    cache.operations.inc({ operation: 'set', ...labels });
    cached.set(id, found);
    cache.size.set(labels, cached.size);
    cache.memory.set(labels, JSON.stringify([...cached.values()]).length);
  }
  return found;
}

function createContact({ id, name }) {
  return query('insert', 'contacts', () => {
    if (contacts.has(id)) throw new Error('constraint');
    contacts.set(id, { id, name });
    return contacts.get(id);
  });
}

async function work(name, type, job) {
  queue.size.inc({ queue_name: name, status: 'waiting' });
  await sleep(1);
  queue.size.dec({ queue_name: name, status: 'waiting' });
  const end = queue.duration.startTimer({ queue_name: name, job_type: type });
  try {
    await job();
    queue.processed.inc({ queue_name: name, status: 'completed' });
  } catch {
    queue.processed.inc({ queue_name: name, status: 'failed' });
  }
  end();
}

function deliver(subscription, event, isReachable) {
  return work('webhooks', 'delivery', async () => {
    await sleep(1);
    if (isReachable) {
      queue.delivered.inc({ subscription_type: subscription, event_type: event });
    } else {
      queue.failed.inc({ subscription_type: subscription, event_type: event, reason: 'refused' });
      throw new Error('refused');
    }
  });
}

function sendCampaign(type, channel, count) {
  return work('campaigns', 'send', async () => queue.campaigns.inc({ campaign_type: type, channel }, count));
}

const spent = new Map();
function isWithinLimit(company) {
  const second = Math.floor(Date.now() / 1000);
  const count = spent.get(company)?.second === second ? spent.get(company).count + 1 : 1;
  spent.set(company, { second, count });
  const isAllowed = count <= 5;
  limits.checks.inc({ limit_type: 'company', result: isAllowed ? 'allowed' : 'rejected' });
  if (!isAllowed) limits.rejections.inc({ limit_type: 'company', resource: 'ai' });
  return isAllowed;
}

async function reply(model, text) {
  const labels = { provider: 'local', model };
  const end = ai.duration.startTimer({ ...labels, operation: 'reply' });
  await sleep(2);
  end();
  if (model === 'crm-retired') {
    ai.errors.inc({ ...labels, error_type: 'no_such_model' });
    return undefined;
  }
  ai.tokens.inc({ ...labels, type: 'prompt' }, text.length);
  ai.tokens.inc({ ...labels, type: 'completion' }, 12);
  return 'Thank you for your message.';
}

function converse({ channel, initiatedBy, seconds }) {
  business.conversations.inc({ channel, initiated_by: initiatedBy });
  business.messages.inc({ channel, direction: 'inbound', status: 'processed' });
  business.conversationSeconds.observe({ channel }, seconds);
}

module.exports = { contact, converse, createContact, deliver, isWithinLimit, reply, sendCampaign };
