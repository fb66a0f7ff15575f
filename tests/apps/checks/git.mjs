// Do `git clone`, `git push` and `git fetch` work over smart HTTP, with packs of known and of unknown length?

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { SETTINGS, start as git } from '../apps/git.mjs';
import { run } from '../support/program.mjs';

export const forms = ['forward', 'host', 'path'];

export async function start(scope) {
  return { app: await git(scope) };
}

export async function check({ scope, app, url }) {
  const directory = await scope.directory();
  const [mine, theirs] = [join(directory, 'mine'), join(directory, 'theirs')];
  const as = (user) => `${url.replace('//', `//${user}@`)}/project.git`;
  const call = (cwd, args, options) => run('git', args, { cwd, env: SETTINGS, ...options });

  await call(directory, ['clone', '--quiet', `${url}/project.git`, mine]);
  await call(directory, ['clone', '--quiet', '--depth', '1', `${url}/project.git`, theirs]);
  assert.equal(await readFile(join(mine, 'README'), 'utf8'), 'the first words\n');

  const push = async (name, data, user, options) => {
    await writeFile(join(mine, name), data);
    await call(mine, ['add', name]);
    await call(mine, ['commit', '--quiet', '-m', name]);
    await call(mine, ['push', '--quiet', as(user), 'HEAD:main'], options);
  };
  await push('small', 'one more line\n', 'ada:secret');
  // More than Git keeps in memory: the body is sent in chunks, after one that asks whether it may.
  const large = randomBytes(5_000_000);
  await push('large', large, 'ada:secret');
  const { stdout } = await call(mine, ['rev-parse', 'HEAD']);
  assert.equal(await app.revision(), stdout.trim());

  await call(theirs, ['pull', '--quiet', '--ff-only']);
  assert.ok(large.equals(await readFile(join(theirs, 'large'))));

  await push('not allowed', 'no\n', 'ada:guess', { fails: true });
  assert.equal(await app.revision(), stdout.trim());

  // So many branches that Git compresses what it asks for.
  const branches = Array.from({ length: 300 }, (_, number) => `branch-${number}`);
  const commits = branches.map(
    (name) => `commit refs/heads/${name}\ncommitter Ada <ada@example.com> 0 +0000\ndata ${name.length}\n${name}\n`,
  );
  await writeFile(join(directory, 'commits'), commits.join(''));
  await call(mine, ['-c', 'alias.import=!git fast-import --quiet < ../commits', 'import']);
  await call(mine, ['push', '--quiet', as('ada:secret'), 'refs/heads/branch-*']);
  await call(theirs, ['fetch', '--quiet', 'origin', '+refs/heads/*:refs/remotes/origin/*']);
  const { stdout: fetched } = await call(theirs, ['branch', '--remotes', '--list', 'origin/branch-*']);
  assert.equal(fetched.trim().split('\n').length, branches.length);
  await call(theirs, ['fsck', '--no-progress']);

  for (const coding of ['chunked', 'gzip']) assert.ok(app.codings.has(coding), `no body was ${coding}`);
}
