// Do `npm publish` and `npm install` work against verdaccio, and does its page show what was published?

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { start as registry } from '../apps/registry.mjs';
import { run } from '../support/program.mjs';

// Not below a path: the registry writes its own address into what it answers, and knows nothing of the path.
export const forms = ['forward', 'host'];

export const heavy = true;

export async function start(scope) {
  return { app: await registry(scope) };
}

export async function check({ scope, url, proxy, user }) {
  const directory = await scope.directory();
  const settings = [`registry=${url}/`, 'audit=false', 'fund=false', 'update-notifier=false', `cache=${directory}/cache`];
  settings.push(proxy ? `proxy=${proxy}` : 'noproxy=*');
  const npmrc = join(directory, 'npmrc');
  const npm = async (name, ...args) => {
    await writeFile(npmrc, `${settings.join('\n')}\n`);
    const env = { npm_config_userconfig: npmrc, npm_config_globalconfig: join(directory, 'none') };
    return run('npm', args, { cwd: join(directory, name), env });
  };

  const author = join(directory, 'greeter');
  await mkdir(author);
  await writeFile(join(author, 'package.json'), '{ "name": "@our/greeter", "version": "1.2.3", "main": "index.js" }');
  await writeFile(join(author, 'index.js'), "module.exports = 'hello from the registry';");
  await writeFile(join(author, 'README.md'), '# It greets\n');
  await writeFile(join(author, 'ballast'), randomBytes(5_000_000));
  settings.push(`${url.replace('http:', '')}/:_authToken=${await token(directory, url, proxy)}`);
  await npm('greeter', 'publish', '--access', 'public');

  await mkdir(join(directory, 'user'));
  await writeFile(join(directory, 'user/package.json'), '{ "private": true }');
  await npm('user', 'install', '@our/greeter@^1.0.0');
  const { stdout } = await run('node', ['-p', "require('@our/greeter')"], { cwd: join(directory, 'user') });
  assert.equal(stdout, 'hello from the registry\n');
  assert.match((await npm('user', 'view', '@our/greeter', 'version')).stdout, /^1\.2\.3$/m);

  const page = await (await user()).newPage();
  await page.goto(`${url}/`);
  await page.getByText('@our/greeter').first().click();
  await page.getByRole('heading', { name: 'It greets' }).waitFor();
}

// What `npm adduser` asks for, without its questions.
async function token(directory, url, proxy) {
  const body = JSON.stringify({ name: 'ada', password: 'secret secret' });
  const json = 'Content-Type: application/json';
  const proxied = proxy ? ['--proxy', proxy, '--noproxy', ''] : ['--noproxy', '*'];
  const args = ['-q', '--silent', '--show-error', '--fail', ...proxied, '-X', 'PUT', '-H', json, '-d', body];
  const { stdout } = await run('curl', [...args, `${url}/-/user/org.couchdb.user:ada`], { cwd: directory });
  return JSON.parse(stdout).token;
}
