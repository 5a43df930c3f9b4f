// What MasterCRM calls: a language model, and the servers of those who subscribed to webhooks.
'use strict';

const { ai } = require('./metrics');

const address = `http://127.0.0.1:${process.env.UPSTREAM_PORT || 8090}`;

async function post(path, body, milliseconds) {
  try {
    const response = await fetch(address + path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Connection: 'close' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(milliseconds),
    });
    if (response.ok) return { answer: await response.text() };
    return { reason: response.status >= 500 ? 'http_5xx' : 'http_4xx' };
  } catch (error) {
    return { reason: error.name === 'TimeoutError' ? 'timeout' : 'connection' };
  }
}

// What the model says; undefined if it does not.
exports.complete = async (model, operation, text) => {
  const labels = { provider: 'local', model };
  const end = ai.duration.startTimer({ ...labels, operation });
  const { answer, reason } = await post('/v1/chat/completions', { model, messages: [{ role: 'user', content: text }] },
    30000);
  end();
  if (reason) {
    ai.errors.inc({ ...labels, error_type: reason });
    return undefined;
  }
  const { usage, choices } = JSON.parse(answer);
  ai.tokens.inc({ ...labels, type: 'prompt' }, usage.prompt_tokens);
  ai.tokens.inc({ ...labels, type: 'completion' }, usage.completion_tokens);
  return choices[0].message.content;
};

// Why a webhook could not be delivered; undefined if it was.
exports.deliver = async (path, event) => (await post(path, event, 5000)).reason;
