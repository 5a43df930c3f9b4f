// Jobs: a webhook for each subscriber, a message for each recipient of a campaign. Each worker does one at a time.
'use strict';

const { query } = require('./database');
const { business, queue } = require('./metrics');
const upstream = require('./upstream');

const PAUSE_MS = 50; // when there was nothing to do

exports.publish = async (event, what) => {
  const subscribers = await query('select', 'subscriptions', 'of', event);
  const jobs = subscribers.map(({ type, path }) => ({ type, event, path, what }));
  if (jobs.length > 0) await query('insert', 'jobs', 'add', 'webhooks', 'deliver', jobs);
};

async function deliver({ type, event, path, what }) {
  const labels = { subscription_type: type, event_type: event };
  const reason = await upstream.deliver(path, what);
  if (reason) queue.failed.inc({ ...labels, reason });
  else queue.delivered.inc(labels);
  return !reason;
}

async function sendMessage({ campaign, channel, text }) {
  await query('insert', 'messages', 'add', '', text);
  queue.campaigns.inc({ campaign_type: campaign, channel });
  business.messages.inc({ channel, direction: 'outbound', status: 'success' });
  return true;
}

async function doOne() {
  const job = await query('update', 'jobs', 'claim');
  if (job === undefined) return false;
  const end = queue.duration.startTimer({ queue_name: job.queue, job_type: job.type });
  const isDone = await (job.queue === 'webhooks' ? deliver : sendMessage)(job.payload);
  end();
  await query('delete', 'jobs', 'finish', job.id, isDone);
  queue.processed.inc({ queue_name: job.queue, status: isDone ? 'completed' : 'failed' });
  return true;
}

exports.workOn = function workOn() {
  doOne().catch(error => console.error(`mastercrm: a job failed: ${error.message}`))
    .then(hadWork => setTimeout(workOn, hadWork ? 0 : PAUSE_MS));
};
