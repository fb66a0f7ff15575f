// A chat room by socket.io, with all that it is made of: long polling, the upgrade to a WebSocket, rooms, acknowledgements,
// binary attachments, and connections that are taken up again.

import { load } from '../support/packages.mjs';
import { body, html, serve, text } from '../support/http.mjs';

const PAGE = `<meta charset="utf-8"><title>Chat</title>
<p id="state">connecting</p><p id="transport"></p><input id="words"><button id="send">Send</button><ul id="said"></ul>
<script src="/socket.io/socket.io.js"></script>
<script>
const asked = new URLSearchParams(location.search).get('transports');
const socket = io({ ...(asked && { transports: asked.split(',') }), reconnectionDelay: 50 });
let connected = 0;
const show = (id, words) => document.getElementById(id).textContent = words;
const add = (words) => {
  const item = document.createElement('li');
  item.textContent = words;
  document.getElementById('said').append(item);
};
socket.on('connect', () => {
  show('state', 'connected ' + ++connected);
  show('transport', socket.io.engine.transport.name);
  socket.io.engine.once('upgrade', () => show('transport', socket.io.engine.transport.name));
});
socket.on('disconnect', (reason) => show('state', reason));
socket.on('connect_error', (error) => add('error: ' + error.message));
socket.on('said', (words, bytes) => add(words + ' and ' + new Uint8Array(bytes).join()));
document.getElementById('send').onclick = () =>
  socket.emit('say', document.getElementById('words').value, new Uint8Array([0, 13, 10, 255]), (told) => add('told ' + told));
</script>`;

export async function start(scope, options) {
  const routes = {
    'GET /': (_, response) => html(response, PAGE),
    'POST /back': async (request, response) => text(response, await body(request)),
  };
  const served = await serve(scope, routes, options);
  const { Server } = load('socket.io');
  const io = new Server(served.server);
  scope.defer('socket.io', () => io.close());
  io.on('connection', (socket) => {
    socket.join('room');
    socket.on('say', (words, bytes, told) => {
      io.to('room').emit('said', words, bytes);
      told(io.sockets.adapter.rooms.get('room').size);
    });
  });
  return {
    ...served,
    // How each visitor is connected.
    transports: () => [...io.sockets.sockets.values()].map((socket) => socket.conn.transport.name),
  };
}
