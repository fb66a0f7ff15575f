// What do the tests look at? A node that offers a service, one that is its gateway, each with an admin page, and requests.

import { Agent, createServer, request } from 'node:http';
import { join } from 'node:path';
import { env } from 'node:process';

import { Server } from '../apps/support/program.mjs';
import { within } from '../apps/support/wait.mjs';

const PROGRAM = env.P2P_HTTP ?? 'p2p-http';
const ADMIN = ['--admin', '127.0.0.1:0'];

export class Site {
  #scope;
  #agent = new Agent({ keepAlive: true, maxSockets: 8 });

  static async start(scope) {
    const site = new Site();
    site.#scope = scope;
    scope.defer('the clients', async () => site.#agent.destroy());
    site.target = await application(scope);
    const named = ['--name', 'app', '--to', site.target, '--name', 'closed', '--to', 'unix:/nowhere'];
    site.origin = await site.node('serve', '--listen', '/ip4/127.0.0.1/tcp/0', ...named, ...ADMIN);
    site.gateway = await site.node('gateway', '--listen', '127.0.0.1:0', '--peer', fact(site.origin, 'listening '), ...ADMIN);
    site.peer = fact(site.origin, 'peer ');
    return site;
  }

  // Starts a node that waits for nothing at its end.
  async node(command, ...args) {
    const node = new Server(this.#scope, `p2p-http ${command}`, PROGRAM, [command, '--drain', '0', ...args]);
    await node.line(/^ready$/);
    return node;
  }

  // A node that can be started again at the same addresses.
  async lasting() {
    const key = ['--identity', join(await this.#scope.directory(), 'node.key')];
    const first = await this.node('gateway', '--listen', '127.0.0.1:0', ...ADMIN, ...key);
    const ports = ['--listen', new URL(fact(first, 'gateway ')).host, '--admin', new URL(admin(first)).host];
    return { first, again: () => this.node('gateway', ...ports, ...key) };
  }

  // Sends a request to the service `app` of the origin, and waits for the end of the response.
  async ask(rest, { method = 'GET', body, service = 'app' } = {}) {
    const url = new URL(fact(this.gateway, 'gateway '));
    const path = `/http/${this.peer}/${service}${rest}`;
    const answered = new Promise((resolve, reject) => {
      const options = { host: url.hostname, port: url.port, method, path, agent: this.#agent };
      const asked = request(options, (response) => {
        response.resume().on('end', () => resolve(response.statusCode)).on('error', reject);
      });
      asked.on('error', reject).end(body);
    });
    return within(`${method} ${path}`, answered);
  }
}

// Where the admin page of a node is.
export const admin = (node) => `${fact(node, 'admin ')}/`;

export function fact(node, kind) {
  return node.facts.find((line) => line.startsWith(kind)).slice(kind.length);
}

// A server that answers with the status and as many bytes as it is asked for.
async function application(scope) {
  const server = createServer((request, response) => {
    const query = new URL(request.url, 'http://app').searchParams;
    request.resume().on('end', () => {
      response.writeHead(Number(query.get('status') ?? 200));
      response.end('x'.repeat(Number(query.get('bytes') ?? 0)));
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  scope.defer('the application', async () => server.closeAllConnections() ?? server.close());
  return `http://127.0.0.1:${server.address().port}`;
}
