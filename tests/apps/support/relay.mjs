// How does a name that pointed to one server come to point to another? As it looks from a browser: the same host and port lead
// elsewhere from one moment to the next.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';

// Passes connections on to the server of `url`, until `turn` names another; those that are there already end.
export async function relay(scope, url) {
  let target = new URL(url);
  const sockets = new Set();
  const keep = (socket, other) => {
    sockets.add(socket);
    // A side that breaks off takes the other with it.
    socket.once('close', () => sockets.delete(socket) && other.destroy()).on('error', () => {});
    socket.pipe(other);
  };
  const end = () => sockets.forEach((socket) => socket.destroy());
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    keep(client, upstream);
    keep(upstream, client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  scope.defer('a relay', async () => {
    const closed = once(server, 'close');
    server.close();
    end();
    await closed;
  });
  const turn = (url) => {
    target = new URL(url);
    end();
  };
  return { port: server.address().port, turn };
}
