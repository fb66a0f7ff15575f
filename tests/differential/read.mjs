// What does the parser of Node.js make of some bytes? Answers the questions of tests/differential/process.rs.

import http from 'node:http';
import { Duplex } from 'node:stream';

const OPTIONS = { maxHeaderSize: 1 << 20, insecureHTTPParser: false };

/** Lets everything happen that needs no further input. */
async function settle() {
  for (let turn = 0; turn < 4; turn++) await new Promise(setImmediate);
}

/** A connection that a test holds the other end of. */
function wire() {
  const duplex = new Duplex({
    read() {},
    write(_chunk, _encoding, done) { done(); },
  });
  duplex.setTimeout = duplex.setNoDelay = duplex.setKeepAlive = duplex.ref = duplex.unref = () => duplex;
  duplex.on('error', () => {});
  return duplex;
}

/** Collects a message as it arrives. */
function collect(incoming, start) {
  const message = { incoming, start, body: [], complete: false, trailers: [] };
  incoming.on('data', (chunk) => message.body.push(chunk));
  incoming.on('error', () => {});
  incoming.on('end', () => {
    message.complete = incoming.complete;
    message.trailers = incoming.rawTrailers;
  });
  return message;
}

/** Reads requests as a server that answers each of them at once. */
async function requests(data) {
  const messages = [];
  let refused = null;
  const answer = (request, response) => {
    messages.push(collect(request, `${request.method} ${request.url} HTTP/${request.httpVersion}`));
    request.on('end', () => response.end());
  };
  const server = new http.Server(OPTIONS);
  for (const event of ['request', 'checkContinue', 'checkExpectation']) server.on(event, answer);
  // The socket stays: requests before the bad one were read, and are still to be shown.
  server.on('clientError', (error) => { refused ??= error.code + ' ' + error.message; });
  const socket = wire();
  server.emit('connection', socket);
  socket.push(data);
  await settle();
  socket.destroy();
  return { messages, refused };
}

/** Reads one response to a request, behind which the connection ends. */
async function response(method, data) {
  const messages = [];
  let refused = null;
  const socket = wire();
  const request = http.request({ ...OPTIONS, method, createConnection: () => socket, headers: { Host: 'a' } });
  request.on('response', (incoming) => {
    messages.push(collect(incoming, `HTTP/${incoming.httpVersion} ${incoming.statusCode}`));
  });
  request.on('upgrade', () => { refused = 'switched'; });
  request.on('error', (error) => { refused = error.code + ' ' + error.message; });
  request.end();
  await settle();
  socket.push(data);
  socket.push(null);
  await settle();
  socket.destroy();
  await settle();
  return { messages, refused };
}

function hex(latin1) {
  return Buffer.from(latin1, 'latin1').toString('hex') || '-';
}

function lines(raw) {
  let text = '';
  for (let at = 0; at < raw.length; at += 2) text += `${raw[at]}: ${raw[at + 1]}\n`;
  return hex(text);
}

async function main() {
  const input = [];
  for await (const chunk of process.stdin) input.push(chunk);
  const all = Buffer.concat(input);
  for (let at = 0; at < all.length;) {
    const kind = all[at];
    const end = at + 5 + all.readUInt32BE(at + 1);
    const data = all.subarray(at + 5, end);
    at = end;
    const { messages, refused } = kind === 0 ? await requests(data) : await response(kind === 1 ? 'GET' : 'HEAD', data);
    let out = '';
    for (const { incoming, start, body, complete, trailers } of messages) {
      const content = Buffer.concat(body).toString('hex') || '-';
      out += `message ${Number(complete)} ${hex(start)} ${lines(incoming.rawHeaders)} ${content} ${lines(trailers)}\n`;
    }
    out += refused === null ? 'end\n' : `refused ${Buffer.from(refused).toString('hex')}\n`;
    process.stdout.write(out);
  }
}

await main();
