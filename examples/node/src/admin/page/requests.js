// Which requests were there lately? The newest first, as they end.

import { bytes, count, el, fill, find, moment, short, span, time } from './dom.js';

// As many as the node remembers.
const MOST = 500;
const STAGES = ['connect', 'head', 'body'];
const NAMES = { connect: 'connect', head: 'until the response', body: 'body' };

export class Requests {
  #body = find('list').tBodies[0];
  #filter = '';
  #failures = false;
  // What came while it was paused, the newest first; nothing where it is not.
  #held;
  // Whether that is instead of what is shown.
  #anew = false;

  constructor() {
    find('tools').addEventListener('submit', (event) => event.preventDefault());
    find('filter').addEventListener('input', (event) => {
      this.#filter = event.target.value.trim().toLowerCase();
      this.#sift();
    });
    find('failures').addEventListener('change', (event) => {
      this.#failures = event.target.checked;
      this.#sift();
    });
    find('pause').addEventListener('click', () => this.#pause());
  }

  // Takes requests that have ended, the newest first; `all` that there are, or only those that are new.
  take(requests, all) {
    if (this.#held) {
      this.#held = all ? requests : [...requests, ...this.#held].slice(0, MOST);
      this.#anew ||= all;
      this.#label();
      return;
    }
    this.#show(requests, all);
  }

  // Says what to do while there are none.
  explain({ ports, peers, node }) {
    const none = find('requests-empty');
    const text = this.#body.rows.length > 0 ? '' : explanation(ports, peers, node);
    none.hidden = text === '';
    if (none.dataset.text === text) return;
    none.dataset.text = text;
    const [words, command] = text.split('\n');
    fill(none, words, ...(command ? [el('code', {}, command)] : []));
  }

  #show(requests, all) {
    const rows = requests.map((request) => this.#row(request, !all));
    if (all) fill(this.#body, ...rows);
    else this.#body.prepend(...rows);
    while (this.#body.rows.length > MOST) this.#body.lastElementChild.remove();
    this.#count();
  }

  #row(request, isNew) {
    const row = rowOf(request);
    if (isNew) row.classList.add('new');
    row.hidden = !this.#fits(row);
    return row;
  }

  #fits(row) {
    return (!this.#failures || row.classList.contains('bad')) && row.dataset.words.includes(this.#filter);
  }

  #sift() {
    for (const row of this.#body.rows) row.hidden = !this.#fits(row);
    this.#count();
  }

  #count() {
    const rows = [...this.#body.rows];
    const shown = rows.filter((row) => !row.hidden).length;
    find('requests-count').textContent = shown < rows.length ? `${count(shown)} of ${count(rows.length)}` : rows.length > 0 ? count(rows.length) : '';
    find('list').hidden = rows.length === 0;
    document.querySelector('.legend').hidden = rows.length === 0;
  }

  #pause() {
    const [held, anew] = [this.#held, this.#anew];
    this.#held = held ? undefined : [];
    this.#anew = false;
    this.#label();
    if (held) this.#show(held, anew);
  }

  #label() {
    const button = find('pause');
    const waiting = this.#held?.length ?? 0;
    button.setAttribute('aria-pressed', String(this.#held !== undefined));
    button.textContent = this.#held === undefined ? 'Pause' : waiting > 0 ? `Resume (${count(waiting)})` : 'Resume';
  }
}

function explanation(ports, peers, node) {
  const gateway = ports?.find((port) => !port.only);
  const forward = ports?.find((port) => port.only);
  if (forward) return `No requests yet. Try:\ncurl ${forward.address}/`;
  if (gateway) {
    const peer = peers?.list[0]?.peer ?? 'PEER';
    return `No requests yet. With the id of a peer and the name of its service:\ncurl ${gateway.address}/http/${peer}/NAME/`;
  }
  return `No requests yet. On a machine that reaches this node:\np2p-http gateway --peer ADDRESS/p2p/${node?.peer ?? 'PEER'}`;
}

function rowOf(request) {
  const cell = (name, ...children) => el('td', { role: 'cell', class: name }, ...children);
  const row = el(
    'tr',
    { role: 'row', class: kindOf(request) },
    cell('when', el('time', { datetime: moment(request.time), title: moment(request.time) }, time(request.time))),
    cell('status', request.status === null ? el('span', { title: 'no response' }, 'none') : String(request.status)),
    cell('request', ...wordsOf(request)),
    cell('number bytes', ...bytesOf(request)),
    cell('time', ...timesOf(request)),
  );
  row.dataset.words = [request.id, request.status, request.method, request.path, request.service, request.peer, request.error, request.cause].join(' ').toLowerCase();
  row.dataset.id = request.id;
  return row;
}

function kindOf({ status, error }) {
  if (error !== null || status === null || status >= 500) return 'bad';
  return status >= 400 ? 'odd' : 'good';
}

function wordsOf({ method, path, service, peer, side, reused, error, cause, id }) {
  const brief = peer ? path.replaceAll(peer, short(peer)) : path;
  const line = el('div', { class: 'line code', title: `${method} ${path}` }, el('span', { class: 'method' }, method), ' ', brief);
  const more = [
    service?.replace('/x/http/', ''),
    peer && `${side === 'gateway' ? 'to' : 'from'} ${short(peer)}`,
    reused !== null && `${reused ? 'reused' : 'new'} ${side === 'gateway' ? 'stream' : 'connection'}`,
  ];
  const text = more.filter(Boolean).join(' · ') || 'answered here';
  const about = el('div', { class: 'more', title: `request ${id}${peer ? `, peer ${peer}` : ''}` }, text);
  const wrong = error === null ? undefined : el('div', { class: 'error' }, cause ? `${cause}: ${error}` : error);
  return [line, about, wrong];
}

function bytesOf({ request_bytes, response_bytes }) {
  const response = el('span', { title: 'response' }, bytes(response_bytes));
  return request_bytes === 0 ? [response] : [response, el('div', { title: 'request' }, `sent ${bytes(request_bytes)}`)];
}

function timesOf(request) {
  const stages = STAGES.filter((stage) => request[stage] !== null);
  const bar = el('div', { class: 'stages', 'aria-hidden': 'true' });
  for (const stage of stages) {
    const part = el('span', { class: stage });
    part.style.flexGrow = String(request[stage]);
    bar.append(part);
  }
  const parts = stages.map((stage) => el('span', { title: NAMES[stage] }, el('span', { class: 'hidden' }, `${NAMES[stage]} `), span(request[stage])));
  const line = parts.flatMap((part, index) => (index > 0 ? [' · ', part] : [part]));
  return [el('div', { class: 'total' }, span(request.total)), stages.length > 0 && bar, stages.length > 0 && el('div', { class: 'parts' }, ...line)];
}
