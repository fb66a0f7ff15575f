// Is what one service keeps in a browser hidden from another service of the same peer at the same gateway?

import assert from 'node:assert/strict';

import { start as keeper } from '../apps/keeper.mjs';

export const forms = ['host'];

export async function start(scope) {
  return { app: await keeper(scope, 'one'), others: { two: await keeper(scope, 'two') } };
}

export async function check({ app, others, nodes, url, user }) {
  const page = await (await user()).newPage();
  const sites = { one: url, two: await nodes.site('host', 'two') };
  // Each for the first time, and then again, when both have set what they can.
  for (const round of [1, 2]) {
    for (const [name, site] of Object.entries(sites)) {
      await page.goto(`${site}/${round}`);
      const kept = await page.evaluate(() => [document.cookie, localStorage.name, sessionStorage.name]);
      assert.deepEqual([sorted(kept[0]), ...kept.slice(1)], [`narrow=${name}; wide=${name}`, name, name]);
    }
  }
  for (const [name, { cookies }] of Object.entries({ one: app, two: others.two })) {
    assert.deepEqual([...new Set(cookies.map(sorted))], ['', `hidden=${name}; narrow=${name}; wide=${name}`]);
  }
}

// Cookies are in the order in which they were set, as far as the clock tells one from another.
function sorted(cookies) {
  return cookies.split('; ').sort().join('; ');
}
