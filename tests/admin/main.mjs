// Is the admin page right in a real browser? Runs every check of checks.mjs and prints a line for each. The program is
// $P2P_HTTP, else the `p2p-http` of the path; pictures go to $P2P_HTTP_PICTURES, if that is set.

import { exit, stderr, stdout } from 'node:process';

import { launch } from '../apps/support/browser.mjs';
import { Scope } from '../apps/support/scope.mjs';
import { PATIENCE, within } from '../apps/support/wait.mjs';
import * as checks from './checks.mjs';
import { Site, admin, fact } from './site.mjs';

const LONGEST = 180_000;
const ORDER = ['nothing', 'one', 'inert', 'many', 'tools', 'copies', 'again', 'apart'];

async function main() {
  const scope = new Scope();
  let failed = 0;
  try {
    const site = await Site.start(scope);
    const browser = await launch();
    scope.defer('the browser', () => browser.close());
    for (const name of ORDER) {
      if (!(await passes(name, site, browser))) failed += 1;
    }
  } finally {
    await scope.end();
  }
  if (ORDER.length !== Object.keys(checks).length) throw new Error('a check is left out');
  return failed === 0 ? 0 : 1;
}

async function passes(name, site, browser) {
  const start = Date.now();
  const context = await browser.newContext();
  const complaints = watch(context, site);
  try {
    const forgive = (pattern) => complaints.splice(0, complaints.length, ...complaints.filter((line) => !pattern.test(line)));
    await within('the check', checks[name]({ site, context, forgive }), LONGEST);
    if (complaints.length > 0) throw new Error(complaints.join('\n'));
    stdout.write(`ok     ${name} (${((Date.now() - start) / 1000).toFixed(1)} s)\n`);
    return true;
  } catch (error) {
    stdout.write(`FAILED ${name}\n`);
    stderr.write(`${error.stack}\n${complaints.join('\n')}\n`);
    return false;
  } finally {
    await context.close();
  }
}

// What a browser may not have to say: an error, or a request that goes elsewhere.
function watch(context, site) {
  const complaints = [];
  context.setDefaultTimeout(PATIENCE);
  context.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(`console: ${message.text()}`));
  context.on('weberror', (error) => complaints.push(`error: ${error.error().stack}`));
  const own = [admin(site.gateway), admin(site.origin), `${fact(site.gateway, 'gateway ')}/`];
  const here = (url) => own.some((prefix) => url.startsWith(prefix)) || /^http:\/\/127\.0\.0\.1:\d+\//.test(url);
  context.on('request', (request) => !here(request.url()) && complaints.push(`elsewhere: ${request.url()}`));
  return complaints;
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => exit(1));
exit(await main());
