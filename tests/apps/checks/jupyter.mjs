// Does JupyterLab run a cell: its page, its login, its WebSocket to the kernel, and the file that it saves?

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { start as jupyter } from '../apps/jupyter.mjs';

export const forms = ['forward', 'host'];

export const heavy = true;

export async function start(scope) {
  return { app: await jupyter(scope) };
}

export async function check({ app, url, user }) {
  const page = await (await user({ viewport: { width: 1400, height: 900 } })).newPage();
  await page.goto(`${url}/lab`);
  await page.fill('#password_input', 'secret');
  await page.click('#login_submit');

  await page.locator('.jp-LauncherCard[data-category="Notebook"]').first().click();
  await page.locator('.jp-Notebook .cm-content').first().click();
  await page.keyboard.type("import os; print('the answer is', 6 * 7, os.getcwd())");
  await page.keyboard.press('Shift+Enter');
  await page.locator('.jp-OutputArea-output').getByText(`the answer is 42 ${app.directory}`).waitFor();

  // Output that comes while the cell runs, and a question that the kernel asks the page.
  await page.keyboard.type("name = input('who? '); print('hello', name)");
  await page.keyboard.press('Shift+Enter');
  await page.locator('.jp-Stdin-input').fill('Ada');
  await page.keyboard.press('Enter');
  await page.getByText('hello Ada', { exact: true }).waitFor();

  const saves = page.waitForResponse((response) => response.request().method() === 'PUT' && response.url().includes('.ipynb'));
  await page.locator('[data-command="docmanager:save"]').first().click();
  await page.getByRole('button', { name: 'Rename and Save' }).click();
  const saved = await saves;
  assert.equal(saved.status(), 200);
  assert.match(await readFile(join(app.directory, 'Untitled.ipynb'), 'utf8'), /the answer is 42/);
}
