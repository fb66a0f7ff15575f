// Do existing applications work behind `p2p-http serve`? Runs the checks, each in each form of address, and prints a line for
// each: `node main.mjs [light | heavy | NAME…] [--form FORM | --list]`. The program is $P2P_HTTP, else the `p2p-http` of the
// path.

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { argv, exit, stderr, stdout } from 'node:process';
import { parseArgs } from 'node:util';

import { launch, user } from './support/browser.mjs';
import { FORMS, Nodes } from './support/nodes.mjs';
import { INSTALLED } from './support/packages.mjs';
import { Scope } from './support/scope.mjs';
import { within } from './support/wait.mjs';

// A check is many steps, each with a limit of its own.
const LONGEST = 180_000;
// Lines of a log that a failure shows.
const SHOWN = 40;

let browser;

async function checks() {
  const files = await readdir(join(import.meta.dirname, 'checks'));
  const modules = files.sort().map(async (file) => [file.replace('.mjs', ''), await import(`./checks/${file}`)]);
  return new Map(await Promise.all(modules));
}

function chosen(all, wanted) {
  const names = [...all.keys()];
  const half = (which) => names.filter((name) => (all.get(name).heavy ?? false) === (which === 'heavy'));
  const list = (word) => (word === 'light' || word === 'heavy' ? half(word) : [word]);
  const found = wanted.length > 0 ? wanted.flatMap(list) : names;
  const unknown = found.filter((name) => !all.has(name));
  if (unknown.length > 0) throw new Error(`there is no check ${unknown}; there are ${names.join(', ')}`);
  return found;
}

// Runs one check in one form of address.
async function check(name, module, form) {
  const scope = new Scope();
  // What pages and the proxy have said.
  const told = [];
  const contexts = [];
  let nodes;
  let failure;
  try {
    const started = await module.start(scope);
    const { app, others = {} } = started;
    const targets = {};
    for (const [name, { target }] of Object.entries({ app, ...others })) if (target) targets[name] = target;
    if (started.join) {
      nodes = await Nodes.listening(scope, started.options);
      await nodes.joined('app', started.join);
    } else {
      nodes = await Nodes.start(scope, targets, started.options);
    }
    const test = {
      ...started,
      scope,
      form,
      nodes,
      url: await nodes.site(form, 'app'),
      // For clients that cannot tell where `*.localhost` is: the gateway is a proxy to them.
      proxy: form === 'host' ? `http://${(await nodes.gateway()).host}` : undefined,
      // One more user, who is nobody yet.
      user: async (options) => {
        browser ??= await launch();
        const context = await user(browser, told, Object.values(targets), options);
        contexts.push(context);
        scope.defer('a browser context', () => context.close());
        return context;
      },
    };
    await within('the check', module.check(test), LONGEST);
    nodes.check();
    const wrong = told.filter((line) => line.startsWith('past: ') || (line.startsWith('proxy: ') && !module.refusals));
    if (wrong.length > 0) throw new Error(`the page worked, but:\n${wrong.join('\n')}`);
  } catch (error) {
    failure = error;
    await Promise.all(contexts.flatMap((context) => context.pages()).map((page, number) => picture(page, `${name}-${form}-${number}`, told)));
  }
  await scope.end().catch((error) => (failure ??= error));
  if (failure) stderr.write(explanation(failure, told, nodes));
  return !failure;
}

// Keeps what a page looked like when the check failed.
async function picture(page, name, told) {
  const path = join(INSTALLED, 'failed', `${name}.png`);
  const taken = await page.screenshot({ path, timeout: 5_000 }).catch(() => null);
  if (taken) told.push(`picture: ${path}`);
}

function explanation(failure, told, nodes) {
  const part = (title, lines) => [`--- ${title}`, ...lines.slice(-SHOWN)];
  const logs = (nodes?.logs ?? []).flatMap(([name, log]) => part(name, log));
  return [failure.stack, ...part('the browser', told), ...logs, ''].join('\n');
}

async function main() {
  const options = { form: { type: 'string' }, list: { type: 'boolean' } };
  const { values, positionals } = parseArgs({ args: argv.slice(2), allowPositionals: true, options });
  if (values.form && !(values.form in FORMS)) throw new Error(`there is no form ${values.form}`);
  const all = await checks();
  const names = chosen(all, positionals);
  if (values.list) {
    stdout.write(names.map((name) => `${name}\n`).join(''));
    return 0;
  }
  const results = [];
  for (const name of names) {
    const module = all.get(name);
    for (const form of module.forms.filter((form) => !values.form || form === values.form)) {
      const start = Date.now();
      const ok = await check(name, module, form);
      results.push({ name, form, ok });
      stdout.write(`${ok ? 'ok    ' : 'FAILED'} ${name} ${form} (${((Date.now() - start) / 1000).toFixed(1)} s)\n`);
    }
  }
  await browser?.close();
  stdout.write(table(results));
  const failed = results.filter((result) => !result.ok).length;
  stdout.write(`${results.length - failed} passed, ${failed} failed\n`);
  return failed === 0 && results.length > 0 ? 0 : 1;
}

// One row for each application, one column for each form of address.
function table(results) {
  const names = [...new Set(results.map((result) => result.name))];
  const forms = Object.keys(FORMS).filter((form) => results.some((result) => result.form === form));
  const word = (name, form) => {
    const result = results.find((result) => result.name === name && result.form === form);
    return result ? (result.ok ? 'ok' : 'FAILED') : '-';
  };
  const rows = [['', ...forms], ...names.map((name) => [name, ...forms.map((form) => word(name, form))])];
  const width = Math.max(...rows.map((row) => row[0].length));
  return `\n${rows.map((row) => row.map((cell, i) => cell.padEnd(i ? 9 : width + 2)).join('').trimEnd()).join('\n')}\n\n`;
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => exit(1));
exit(await main());
