// Does a server of Node's `http` that listens nowhere serve a web application to peers, WebSockets included, and does it come
// back when the gateway that it is a service of was gone?

import assert from 'node:assert/strict';

import { start as chat } from '../apps/chat.mjs';
import { converse, visit } from './chat.mjs';
import { attach } from '../support/listener.mjs';
import { Watched } from '../support/wait.mjs';

export const forms = ['forward', 'host'];

// While the gateway is gone, others are told so.
export const refusals = true;

export async function start(scope) {
  const app = await chat(scope, { listening: false });
  const told = new Watched([]);
  return {
    app,
    told,
    // Makes the application a service of the gateway at `url`.
    join: async (url) => {
      const tell = (line) => told.update((lines) => [...lines, line]);
      scope.defer('a listener', attach(app.server, url, 'app', { told: tell }));
      await told.until('a service of the gateway', (lines) => lines.includes('attached'));
    },
  };
}

export async function check({ app, told, nodes, url, user }) {
  assert.equal(app.server.listening, false);
  const pages = [await visit(user, `${url}/?transports=websocket`), await visit(user, `${url}/?transports=polling`)];
  await converse(pages, 'before');

  await nodes.restart();
  const attached = (lines) => lines.filter((line) => line === 'attached').length === 2;
  await told.until('a service of the gateway again', attached);
  for (const page of pages) await page.getByText('connected 2').waitFor();
  await converse(pages, 'after');

  // More than any window holds, in both directions.
  const sent = Buffer.alloc(3_000_000, 'yamux ');
  const body = await pages[0].evaluate(async (text) => {
    const response = await fetch('/back', { method: 'POST', body: text });
    return response.text();
  }, sent.toString());
  assert.equal(body, sent.toString());
}
