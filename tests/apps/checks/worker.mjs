// Does a service worker run, and does it keep the page when the application, and then the network, is gone?

import { start as worker } from '../apps/worker.mjs';

export const forms = ['forward', 'host'];

// The application is stopped, and the proxy says so.
export const refusals = true;

export async function start(scope) {
  return { app: await worker(scope) };
}

export async function check({ app, url, user }) {
  const context = await user();
  const page = await context.newPage();
  await page.goto(`${url}/`);
  // Its scope is all of the application, and nothing else.
  await page.getByText(`worker of ${url}/`, { exact: true }).waitFor();
  await page.getByText('fresh from the server').waitFor();

  await app.stop();
  await page.reload();
  await page.getByText('kept by the worker: 502').waitFor();

  await context.setOffline(true);
  await page.reload();
  await page.getByText('kept by the worker: no network').waitFor();
}
