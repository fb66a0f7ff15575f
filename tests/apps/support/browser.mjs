// How do the tests use a browser? Headless Chromium, told what to do by playwright-core, that knows no host but this one.

import { existsSync } from 'node:fs';

import { load } from './packages.mjs';
import { PATIENCE } from './wait.mjs';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

// Public names, which resolve to this machine here: one of somebody's site, and one that an attacker makes point here.
export const FOREIGN = 'foreign.example';
export const REBOUND = 'rebound.example';

const ARGUMENTS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
  '--no-proxy-server',
  // What is not loopback does not exist.
  `--host-resolver-rules=MAP *.example 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1`,
];

export async function launch() {
  const executablePath = PLACES.find(existsSync);
  if (!executablePath) throw new Error(`there is no ${PLACES.join(', no ')}`);
  const { chromium } = load('playwright-core');
  // The profile is new, and is gone afterwards. Signals are for the harness, which ends more than the browser.
  const signals = { handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false };
  return chromium.launch({ executablePath, args: ARGUMENTS, ...signals });
}

// A user: cookies, caches and workers of their own. `told` gets everything that helps to understand a failure, and what makes
// one: what the proxy itself has answered (`proxy:`), and what went past it, to one of `targets` (`past:`).
export async function user(browser, told, targets, options) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(PATIENCE);
  context.on('console', (message) => told.push(`console ${message.type()}: ${message.text()}`));
  context.on('weberror', (error) => told.push(`error: ${error.error().stack}`));
  context.on('requestfailed', (request) => told.push(`failed: ${request.url()}: ${request.failure()?.errorText}`));
  const look = (url) => targets.some((target) => url.replace(/^ws/, 'http').startsWith(target)) && told.push(`past: ${url}`);
  context.on('request', (request) => look(request.url()));
  context.on('page', (page) => page.on('websocket', (socket) => look(socket.url())));
  context.on('response', (response) => {
    const { 'proxy-status': status } = response.headers();
    if (status) told.push(`proxy: ${response.status()} ${response.url()}: ${status}`);
  });
  return context;
}
