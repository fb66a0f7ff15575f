// Can a page of another origin read from a service, or write to it, through the gateway? It tries everything that a page can do,
// from every place that a page can be at. The same tries from a page of the service itself succeed, so that they are known to be
// good ones.

import assert from 'node:assert/strict';

import { start as attacker } from '../apps/attacker.mjs';
import { SECRET, start as victim } from '../apps/victim.mjs';
import { FOREIGN, REBOUND } from '../support/browser.mjs';
import { relay } from '../support/relay.mjs';

export const forms = ['forward', 'host', 'path'];

export const refusals = true;

// What a page may do.
const LINK = 'open';

export async function start(scope) {
  const evil = await attacker(scope);
  return { app: await victim(scope), others: { evil, Evil_App: evil }, site: await attacker(scope) };
}

export async function check(test) {
  const { app, form, nodes, url, user } = test;
  const context = await user();
  const page = await context.newPage();
  // The user has logged in; a browser is sent from the path to the host.
  await page.goto(`${url}/`);
  await page.getByText(SECRET).waitFor();
  const home = new URL(page.url()).origin;
  assert.equal(home, form === 'path' ? await nodes.site('host', 'app') : url);
  const names = await page.evaluate('names');
  assert.ok(names.length > 20 && names.includes(LINK));

  await control(page, `${home}/control`, names, app);

  for (const [place, open] of Object.entries(await places(test, context))) {
    const attack = await open();
    const before = app.seen().length;
    for (const name of names) await refused(test, attack, `${attack.target}/${place}/${name}`, name);
    // A link arrives, as one does, but no other request does.
    const arrived = app.seen().slice(before);
    assert.deepEqual(arrived, attack.rebound ? [] : [`/${place}/${LINK}`], place);
    await attack.page.close();
  }
}

// The same tries by the service's own page: each arrives, and those that are told what came can read it.
async function control(page, url, names, app) {
  const able = [];
  for (const name of names) {
    const learned = await attempt(page, name, `${url}/${name}`);
    await app.arrived(`/control/${name}`);
    if (reads(learned)) able.push(name);
  }
  const blind = ['beacon', 'ping', 'prefetch', 'font', 'video', 'form', 'submit'];
  assert.deepEqual(able, names.filter((name) => !blind.includes(name)));
}

// Whether something of the victim is in what a page could read.
function reads(learned) {
  return learned.includes(SECRET) || learned === 'an image of 7';
}

// From where it is tried, and what address the victim has from there.
async function places({ scope, form, nodes, url, site }, context) {
  // Where a page goes first to be sent on to the victim.
  const redirector = `redirector = '${site.target}/redirect?to='`;
  const at = (origin, path = '/') => async () => {
    const page = await context.newPage();
    await page.goto(origin + path);
    const frame = page.frames().at(-1);
    await frame.evaluate(redirector);
    return { page, frame, target: url };
  };
  const all = {
    // A page of another site, one that shares the victim's host or domain and differs in the port, and one of no origin.
    foreign: at(`http://${FOREIGN}:${site.port}`),
    neighbour: at(`http://${form === 'host' ? 'other.p2p.localhost' : '127.0.0.1'}:${site.port}`),
    sandboxed: at(`http://${FOREIGN}:${site.port}`, '/sandboxed'),
    // A page whose name has pointed elsewhere, and now points to the gateway.
    rebound: async () => {
      const name = await relay(scope, site.target);
      const origin = `http://${REBOUND}:${name.port}`;
      const attack = await at(origin)();
      name.turn(new URL(url).origin.replace(/\/\/[^:]*/, '//127.0.0.1'));
      return { ...attack, target: origin + new URL(url).pathname.replace(/\/$/, ''), rebound: true };
    },
  };
  if (form !== 'forward') {
    // Another service of the same peer at the same gateway, and one whose name is none for a host, so that its pages are shown
    // at the gateway's own.
    all.service = at(await nodes.site('host', 'evil'));
    all.hostless = at(await nodes.site('path', 'Evil_App'));
  }
  return all;
}

// One try: the proxy refuses it, and the page learns nothing.
async function refused({ nodes, form }, { page, frame, rebound }, url, name) {
  const learned = await attempt(frame, name, url, page);
  assert.ok(!reads(learned), `${url}: ${learned}`);
  const expected = rebound ? 421 : name !== LINK ? 403 : form === 'path' ? 307 : 200;
  const statuses = await nodes.statuses(form, new URL(url).pathname);
  assert.deepEqual([...new Set(statuses)], [expected], url);
}

// Has the page try, and closes the window that a try may open.
async function attempt(frame, name, url, page = frame) {
  const opens = name === LINK || name === 'submit';
  const popup = opens ? page.waitForEvent('popup') : null;
  let learned = await frame.evaluate(([name, url]) => attempt(name, url), [name, url]);
  if (popup) {
    const opened = await popup;
    await opened.waitForLoadState();
    if (name === LINK) learned = await frame.evaluate(readOpened);
    await opened.close();
  }
  return learned;
}

// Runs in the page that has opened a window.
function readOpened() {
  try {
    return window.opened.document.body.textContent;
  } catch (error) {
    return error.name;
  }
}
