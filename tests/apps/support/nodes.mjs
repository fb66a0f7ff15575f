// Where is an application, once it is behind `p2p-http serve`? At a port of its own, at a host of its own, or below a path.

import { join } from 'node:path';
import { env } from 'node:process';

import { Server } from './program.mjs';

const PROGRAM = env.P2P_HTTP ?? 'p2p-http';

// The forms of address. A browser's tests use those that give an application its own web origin.
export const FORMS = {
  // http://127.0.0.1:PORT
  forward: (nodes, name) => nodes.forward(name),
  // http://NAME.PEER.p2p.localhost:PORT
  host: async (nodes, name) => `http://${nodes.host(name)}:${(await nodes.gateway()).port}`,
  // http://127.0.0.1:PORT/http/PEER/NAME
  path: async (nodes, name) => `http://${(await nodes.gateway()).host}/http/${nodes.peer}/${name}`,
};

// An origin, and the nodes that reach it.
export class Nodes {
  #scope;
  #started = [];
  #origin;
  #gateway;
  #forward;
  #options;
  // How the origin can be started again at the same addresses.
  #again;

  // `services` maps names to targets; `options` are more options of the nodes that take requests.
  static async start(scope, services, options = []) {
    const nodes = new Nodes();
    nodes.#scope = scope;
    nodes.#options = options;
    const named = Object.entries(services).flatMap(([name, target]) => ['--name', name, '--to', target]);
    nodes.#origin = await nodes.#start('serve', '--listen', '/ip4/127.0.0.1/tcp/0', ...named);
    return nodes;
  }

  // An origin that is a gateway, whose services are local programs without any port.
  static async listening(scope, options = []) {
    const nodes = new Nodes();
    nodes.#scope = scope;
    nodes.#options = options;
    const fixed = ['--allow-listen', '--identity', join(await scope.directory(), 'node.key')];
    const start = (http, peers) => nodes.#start('gateway', '--listen', http, '--p2p-listen', peers, ...fixed, ...options);
    nodes.#origin = await start('127.0.0.1:0', '/ip4/127.0.0.1/tcp/0');
    const addresses = [new URL(fact(nodes.#origin, 'gateway ')).host, nodes.#address.replace(/\/p2p\/.*/, '')];
    nodes.#again = () => start(...addresses);
    return nodes;
  }

  // Has `join` make a local program the service `name` of the origin.
  async joined(name, join) {
    await join(fact(this.#origin, 'gateway '));
    await this.#origin.line(new RegExp(`^host ${name} `));
  }

  // Kills the origin, and starts it again.
  async restart() {
    await this.#origin.stop();
    this.#origin = await this.#again();
  }

  get peer() {
    return fact(this.#origin, 'peer ');
  }

  // The host of a service on every gateway.
  host(name) {
    return fact(this.#origin, `host ${name} `);
  }

  // Where the gateway listens; it is started when it is first asked for.
  async gateway() {
    this.#gateway ??= this.#start('gateway', '--listen', '127.0.0.1:0', '--peer', this.#address, ...this.#options);
    const url = new URL(fact(await this.#gateway, 'gateway '));
    return { host: url.host, port: url.port };
  }

  async forward(name) {
    const args = ['--listen', '127.0.0.1:0', '--peer', this.#address, '--name', name, ...this.#options];
    this.#forward = await this.#start('forward', ...args);
    return fact(this.#forward, 'forward ').split(' ')[0];
  }

  // The base URL of a service, without a slash at its end.
  site(form, name) {
    return FORMS[form](this, name);
  }

  // The statuses of all requests so far for a path, of which there is at least one sooner or later.
  async statuses(form, path) {
    const node = await (form === 'forward' ? this.#forward : this.#gateway);
    const line = new RegExp(`side="gateway".* path="${path.replaceAll('.', '\\.')}" status=(\\d+)`);
    await node.line(line);
    return node.log.map((text) => line.exec(text)?.[1]).filter(Boolean).map(Number);
  }

  // Throws if one of the nodes has ended.
  check() {
    for (const node of this.#started) {
      if (node.died) throw new Error(`${node.name} has ended by itself`);
    }
  }

  get logs() {
    return this.#started.map((node) => [node.name, node.log]);
  }

  get #address() {
    return fact(this.#origin, 'listening ');
  }

  async #start(command, ...args) {
    // What still runs when a test is over is not worth a wait.
    const node = new Server(this.#scope, `p2p-http ${command}`, PROGRAM, [command, '--drain', '0', ...args]);
    this.#started.push(node);
    await node.line(/^ready$/);
    return node;
  }
}

// The first line of a kind, without the kind.
function fact(node, kind) {
  const line = node.facts.find((line) => line.startsWith(kind));
  if (line === undefined) throw new Error(`no line "${kind}…" in ${JSON.stringify(node.facts)}`);
  return line.slice(kind.length);
}
