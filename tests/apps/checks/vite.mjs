// Does Vite's development server show every edit at once, and keep the state of the page where only a module changed?

import assert from 'node:assert/strict';

import { start as vite } from '../apps/vite.mjs';

export const forms = ['forward', 'host'];

export async function start(scope) {
  return { app: await vite(scope) };
}

export async function check({ app, url, user }) {
  const page = await (await user()).newPage();
  // Said by the client of Vite when its WebSocket is open.
  const connected = page.waitForEvent('console', { predicate: (message) => message.text().includes('[vite] connected.') });
  await page.goto(`${url}/`);
  await page.getByText('hello, first words').waitFor();
  await connected;
  await page.click('#more');
  await page.getByText('loaded later').waitFor();

  // What a reload would undo.
  const count = () => page.textContent('#count');
  assert.equal(await count(), '1');

  await app.edit('src/words.js', 'first', 'second');
  await page.getByText('hello, second words').waitFor();
  await app.edit('src/style.css', '1, 2, 3', '4, 5, 6');
  await page.waitForFunction(() => getComputedStyle(document.querySelector('h1')).color === 'rgb(4, 5, 6)');
  assert.equal(await count(), '1');

  // No module takes this one, so that the page is loaded anew.
  await app.edit('index.html', 'first title', 'second title');
  await page.getByText('second title').waitFor();
  assert.equal(await count(), '0');
}
