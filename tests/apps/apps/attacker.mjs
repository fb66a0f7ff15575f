// A hostile site. Its page has every way that a page has to send a request to somewhere else, and to learn what comes back.

import { html, serve, text } from '../support/http.mjs';

// Each try takes a URL, and returns what it could read; or nothing, where a page is never told how it went.
export const TRIES = `<meta charset="utf-8"><body><script>
const element = (name, attributes) => Object.assign(document.createElement(name), attributes);
const settled = (node) => new Promise((done) => {
  node.onload = () => done(true);
  node.onerror = () => done(false);
  document.body.append(node);
});
const read = (frame) => frame.contentDocument?.body?.textContent;
const credentials = 'include';
let redirector = '/redirect?to=';
const form = (url, target) => {
  const node = element('form', { action: url, method: 'post', target, enctype: 'text/plain' });
  node.append(element('input', { name: 'written', value: 'by a form' }));
  document.body.append(node);
  node.submit();
};
const tries = {
  fetch: async (url) => (await fetch(url, { credentials })).text(),
  anonymous: async (url) => (await fetch(url, { credentials: 'omit' })).text(),
  opaque: async (url) => (await fetch(url, { credentials, mode: 'no-cors' })).text(),
  post: async (url) => (await fetch(url, { credentials, mode: 'no-cors', method: 'POST', body: 'written' })).text(),
  put: async (url) =>
    (await fetch(url, { method: 'PUT', body: '{}', headers: { 'Content-Type': 'application/json' } })).text(),
  kept: async (url) => (await fetch(url, { credentials, mode: 'no-cors', method: 'POST', body: 'w', keepalive: true })).text(),
  redirect: async (url) => (await fetch(redirector + encodeURIComponent(url), { credentials })).text(),
  xhr: (url) => new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open('GET', url);
    request.withCredentials = true;
    request.onload = () => done(request.responseText);
    request.onerror = failed;
    request.send();
  }),
  beacon: async (url) => void navigator.sendBeacon(url, 'written'),
  ping: async (url) => {
    const link = element('a', { ping: url, href: '#pinged' });
    document.body.append(link);
    link.click();
  },
  prefetch: async (url) => void document.head.append(element('link', { rel: 'prefetch', href: url })),
  image: async (url) => {
    const image = element('img', { src: url });
    if (await settled(image)) return 'an image of ' + image.naturalWidth;
  },
  script: async (url) => {
    await settled(element('script', { src: url }));
    return window.learned;
  },
  import: async (url) => (await import(url)).default,
  worker: (url) => new Promise((done, failed) => {
    const code = new Blob(['importScripts(' + JSON.stringify(url) + ')'], { type: 'text/javascript' });
    const worker = new Worker(URL.createObjectURL(code));
    worker.onmessage = (event) => done(event.data);
    worker.onerror = failed;
  }),
  style: async (url) => {
    await settled(element('link', { rel: 'stylesheet', href: url }));
    return getComputedStyle(document.documentElement).getPropertyValue('--learned');
  },
  font: async (url) => void await new FontFace('stolen', 'url(' + url + ')').load(),
  video: async (url) => void document.body.append(element('video', { src: url, preload: 'auto' })),
  frame: async (url) => {
    const frame = element('iframe', { src: url });
    await settled(frame);
    return read(frame);
  },
  object: async (url) => {
    const object = element('object', { data: url, type: 'text/html' });
    await settled(object);
    return read(object);
  },
  form: async (url) => {
    const frame = element('iframe', { name: 'form' + Math.random() });
    document.body.append(frame);
    form(url, frame.name);
  },
  submit: async (url) => form(url, '_blank'),
  socket: (url) => new Promise((done, failed) => {
    const socket = new WebSocket(url.replace('http', 'ws'));
    socket.onmessage = (event) => done(event.data);
    socket.onerror = failed;
  }),
  events: (url) => new Promise((done, failed) => {
    const events = new EventSource(url, { withCredentials: true });
    const end = (then) => (event) => { events.close(); then(event.data); };
    events.onmessage = end(done);
    events.onerror = end(failed);
  }),
  // A link, which may lead anywhere; but its page is not for the one who set the link.
  open: async (url) => {
    window.opened = window.open(url);
  },
};
window.attempt = (name, url) => tries[name](url).then((learned) => learned ?? '', () => '');
window.names = Object.keys(tries);
</script>`;

// Runs it as a page of no origin at all.
const SANDBOXED = `<!doctype html><iframe name="sandbox" sandbox="allow-scripts allow-forms allow-popups" src="/"></iframe>`;

export async function start(scope) {
  const served = await serve(scope, {
    'GET /': (_, response) => html(response, `<title>Attacker</title>${TRIES}`),
    'GET /sandboxed': (_, response) => html(response, SANDBOXED),
    'GET /redirect': (request, response, url) => {
      const allowed = { 'Access-Control-Allow-Origin': request.headers.origin ?? '*', 'Access-Control-Allow-Credentials': 'true' };
      response.writeHead(302, { ...allowed, Location: url.searchParams.get('to') }).end();
    },
    '*': (_, response) => text(response, 'nothing here\n', 404),
  });
  return { ...served, port: new URL(served.target).port };
}
