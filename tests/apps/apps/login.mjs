// A site with a login as many have it: forms, redirects, a session cookie that scripts cannot read, and a look at `Origin`.

import { randomUUID } from 'node:crypto';

import { body, html, serve, text } from '../support/http.mjs';

const LOGIN = (next, message) => `<meta charset="utf-8"><title>Log in</title><p id="message">${message}</p>
<form method="post" action="/login"><input type="hidden" name="next" value="${next}">
<input name="name"><input name="password" type="password"><button>Log in</button></form>`;

const ACCOUNT = (name) => `<meta charset="utf-8"><title>Account</title><p id="who">You are ${name}</p>
<a href="/settings">Settings</a><form method="post" action="/logout"><button>Log out</button></form>`;

export async function start(scope) {
  const sessions = new Map();
  const cookies = (request) =>
    new Map((request.headers.cookie ?? '').split('; ').map((pair) => pair.split(/=(.*)/s).slice(0, 2)));
  const who = (request) => sessions.get(cookies(request).get('session'));
  // As frameworks write it, with the host that the client asked for.
  const redirect = (request, response, path, fields = []) =>
    response.writeHead(303, [...fields, 'Location', `http://${request.headers.host}${path}`]).end();
  // The defence of many frameworks against forms of other sites.
  const foreign = (request, response) => {
    const same = request.headers.origin === `http://${request.headers.host}`;
    if (!same) text(response, `${request.headers.origin} is not http://${request.headers.host}\n`, 403);
    return !same;
  };
  const shown = (page) => (request, response, url) => {
    const name = who(request);
    if (name) return html(response, page(name));
    redirect(request, response, `/login?next=${encodeURIComponent(url.pathname)}`);
  };
  return serve(scope, {
    'GET /': shown(ACCOUNT),
    'GET /settings': shown((name) => `<title>Settings</title><p id="who">Settings of ${name}</p>`),
    'GET /login': (_, response, url) => html(response, LOGIN(url.searchParams.get('next') ?? '/', 'Who are you?')),
    'POST /login': async (request, response) => {
      if (foreign(request, response)) return;
      const form = new URLSearchParams(await body(request));
      if (form.get('password') !== 'secret') return html(response, LOGIN('/', 'That is wrong'), 401);
      const id = randomUUID();
      sessions.set(id, form.get('name'));
      redirect(request, response, form.get('next'), [
        'Set-Cookie', `session=${id}; Path=/; HttpOnly; SameSite=Strict`,
        'Set-Cookie', 'theme=dark; Path=/; Max-Age=3600; SameSite=Lax',
        'Set-Cookie', `__Host-sure=${id.length}; Path=/; Secure`,
        'Set-Cookie', 'deep=down; Path=/settings',
      ]);
    },
    'POST /logout': (request, response) => {
      if (foreign(request, response)) return;
      sessions.delete(cookies(request).get('session'));
      redirect(request, response, '/login', ['Set-Cookie', 'session=; Path=/; Max-Age=0']);
    },
    'GET /api/cookies': (request, response) => text(response, [...cookies(request).keys()].sort().join(' ')),
  });
}
