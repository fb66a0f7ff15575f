// What do our own applications have in common? Node's HTTP server, at a port that the system chooses.

import { once } from 'node:events';
import { createServer } from 'node:http';

// Serves `routes`, from 'METHOD /path' to what answers it, until the scope ends. `*` answers whatever nothing else does. One that
// is not `listening` gets its connections from somebody else, and has no target.
export async function serve(scope, routes, { listening = true } = {}) {
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, 'http://application');
    const route = routes[`${request.method} ${url.pathname}`] ?? routes['*'] ?? notFound;
    try {
      await route(request, response, url);
    } catch (error) {
      // A client that has gone is not a fault; everything else should be seen.
      if (!response.destroyed) response.writeHead(500).end(String(error.stack));
    }
  });
  const sockets = new Set();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  // Cuts every connection, those of WebSockets, too.
  const cut = () => sockets.forEach((socket) => socket.destroy());
  const stop = async () => {
    const closed = new Promise((done) => server.close(done));
    cut();
    await closed;
  };
  scope.defer('a server', async () => (server.listening ? stop() : cut()));
  if (!listening) return { server, cut };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, cut, stop, target: `http://127.0.0.1:${server.address().port}` };
}

function notFound(_, response) {
  text(response, 'nothing here\n', 404);
}

export function text(response, body, status = 200) {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' }).end(body);
}

export function html(response, body, status = 200) {
  response.writeHead(status, { 'Content-Type': 'text/html; charset=utf-8' }).end(`<!doctype html>\n${body}`);
}

export function script(response, body) {
  response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(body);
}

// The whole body of a request, as text.
export async function body(request) {
  let all = '';
  for await (const piece of request.setEncoding('utf8')) all += piece;
  return all;
}

// Answers with `data`, or the part of it that the request asks for (RFC 9110, section 14; one range).
export function file(request, response, data, type, tag) {
  const wanted = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const current = (request.headers['if-range'] ?? tag) === tag;
  const fields = { 'Content-Type': type, 'Accept-Ranges': 'bytes', ETag: tag };
  if (!wanted || !current) {
    return response.writeHead(200, { ...fields, 'Content-Length': data.length }).end(data);
  }
  const first = Number(wanted[1]);
  const last = Math.min(wanted[2] === '' ? Infinity : Number(wanted[2]), data.length - 1);
  if (first > last) return response.writeHead(416, { 'Content-Range': `bytes */${data.length}` }).end();
  const range = { 'Content-Range': `bytes ${first}-${last}/${data.length}`, 'Content-Length': last - first + 1 };
  response.writeHead(206, { ...fields, ...range }).end(data.subarray(first, last + 1));
}
