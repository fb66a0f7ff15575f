// Does Django's admin site work: its look at `Host`, `Origin` and `Referer`, a session, an uploaded file, and what it keeps?

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { start as django } from '../apps/django.mjs';

export const forms = ['forward', 'host'];

export async function start(scope) {
  return { app: await django(scope) };
}

export async function check({ scope, url, user }) {
  const page = await (await user()).newPage();
  const styles = page.waitForResponse((response) => response.url().endsWith('/static/admin/css/base.css'));
  await page.goto(`${url}/admin/`);
  assert.equal((await styles).status(), 200);
  assert.equal(page.url(), `${url}/admin/login/?next=/admin/`);
  await page.fill('[name=username]', 'ada');
  await page.fill('[name=password]', 'secret');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByText('Site administration').first().waitFor();
  assert.equal(page.url(), `${url}/admin/`);

  const data = randomBytes(3_000_000);
  const file = join(await scope.directory(), 'ballast');
  await writeFile(file, data);
  await page.goto(`${url}/admin/admin/thing/add/`);
  await page.fill('[name=name]', 'An anchor');
  await page.setInputFiles('[name=file]', file);
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.getByText('was added successfully').waitFor();
  assert.equal(page.url(), `${url}/admin/admin/thing/`);

  await page.locator('#result_list').getByText('An anchor').click();
  const link = await page.getByRole('link', { name: 'ballast' }).getAttribute('href');
  const kept = await page.evaluate(async (link) => {
    const digest = await crypto.subtle.digest('SHA-256', await (await fetch(link)).arrayBuffer());
    return [...new Uint8Array(digest)];
  }, link);
  assert.deepEqual(Buffer.from(kept), createHash('sha256').update(data).digest());

  await page.getByRole('button', { name: 'Log out' }).click();
  await page.goto(`${url}/admin/`);
  await page.fill('[name=username]', 'ada');
}
