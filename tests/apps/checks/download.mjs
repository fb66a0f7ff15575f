// Does curl notice that a download was cut, and take it up where it was?

import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { start as download } from '../apps/download.mjs';
import { run } from '../support/program.mjs';

export const forms = ['forward', 'host', 'path'];

export async function start(scope) {
  return { app: await download(scope) };
}

export async function check({ scope, app, url }) {
  const path = join(await scope.directory(), 'file.bin');
  const args = ['-q', '--silent', '--show-error', '--noproxy', '*', '--output', path, '--continue-at', '-', `${url}/file.bin`];

  app.cut(10_000_000);
  const cut = await run('curl', args, { fails: true });
  // "Partial file", or "failure in receiving network data" where the proxy's end is a reset.
  assert.ok([18, 56].includes(cut.code), cut.stderr);
  const { size } = await stat(path);
  assert.ok(size > 0 && size <= 10_000_000, `${size} bytes`);

  await run('curl', args);
  assert.deepEqual(app.ranges, [undefined, `bytes=${size}-`]);
  assert.ok(app.data.equals(await readFile(path)));
}
