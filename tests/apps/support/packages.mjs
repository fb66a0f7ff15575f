// Where are the programs of others? In target/apps, where `run` installs them by npm and pip.

import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { env } from 'node:process';

const ROOT = resolve(import.meta.dirname, '../../..');

// Where they are installed.
export const INSTALLED = env.P2P_HTTP_APPS ?? join(ROOT, 'target/apps');

// `require` as it is in a file of that directory.
export const load = createRequire(join(INSTALLED, 'package.json'));

// The file behind a command of an npm package; `half` is a directory beside this one with a package.json of its own.
export function command(name, bin = name, half = '') {
  const directory = join(INSTALLED, half, 'node_modules', name);
  const file = join(directory, 'package.json');
  if (!existsSync(file)) throw new Error(`${name} is not installed in ${INSTALLED}: use tests/apps/run`);
  const commands = JSON.parse(readFileSync(file)).bin;
  return join(directory, typeof commands === 'string' ? commands : commands[bin]);
}

// A program of the Python environment.
export function python(name) {
  return join(INSTALLED, 'python/bin', name);
}
