// Who ends what a test has started? The scope that it was started in, last things first.

import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { within } from './wait.mjs';

// The last resort, for a test that is told to stop in the middle.
const directories = new Set();
process.on('exit', () => directories.forEach((path) => rmSync(path, { recursive: true, force: true, maxRetries: 5 })));

export class Scope {
  #ends = [];

  // Has `end` called when the scope ends.
  defer(what, end) {
    this.#ends.push([what, end]);
  }

  // A directory that is gone afterwards.
  async directory() {
    const path = await mkdtemp(join(tmpdir(), 'p2p-http-apps-'));
    directories.add(path);
    this.defer(path, async () => {
      await rm(path, { recursive: true, force: true, maxRetries: 5 });
      directories.delete(path);
    });
    return path;
  }

  // Ends everything, also where the end of one thing fails; then throws the first failure.
  async end() {
    const failures = [];
    for (const [what, end] of this.#ends.splice(0).reverse()) {
      await within(`the end of ${what}`, end()).catch((error) => failures.push(error));
    }
    if (failures.length > 0) throw failures[0];
  }
}
