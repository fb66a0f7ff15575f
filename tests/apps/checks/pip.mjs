// Does `pip install` get a package, and what it depends on, from a simple index?

import assert from 'node:assert/strict';

import { start as index } from '../apps/index.mjs';
import { python } from '../support/packages.mjs';
import { run } from '../support/program.mjs';

export const forms = ['forward', 'host', 'path'];

export const heavy = true;

export async function start(scope) {
  return { app: await index(scope) };
}

export async function check({ scope, url, proxy }) {
  const directory = await scope.directory();
  const options = ['--isolated', '--no-cache-dir', '--disable-pip-version-check', '--retries', '0', '--target', directory];
  // Of hosts without TLS, pip trusts loopback addresses and localhost without being told.
  if (proxy) options.push('--proxy', proxy, '--trusted-host', new URL(url).hostname);
  await run(python('pip'), ['install', '--quiet', ...options, '--index-url', `${url}/simple/`, 'greeter']);
  const { stdout } = await run(python('python'), ['-c', 'import greeter'], { env: { PYTHONPATH: directory } });
  assert.equal(stdout, 'hello from the index\n');

  const wrong = await run(python('pip'), ['install', ...options, '--index-url', `${url}/simple/`, 'unheard-of'], { fails: true });
  assert.match(wrong.stderr, /No matching distribution found for unheard-of/);
}
