// May pages of an origin that is let in (`--allow-origin`) use a service, and no others?

import assert from 'node:assert/strict';

import { start as attacker } from '../apps/attacker.mjs';
import { SECRET, start as victim } from '../apps/victim.mjs';
import { FOREIGN } from '../support/browser.mjs';

export const forms = ['forward', 'host', 'path'];

export const refusals = true;

// What a page can do where the gateway alone lets it, with and without a question first, and what only the service can allow.
const BY_THE_GATEWAY = ['anonymous', 'put', 'socket'];
const BY_THE_SERVICE = ['fetch', 'xhr', 'events'];

export async function start(scope) {
  const site = await attacker(scope);
  const origin = `http://${FOREIGN}:${site.port}`;
  const options = ['--allow-origin', origin];
  return { app: await victim(scope, { cors: false }), others: { open: await victim(scope) }, site, origin, options };
}

export async function check({ site, origin, form, nodes, url, user }) {
  const open = await nodes.site(form, 'open');
  const page = await (await user()).newPage();
  const reads = async (url, names) => {
    const learned = names.map((name) => page.evaluate(([name, url]) => attempt(name, url), [name, `${url}/${name}`]));
    return (await Promise.all(learned)).map((learned) => learned === SECRET);
  };
  const all = [...BY_THE_GATEWAY, ...BY_THE_SERVICE];
  await page.goto(`${origin}/`);
  assert.deepEqual(await reads(`${url}/friend`, all), [true, true, true, false, false, false]);
  assert.deepEqual(await reads(`${open}/friend`, all), [true, true, true, true, true, true]);
  await page.goto(`http://other.${FOREIGN}:${site.port}/`);
  assert.deepEqual(await reads(`${open}/stranger`, all), all.map(() => false));
}
