// HTTP: the one place that counts and times requests, and what MasterCRM answers. A label is a route and not a path, and
// a value from a set that is known: a client may not make series.
'use strict';

const express = require('express');

const access = require('./access');
const cache = require('./cache');
const { Conflict, query } = require('./database');
const limits = require('./limits');
const { business, http, register } = require('./metrics');
const { publish } = require('./queue');
const upstream = require('./upstream');

const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'HEAD'];
const CHANNELS = ['email', 'sms', 'chat'];
const INITIATORS = ['contact', 'agent'];
const COMPANIES = ['1', '2', '3'];

class BadRequest extends Error {}

// Counts before the client has the answer: who has one has been counted, whatever happens to the worker then.
function measure(request, response, next) {
  const method = METHODS.includes(request.method) ? request.method : 'other';
  const finish = http.duration.startTimer({ method });
  const end = response.end;
  response.end = (...rest) => {
    const labels = { route: request.route?.path ?? 'other', status_code: response.statusCode };
    finish(labels);
    http.requests.inc({ method, ...labels });
    return end.apply(response, rest);
  };
  next();
}

function choice(body, field, known) {
  if (!known.includes(body?.[field])) throw new BadRequest(`${field} has an unknown value`);
  return body[field];
}

function text(body, field) {
  if (typeof body?.[field] !== 'string' || body[field] === '') throw new BadRequest(`${field} is missing`);
  return body[field];
}

// Of a subscriber's server. What does not begin with a slash would name another host.
function path(body) {
  if (!/^\/[!-~]*$/.test(text(body, 'path'))) throw new BadRequest('path is no path');
  return body.path;
}

function send(response, found, name) {
  if (found === undefined) response.status(404).json({ error: `no such ${name}` });
  else response.json(found);
}

const app = express().disable('x-powered-by').disable('etag');

app.get('/api/metrics', async (request, response) => {
  if (!access.mayRead(request)) {
    response.status(401).set('WWW-Authenticate', 'Bearer realm="mastercrm"').send('unauthorized\n');
    return;
  }
  response.set('Content-Type', register.contentType).end(await register.metrics());
});

app.use(measure);
app.use(express.json({ type: () => true }));
app.use((request, response, next) => {
  if (limits.allows('ip', 'api', 2000, request.socket.remoteAddress)) next();
  else response.status(429).json({ error: 'too many requests' });
});

app.get('/health', (request, response) => response.json({}));

app.get('/contacts', async (request, response) => response.json(await query('select', 'contacts', 'list')));

app.post('/contacts', async ({ body }, response) => {
  const id = await query('insert', 'contacts', 'add', text(body, 'email'), text(body, 'name'));
  response.status(201).json({ id });
});

app.get('/contacts/:id', async ({ params }, response) => {
  const found = await cache.through('contact', params.id, () => query('select', 'contacts', 'get', params.id));
  send(response, found, 'contact');
});

app.put('/contacts/:id', async ({ params, body }, response) => {
  const found = await query('update', 'contacts', 'change', params.id, text(body, 'name'));
  cache.forget('contact', params.id);
  send(response, found, 'contact');
});

app.post('/conversations', async ({ body }, response) => {
  const channel = choice(body, 'channel', CHANNELS);
  const initiator = choice(body, 'initiated_by', INITIATORS);
  const found = await query('insert', 'conversations', 'open', String(body.contact), channel);
  if (found) {
    business.conversations.inc({ channel, initiated_by: initiator });
    await publish('conversation.created', found);
    response.status(201);
  }
  send(response, found, 'contact');
});

app.get('/conversations/:id', async ({ params }, response) => {
  const found = await cache.through('conversation', params.id,
    () => query('select', 'conversations', 'get', params.id));
  send(response, found, 'conversation');
});

app.post('/conversations/:id/messages', async ({ params, body }, response) => {
  const direction = choice(body, 'direction', ['inbound', 'outbound']);
  const message = text(body, 'text');
  const found = await query('update', 'conversations', 'reopen', params.id);
  if (found) {
    cache.forget('conversation', params.id);
    await query('insert', 'messages', 'add', params.id, message);
    business.messages.inc({ channel: found.channel, direction, status: 'success' });
    await publish('message.created', { conversation: params.id });
    response.status(201);
  }
  send(response, found, 'conversation');
});

app.post('/conversations/:id/close', async ({ params }, response) => {
  const found = await query('update', 'conversations', 'close', params.id);
  if (!found) throw new Conflict('is closed, or not there');
  cache.forget('conversation', params.id);
  business.conversationSeconds.observe({ channel: found.channel }, found.seconds);
  response.json({});
});

app.post('/webhooks', async ({ body }, response) => {
  await query('insert', 'subscriptions', 'add', choice(body, 'subscription_type', ['partner', 'legacy']),
    choice(body, 'event_type', ['conversation.created', 'message.created']), path(body));
  response.status(201).json({});
});

app.post('/campaigns', async ({ body }, response) => {
  const company = choice(body, 'company', COMPANIES);
  const campaign = choice(body, 'campaign_type', ['newsletter', 'promotion']);
  const job = { campaign, channel: choice(body, 'channel', CHANNELS), text: text(body, 'text') };
  if (!(body.recipients >= 1 && body.recipients <= 5000)) throw new BadRequest('recipients is not from 1 to 5000');
  if (!limits.allows('company', 'campaigns', 1, company)) {
    response.status(429).json({ error: 'too many campaigns' });
    return;
  }
  await query('insert', 'jobs', 'add', 'campaigns', 'send', Array(body.recipients).fill(job));
  response.status(202).json({ recipients: body.recipients });
});

app.post('/ai/replies', async ({ body }, response) => {
  const model = choice(body, 'model', ['crm-small', 'crm-retired']);
  const operation = choice(body, 'operation', ['reply', 'summary']);
  if (!limits.allows('company', 'ai', 100, choice(body, 'company', COMPANIES))) {
    response.status(429).json({ error: 'too many requests' });
    return;
  }
  const answer = await upstream.complete(model, operation, text(body, 'text'));
  if (answer === undefined) response.status(502).json({ error: 'the language model does not answer' });
  else response.json({ text: answer });
});

app.post('/sessions', async ({ body }, response) => {
  if (!(body?.user >= 1)) throw new BadRequest('user is missing');
  await query('insert', 'sessions', 'add', body.user, choice(body, 'company', COMPANIES),
    choice(body, 'user_type', ['agent', 'admin']));
  response.status(201).json({});
});

app.get('/reports/forecast', async (request, response) =>
  response.json(await query('report', 'contacts', 'forecast')));

app.use((request, response) => response.status(404).json({ error: 'no such page' }));

// Express knows an error handler by its four arguments.
app.use((error, request, response, next) => { // eslint-disable-line no-unused-vars
  const isOfJson = error.type !== undefined; // body-parser's, such as entity.parse.failed
  const status = error instanceof BadRequest || isOfJson ? 400 : error instanceof Conflict ? 409 : 500;
  response.status(status).json({ error: status === 500 ? 'internal error' : error.message });
});

module.exports = app;
