// A careless application: it answers whoever asks, lets every origin read what it says, and knows nothing of tokens in forms.
// Whatever keeps it safe is the gateway.

import { createHash } from 'node:crypto';

import { html, script, serve, text } from '../support/http.mjs';
import { Watched } from '../support/wait.mjs';
import { TRIES } from './attacker.mjs';

export const SECRET = 'the secret of the victim';

const PIXEL = '<svg xmlns="http://www.w3.org/2000/svg" width="7" height="7"></svg>';

// `cors` is whether it lets others read what it says.
export async function start(scope, { cors = true } = {}) {
  const seen = new Watched([]);
  // By the last part of the path, which names the try.
  const answers = {
    script: (response) => script(response, `window.learned = '${SECRET}'`),
    import: (response) => script(response, `export default '${SECRET}'`),
    worker: (response) => script(response, `postMessage('${SECRET}')`),
    style: (response) => response.setHeader('Content-Type', 'text/css').end(`:root { --learned: '${SECRET}' }`),
    image: (response) => response.setHeader('Content-Type', 'image/svg+xml').end(PIXEL),
    events: (response) => response.setHeader('Content-Type', 'text/event-stream').end(`data: ${SECRET}\n\n`),
  };
  const note = (request) => seen.update((urls) => [...urls, request.url]);
  const served = await serve(scope, {
    // Where the user has logged in.
    'GET /': (_, response) => {
      response.setHeader('Set-Cookie', 'session=victim; Path=/; HttpOnly');
      html(response, `<title>Victim</title><p>${SECRET}</p>${TRIES}`);
    },
    // A browser asks for it with every page; nothing of it is tried.
    'GET /favicon.ico': (_, response) => text(response, 'none\n', 404),
    'GET /redirect': (_, response, url) => response.writeHead(302, { Location: url.searchParams.get('to') }).end(),
    '*': (request, response, url) => {
      note(request);
      if (cors) {
        response.setHeader('Access-Control-Allow-Origin', request.headers.origin ?? '*');
        response.setHeader('Access-Control-Allow-Credentials', 'true');
        response.setHeader('Access-Control-Allow-Methods', '*, PUT');
        response.setHeader('Access-Control-Allow-Headers', 'Content-Type');
      }
      const answer = answers[url.pathname.split('/').pop()] ?? ((response) => text(response, SECRET));
      answer(response);
    },
  });
  served.server.on('upgrade', (request, socket) => {
    note(request);
    // RFC 6455: the proof of the handshake, and one frame of text.
    const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash('sha1').update(key).digest('base64');
    const fields = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${accept}`];
    socket.write(`${fields.join('\r\n')}\r\n\r\n`);
    socket.write(`\x81${String.fromCharCode(SECRET.length)}${SECRET}`, 'latin1');
  });
  return {
    ...served,
    // The targets of all requests so far, of which `url` is one sooner or later.
    arrived: (url) => seen.until(`a request for ${url}`, (urls) => urls.includes(url)),
    seen: () => seen.value,
  };
}
