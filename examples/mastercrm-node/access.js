// Who may see the metrics: a bearer token, a query parameter, or a client on this machine that no proxy speaks for.
'use strict';

const crypto = require('crypto');

const hash = text => crypto.createHash('sha256').update(text).digest();
const tokens = (process.env.METRICS_TOKEN || '').split(',').filter(Boolean).map(hash);
const isKnown = token => tokens.some(one => crypto.timingSafeEqual(one, hash(token)));

function isLocal(request) {
  const isForwarded = Object.keys(request.headers)
    .some(name => /^(forwarded|x-forwarded-.*|x-real-ip|via|origin)$/.test(name));
  return /^(::1|(::ffff:)?127\.[\d.]+)$/.test(request.socket.remoteAddress) && !isForwarded &&
    /^(localhost|127\.[\d.]+|\[::1\])(:\d+)?$/.test(request.headers.host || '');
}

exports.mayRead = request => {
  const header = request.headers.authorization;
  const queries = new URL(request.url, 'http://localhost').searchParams.getAll('token');
  if (header === undefined && queries.length === 0) return isLocal(request);
  const given = queries.concat(header === undefined ? [] : /^bearer (\S+)$/i.exec(header)?.[1] ?? '');
  return given.length === 1 && isKnown(given[0]); // two are one too many
};
