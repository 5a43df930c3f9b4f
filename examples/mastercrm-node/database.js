// A worker's pool of connections to the tables: who wants more than there are waits.
'use strict';

const { database } = require('./metrics');

const CONNECTIONS = 4;

class Conflict extends Error {}

const waiting = [];
const asked = new Map(); // by number, what waits for its answer
let active = 0;
let lastId = 0;

function showPool() {
  database.pool.set({ state: 'active' }, active);
  database.pool.set({ state: 'idle' }, CONNECTIONS - active);
  database.pool.set({ state: 'waiting' }, waiting.length);
}
showPool();

async function connect() {
  if (active === CONNECTIONS) await new Promise(resolve => waiting.push(resolve));
  else active += 1;
  showPool();
}

function disconnect() {
  const next = waiting.shift();
  if (next) next(); // takes the connection over
  else active -= 1;
  showPool();
}

function ask(name, values) {
  return new Promise((resolve, reject) => {
    lastId += 1;
    asked.set(lastId, { resolve, reject });
    process.send({ id: lastId, name, values });
  });
}

process.on('message', ({ id, rows, error }) => {
  const { resolve, reject } = asked.get(id);
  asked.delete(id);
  if (error === undefined) resolve(rows);
  else reject(error === 'constraint' ? new Conflict('is there already') : new Error(error));
});

// Whether a query succeeds is a label, known at its end.
async function query(operation, table, name, ...values) {
  await connect();
  const end = database.duration.startTimer({ operation, table });
  try {
    const rows = await ask(`${table} ${name}`, values);
    end({ success: 'true' });
    return rows;
  } catch (error) {
    end({ success: 'false' });
    database.errors.inc({ operation, error_type: error instanceof Conflict ? 'constraint' : 'other' });
    throw error;
  } finally {
    disconnect();
  }
}

module.exports = { Conflict, query };
