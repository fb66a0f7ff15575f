// An application with a service worker, which keeps the page for when there is no network.

import { html, script, serve, text } from '../support/http.mjs';

const PAGE = `<meta charset="utf-8"><title>Worker</title>
<p id="state">no worker</p><p id="news"></p><script src="/app.js"></script>`;

const APP = `
const show = (id, words) => document.getElementById(id).textContent = words;
navigator.serviceWorker.register('/sw.js').then(async (registration) => {
  await navigator.serviceWorker.ready;
  if (!navigator.serviceWorker.controller) {
    await new Promise((done) => navigator.serviceWorker.addEventListener('controllerchange', done));
  }
  show('state', 'worker of ' + registration.scope);
  show('news', await (await fetch('/news')).text());
}).catch((error) => show('state', String(error)));`;

const WORKER = `
addEventListener('install', (event) => event.waitUntil((async () => {
  await (await caches.open('shell')).addAll(['/', '/app.js']);
  await skipWaiting();
})()));
addEventListener('activate', (event) => event.waitUntil(clients.claim()));
addEventListener('fetch', (event) => event.respondWith(answer(event.request)));
async function answer(request) {
  const kept = await caches.match(request);
  if (kept) return kept;
  try {
    const fresh = await fetch(request);
    return fresh.ok ? fresh : new Response('kept by the worker: ' + fresh.status);
  } catch {
    return new Response('kept by the worker: no network');
  }
}`;

export async function start(scope) {
  return serve(scope, {
    'GET /': (_, response) => html(response, PAGE),
    'GET /app.js': (_, response) => script(response, APP),
    'GET /sw.js': (_, response) => script(response, WORKER),
    'GET /news': (_, response) => text(response, 'fresh from the server'),
  });
}
