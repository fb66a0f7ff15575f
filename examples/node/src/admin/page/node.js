// Who is the node, what does it offer, and whom is it connected to?

import { age, copier, count, el, fill, find, moment, short, span } from './dom.js';

// Who can get to an address, in a word, and what its picture is good for.
const KINDS = {
  world: ['public address', 'For peers anywhere'],
  relay: ['through a relay', 'For peers that reach the relay'],
  network: ['local network', 'For peers in the local network'],
  machine: ['this machine', 'For programs of this machine only'],
};

// The address whose picture is shown.
let pictured;

export function showPeer(peer) {
  fill(find('peer'), el('code', {}, peer), copier(peer, 'Copy', 'the peer id'));
  document.title = `${short(peer)} – p2p-http`;
}

export function showAddresses(addresses) {
  const items = addresses.map(({ address, kind }) => {
    const picture = el('button', { type: 'button', 'aria-label': `QR code of ${address}` }, 'QR');
    picture.addEventListener('click', () => showPicture({ address, kind }));
    const place = el('p', {}, KINDS[kind][0]);
    const copied = el('div', { class: 'copied' }, el('code', { title: address }, brief(address)), copier(address, 'Copy', `the address ${address}`), picture);
    const item = el('li', {}, copied, place);
    item.dataset.address = address;
    return item;
  });
  const none = el('li', { class: 'empty' }, 'Peers cannot dial this node: it listens nowhere. It dials them. ', example('--p2p-listen /ip4/0.0.0.0/tcp/4001'));
  fill(find('addresses'), ...(items.length > 0 ? items : [none]));
  showPicture(addresses.find(({ address }) => address === pictured) ?? addresses[0] ?? {});
}

function showPicture({ address, kind }) {
  const figure = find('qr');
  figure.hidden = !address;
  if (address && address !== pictured) {
    const image = figure.querySelector('img');
    image.src = `/qr.svg?address=${encodeURIComponent(address)}`;
    image.alt = `QR code of ${address}`;
    figure.querySelector('figcaption').textContent = `${KINDS[kind][1]}: ${brief(address)}`;
  }
  pictured = address;
  for (const item of find('addresses').children) {
    const button = item.querySelector('button:last-of-type');
    button?.setAttribute('aria-pressed', String(item.dataset.address === address));
  }
}

export function showServices(services, attached) {
  const own = services.map((service) =>
    el('li', {}, el('div', { class: 'name code' }, service.name), el('p', { class: 'code' }, `to ${service.target}`), el('p', {}, ...mayUse(service))),
  );
  const programs = Object.entries(attached).map(([name, since]) =>
    el('li', {}, el('div', { class: 'name code' }, name), el('p', { title: moment(since) }, 'a program that is attached here')),
  );
  const none = el('li', { class: 'empty' }, 'This node offers nothing to peers. To offer a web application:', example('p2p-http serve --name app --to http://127.0.0.1:3000'));
  const all = [...own, ...programs];
  fill(find('services'), ...(all.length > 0 ? all : [none]));
}

function mayUse({ peers, methods, paths }) {
  const rules = [];
  if (!peers) rules.push('every peer may use it');
  else if (peers.length === 0) rules.push('no peer may use it');
  else rules.push(`${peers.length === 1 ? 'one peer' : `${count(peers.length)} peers`} may use it: `, ...list(peers.map(id)));
  if (methods) rules.push(`; methods ${methods.join(', ') || 'none'}`);
  if (paths) rules.push(`; paths ${paths.join(', ') || 'none'}`);
  return rules;
}

export function showPorts(ports) {
  const items = ports.map((port) =>
    el('li', {}, link(port), el('p', {}, ...leadsTo(port)), port.attach && el('p', {}, 'programs may become services here')),
  );
  const none = el('li', { class: 'empty' }, 'HTTP clients cannot use this node to reach peers. To let them:', example('p2p-http gateway'));
  fill(find('ports'), ...(items.length > 0 ? items : [none]));
}

const link = ({ address }) => el('a', { class: 'name code', href: `${address}/`, rel: 'noreferrer' }, address);

function leadsTo({ only, allowed }) {
  if (only) return [`leads to ${only[1]} of `, id(only[0])];
  if (!allowed) return ['every service of every peer'];
  if (allowed.length === 0) return ['no service'];
  return ['these services: ', ...list(allowed.map(([peer, service]) => el('span', {}, `${service} of `, id(peer))))];
}

export function showPeers({ list, count: all }, now) {
  // Where the keyboard is, which must not be lost.
  const focused = document.activeElement?.closest?.('#peers button')?.dataset.peer;
  const rows = list.flatMap((peer) => rowsOf(peer, now));
  const table = find('peers');
  fill(table.tBodies[0], ...rows);
  if (focused) table.querySelector(`button[data-peer="${CSS.escape(focused)}"]`)?.focus();
  table.hidden = all === 0;
  find('peers-count').textContent = all > list.length ? `${count(list.length)} of ${count(all)}` : all > 0 ? count(all) : '';
  const none = find('peers-empty');
  none.hidden = all > 0;
  if (all === 0) fill(none, 'No connections. Peers come to the addresses above, or are dialled when a request needs them.');
}

function rowsOf({ peer, since, links }, now) {
  const times = links.map((link) => link.round_trip).filter((time) => time !== null);
  const first = el(
    'tr',
    {},
    el('th', { scope: 'row' }, id(peer, true)),
    el('td', {}, el('time', { datetime: moment(since), title: moment(since) }, age(now - since))),
    el('td', { class: 'number' }, times.length > 0 ? span(Math.min(...times)) : '–'),
  );
  // The id at the end of an address is that of the peer.
  const way = ({ outbound, address }) => ` ${outbound ? 'to' : 'from'} ${address.replace(`/p2p/${peer}`, '')}`;
  const ways = links.map((link) => el('div', { class: 'way' }, el('span', { class: 'tag' }, link.relayed ? 'relayed' : 'direct'), way(link)));
  return [first, el('tr', { class: 'ways' }, el('td', { colspan: '3' }, ...ways))];
}

// A peer id, shortened; all of it can be copied.
function id(peer) {
  const button = copier(peer, short(peer), `peer id ${peer}`, { class: 'id code' });
  button.dataset.peer = peer;
  return button;
}

// An address without the id at its end, which is the node's own.
const brief = (address) => address.replace(/\/p2p\/[^/]*$/, '');

const example = (text) => el('code', {}, text);

const list = (nodes) => nodes.flatMap((node, index) => (index > 0 ? [', ', node] : [node]));
