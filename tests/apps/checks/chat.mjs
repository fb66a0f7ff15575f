// Does socket.io work by WebSocket and by long polling, and does it come back after its connections were cut?

import assert from 'node:assert/strict';

import { start as chat } from '../apps/chat.mjs';

export const forms = ['forward', 'host'];

// A request that waits while the connections are cut gets no answer from the application.
export const refusals = true;

export async function start(scope) {
  return { app: await chat(scope) };
}

export async function check({ app, url, user }) {
  const upgraded = await visit(user, `${url}/`);
  const socket = await visit(user, `${url}/?transports=websocket`);
  const polling = await visit(user, `${url}/?transports=polling`);
  const all = [upgraded, socket, polling];
  await upgraded.locator('#transport', { hasText: 'websocket' }).waitFor();
  assert.deepEqual(app.transports().sort(), ['polling', 'websocket', 'websocket']);
  await converse(all, 'before');

  app.cut();
  for (const page of all) await page.getByText('connected 2').waitFor();
  await converse(all, 'after');
}

export async function visit(user, url) {
  const page = await (await user()).newPage();
  await page.goto(url);
  await page.getByText('connected 1').waitFor();
  return page;
}

// Each says something, and everyone sees it once.
export async function converse(pages, when) {
  for (const [number, page] of pages.entries()) {
    await page.fill('#words', `${when} ${number}`);
    await page.click('#send');
  }
  const expected = pages.map((_, number) => `${when} ${number} and 0,13,10,255`);
  for (const page of pages) {
    for (const words of expected) await page.getByText(words).waitFor();
    await page.getByText(`told ${pages.length}`).nth(when === 'before' ? 0 : 1).waitFor();
    const said = await page.locator('#said li').allTextContents();
    assert.deepEqual(said.filter((words) => words.startsWith(when)).sort(), expected);
  }
}
