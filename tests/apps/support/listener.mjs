// How does a server of Node's `http` answer peers without listening at any port? It is a service of a gateway, by a WebSocket to
// /http/listen/NAME: each stream of the yamux connection in it is a connection for the server.

import { load } from './packages.mjs';
import { Yamux } from './yamux.mjs';

const PROTOCOL = 'libp2p-http-listen.1';
// The first pause before another try, and the longest.
const FIRST = 100;
const LONGEST = 5_000;
// The gateway pings every 15 seconds.
const SILENT = 45_000;

// Keeps `server` attached to the gateway at `url` as the service `name`. `told` gets what happens: 'attached', or why not.
// Returns a function that ends it.
export function attach(server, url, name, { token, share = false, told = () => {} } = {}) {
  const { WebSocket } = load('ws');
  const target = `${url.replace(/^http/, 'ws')}/http/listen/${name}${share ? '?share=1' : ''}`;
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  let [socket, timer, failures] = [null, null, 0];

  const begin = () => {
    socket = new WebSocket(target, PROTOCOL, { headers, maxPayload: 1024 * 1024, perMessageDeflate: false });
    const current = socket;
    const send = (bytes, done) => {
      // What cannot be sent ends with the socket.
      if (current.readyState === WebSocket.OPEN) current.send(bytes, { binary: true }, done);
      else done(new Error('the gateway has gone'));
    };
    const yamux = new Yamux(send, (stream) => {
      // A connection that breaks ends its request; the server has told.
      stream.on('error', () => {});
      server.emit('connection', stream);
    });
    let silence;
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => current.terminate(), SILENT);
    };
    current.on('open', () => {
      failures = 0;
      heard();
      told('attached');
    });
    current.on('ping', heard);
    current.on('message', (data, isBinary) => {
      heard();
      try {
        if (!isBinary) throw new Error('a text message came');
        yamux.receive(data);
      } catch (error) {
        told(error.message);
        current.terminate();
      }
    });
    current.on('error', (error) => told(error.message));
    current.on('close', () => {
      clearTimeout(silence);
      yamux.end();
      if (socket !== current) return;
      // Twice as long each time, with some chance in it.
      const pause = Math.min(LONGEST, FIRST * 2 ** failures++) * (0.5 + Math.random() / 2);
      timer = setTimeout(begin, pause);
    });
  };
  begin();

  return async () => {
    const last = socket;
    socket = null;
    clearTimeout(timer);
    if (last.readyState === WebSocket.CLOSED) return;
    const closed = new Promise((done) => last.once('close', done));
    last.close();
    await closed;
  };
}
