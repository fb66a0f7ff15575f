// What is shown, and when? All that is known, as soon as it changes.

import { age, count, bytes, el, fill, find } from './dom.js';
import { showAddresses, showPeer, showPeers, showPorts, showServices } from './node.js';
import { Requests } from './requests.js';

// How long to wait before another try, where the browser has given up.
const RETRY = 2000;
// How often times that pass are shown anew.
const TICK = 10_000;

const known = {};
const requests = new Requests();
// What the clock of the node is ahead of this one.
let ahead = 0;

function listen() {
  const events = new EventSource('/api/events');
  events.addEventListener('all', (event) => take(JSON.parse(event.data), true));
  events.addEventListener('news', (event) => take(JSON.parse(event.data), false));
  events.addEventListener('open', () => live('on', 'Live'));
  events.addEventListener('error', () => {
    live('off', 'Not connected, trying again');
    // After an answer that is no stream of events, which is for ever to a browser.
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, RETRY);
  });
  // A page that is left has no use for a connection, and one that comes back from the browser's cache begins anew.
  addEventListener('pagehide', () => events.close(), { once: true });
}

addEventListener('pageshow', (event) => event.persisted && listen());

function live(name, text) {
  const state = find('live');
  if (state.textContent === text) return;
  state.className = name;
  state.textContent = text;
}

function take(news, all) {
  ahead = news.now - Date.now();
  Object.assign(known, news);
  const { node, addresses, services, attached, ports, peers, totals } = news;
  if (node) showPeer(node.peer);
  if (addresses) showAddresses(addresses);
  if (services || attached) showServices(known.services, known.attached);
  if (ports) showPorts(ports);
  if (peers) showPeers(peers, known.now);
  if (totals) showTotals(totals);
  if (news.requests) requests.take(news.requests, all);
  delete known.requests;
  requests.explain(known);
  showAbout();
}

function showAbout() {
  const { node } = known;
  if (!node) return;
  find('about').textContent = `version ${node.version}, running for ${age(Date.now() + ahead - node.started)}`;
}

function showTotals(totals) {
  const figures = [
    ['Requests', count(totals.begun)],
    ['Running now', count(totals.begun - totals.ended)],
    ['Failed', count(totals.failed), totals.failed > 0 && 'bad'],
    ['Request bodies', bytes(totals.request_bytes)],
    ['Response bodies', bytes(totals.response_bytes)],
  ];
  const rows = figures.map(([name, value, kind]) =>
    el('div', { class: kind || undefined }, el('dt', {}, name), el('dd', {}, value)),
  );
  fill(find('totals'), ...rows);
}

setInterval(() => {
  showAbout();
  if (known.peers) showPeers(known.peers, Date.now() + ahead);
}, TICK);

listen();
