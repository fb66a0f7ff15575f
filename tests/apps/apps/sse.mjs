// A page that lives on server-sent events: what one visitor says, all see at once, and nobody misses anything.

import { body, html, serve, text } from '../support/http.mjs';
import { Watched } from '../support/wait.mjs';

const PAGE = `<meta charset="utf-8"><title>Events</title>
<p id="state">connecting</p><input id="words"><button id="say">Say</button><ol id="said"></ol>
<script>
const events = new EventSource('/events');
const state = document.getElementById('state');
events.onopen = () => state.textContent = 'open';
events.onerror = () => state.textContent = 'lost';
events.addEventListener('said', (event) => {
  const item = document.createElement('li');
  item.textContent = event.lastEventId + ' ' + event.data;
  document.getElementById('said').append(item);
});
document.getElementById('say').onclick = () =>
  fetch('/say', { method: 'POST', body: document.getElementById('words').value });
</script>`;

export async function start(scope) {
  const said = [];
  const streams = new Watched(new Set());
  const send = (stream, id) => stream.write(`event: said\nid: ${id + 1}\ndata: ${said[id]}\n\n`);
  const say = (words) => {
    said.push(words);
    for (const stream of streams.value) send(stream, said.length - 1);
  };
  const served = await serve(scope, {
    'GET /': (_, response) => html(response, PAGE),
    'GET /events': (request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
      response.write('retry: 50\n\n');
      for (let id = Number(request.headers['last-event-id'] ?? 0); id < said.length; id++) send(response, id);
      streams.update((all) => new Set([...all, response]));
      response.once('close', () => streams.update((all) => new Set([...all].filter((one) => one !== response))));
    },
    'POST /say': async (request, response) => {
      say(await body(request));
      text(response, 'said\n');
    },
  });
  return {
    ...served,
    say,
    // Waits until this many visitors listen.
    listeners: (count) => streams.until(`${count} listeners`, (all) => all.size === count),
    // Ends all streams: in the middle of what they say, or as a server does that is restarted.
    cut: () => streams.value.forEach((stream) => stream.destroy()),
    finish: () => streams.value.forEach((stream) => stream.end()),
  };
}
