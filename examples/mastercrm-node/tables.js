// What a real application has in PostgreSQL: the tables of all workers, in the memory of the primary. `run` answers after
// a while, as a server elsewhere does.
'use strict';

const LATENCY_MS = 1;
const REPORT_MS = 1500; // a heavy report takes seconds
const ORPHANED_MS = 60000; // the worker of a job was killed: another shall do it
const FAILED_MS = 3600000; // how long a failed job is kept to be looked at
const ACTIVE_USER_MS = 300000; // since a user was last seen

const sleep = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));

const contacts = new Map();
const emails = new Set();
const conversations = new Map();
const subscriptions = new Map();
const sessions = new Map();
const messages = [];
let jobs = [];
let lastId = 0;

function addContact(email, name) {
  if (emails.has(email)) throw new Error('constraint');
  emails.add(email);
  const id = String(contacts.size + 1);
  contacts.set(id, { id, email, name });
  return id;
}

function open(contact, channel) {
  if (!contacts.has(contact)) return undefined;
  const id = String(conversations.size + 1);
  conversations.set(id, { id, contact, channel, opened: Date.now(), isOpen: true });
  return { id };
}

for (let i = 1; i <= 50; i += 1) open(addContact(`contact${i}@example.com`, `Contact ${i}`), 'email');

// [key, how many] of what is grouped by `keyOf`.
function counted(rows, keyOf) {
  const counts = new Map();
  for (const row of rows) counts.set(keyOf(row), (counts.get(keyOf(row)) ?? 0) + 1);
  return [...counts];
}

const statements = {
  'contacts list': () => [...contacts.values()].slice(0, 20),
  'contacts get': id => contacts.get(id),
  'contacts add': addContact,
  'contacts change': (id, name) => contacts.has(id) ? Object.assign(contacts.get(id), { name }) : undefined,
  'contacts forecast': async () => {
    await sleep(REPORT_MS);
    return { contacts: contacts.size };
  },
  'conversations open': open,
  'conversations get': id => conversations.get(id),
  'conversations reopen': id => {
    const found = conversations.get(id);
    if (found && !found.isOpen) Object.assign(found, { isOpen: true, opened: Date.now() });
    return found;
  },
  'conversations close': id => {
    const found = conversations.get(id);
    if (!found?.isOpen) return undefined;
    found.isOpen = false;
    return { channel: found.channel, seconds: (Date.now() - found.opened) / 1000 };
  },
  'messages add': (conversation, text) => messages.push({ conversation, text }),
  'subscriptions add': (type, event, path) => { subscriptions.set(`${type} ${event}`, { type, event, path }); },
  'subscriptions of': event => [...subscriptions.values()].filter(row => row.event === event),
  'sessions add': (user, company, type) => { sessions.set(user, { company, type, seen: Date.now() }); },
  'sessions active': () => {
    const active = [...sessions.values()].filter(({ seen }) => seen > Date.now() - ACTIVE_USER_MS);
    return counted(active, ({ company, type }) => `${company} ${type}`);
  },
  'jobs add': (queue, type, payloads) => {
    for (const payload of payloads) {
      lastId += 1;
      jobs.push({ id: lastId, queue, type, payload, status: 'waiting', changed: Date.now() });
    }
  },
  'jobs claim': () => {
    const orphaned = Date.now() - ORPHANED_MS;
    const isFree = ({ status, changed }) => status === 'waiting' || (status === 'active' && changed < orphaned);
    const found = jobs.find(isFree);
    return found && Object.assign(found, { status: 'active', changed: Date.now() });
  },
  'jobs finish': (id, isDone) => {
    if (isDone) jobs = jobs.filter(job => job.id !== id);
    else Object.assign(jobs.find(job => job.id === id) ?? {}, { status: 'failed' });
  },
  'jobs size': () => {
    jobs = jobs.filter(({ status, changed }) => status !== 'failed' || changed > Date.now() - FAILED_MS);
    return counted(jobs, ({ queue, status }) => `${queue} ${status}`);
  },
};

exports.run = async (name, values) => {
  await sleep(LATENCY_MS);
  return statements[name](...values);
};
