// Does a login work: forms, redirects to the page one wanted, and cookies that last, for one user and not for another?

import assert from 'node:assert/strict';

import { start as login } from '../apps/login.mjs';

export const forms = ['forward', 'host'];

export async function start(scope) {
  return { app: await login(scope) };
}

export async function check({ url, user }) {
  const context = await user();
  const page = await context.newPage();
  await page.goto(`${url}/settings`);
  assert.equal(page.url(), `${url}/login?next=%2Fsettings`);

  const log = async (name, password) => {
    await page.fill('[name=name]', name);
    await page.fill('[name=password]', password);
    await page.getByRole('button').click();
  };
  await log('Ada', 'guess');
  await page.getByText('That is wrong').waitFor();

  await page.goto(`${url}/settings`);
  await log('Ada', 'secret');
  await page.getByText('Settings of Ada').waitFor();
  assert.equal(page.url(), `${url}/settings`);

  await page.goto(`${url}/`);
  await page.getByText('You are Ada').waitFor();
  assert.equal(await page.evaluate('document.cookie'), 'theme=dark; __Host-sure=36');
  const sent = await page.evaluate(async () => (await fetch('/api/cookies')).text());
  assert.equal(sent, '__Host-sure session theme');
  await page.reload();
  await page.getByText('You are Ada').waitFor();

  const stranger = await (await user()).newPage();
  await stranger.goto(`${url}/`);
  await stranger.getByText('Who are you?').waitFor();

  await page.getByRole('button', { name: 'Log out' }).click();
  await page.waitForURL(`${url}/login`);
  await page.goto(`${url}/settings`);
  await page.getByText('Who are you?').waitFor();
}
