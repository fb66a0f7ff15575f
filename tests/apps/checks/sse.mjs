// Do server-sent events arrive when they are sent, and all of them, over streams that are cut and taken up again?

import assert from 'node:assert/strict';

import { start as sse } from '../apps/sse.mjs';

export const forms = ['forward', 'host'];

export async function start(scope) {
  return { app: await sse(scope) };
}

export async function check({ app, url, user }) {
  const context = await user();
  const [one, two] = [await context.newPage(), await context.newPage()];
  await one.goto(`${url}/`);
  await two.goto(`${url}/`);
  await app.listeners(2);

  await one.fill('#words', 'hello');
  await one.click('#say');
  await two.getByText('1 hello').waitFor();

  // While nobody listens, so that it comes only if it is asked for.
  for (const end of [app.cut, app.finish]) {
    end();
    await app.listeners(0);
    app.say('missed');
    await app.listeners(2);
  }
  for (let id = 4; id <= 500; id++) app.say('one of many');
  app.say('long '.repeat(50_000));

  const expected = ['1 hello', '2 missed', '3 missed'];
  for (let id = 4; id <= 500; id++) expected.push(`${id} one of many`);
  for (const page of [one, two]) {
    await page.locator('#said li:nth-child(501)').waitFor();
    const said = await page.locator('#said li').allTextContents();
    assert.equal(said.pop(), `501 ${'long '.repeat(50_000)}`);
    assert.deepEqual(said, expected);
  }

  // The application is told that a visitor has gone.
  await two.close();
  await app.listeners(1);
}
