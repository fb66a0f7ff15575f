// How is data put into the page, and how is it written? Text only ever as text: much of it is from strangers.

// An element with these attributes, and children that are nodes or text.
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== null && child !== false));
  return element;
}

export const find = (id) => document.getElementById(id);

export function fill(parent, ...children) {
  parent.replaceChildren(...children);
}

const counts = new Intl.NumberFormat('en');
export const count = (number) => counts.format(number);

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function bytes(number) {
  let unit = 0;
  while (number >= 1024 && unit < UNITS.length - 1) {
    number /= 1024;
    unit += 1;
  }
  return `${unit > 0 && number < 10 ? number.toFixed(1) : Math.round(number)} ${UNITS[unit]}`;
}

// A time in microseconds.
export function span(micros) {
  const ms = micros / 1000;
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

// How long something has lasted, in milliseconds.
export function age(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
export const time = (ms) => clock.format(ms);
export const moment = (ms) => new Date(ms).toISOString();

// A peer id by what tells it from others: they all begin in the same way.
export const short = (peer) => (peer.length > 14 ? `${peer.slice(0, 4)}…${peer.slice(-6)}` : peer);

// A button that copies a text, and says whether it did.
export function copier(text, label, what, more = {}) {
  const button = el('button', { type: 'button', 'aria-label': `Copy ${what}`, title: `Copy ${what}`, ...more }, label);
  button.addEventListener('click', async () => {
    button.textContent = (await copy(text)) ? 'Copied' : 'Not copied';
    setTimeout(() => (button.textContent = label), 1500);
  });
  return button;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyOnce(text);
  }
}

// Where the page is on another machine, without TLS, browsers have only the old way.
function copyOnce(text) {
  const focused = document.activeElement;
  const area = el('textarea', { class: 'hidden', 'aria-hidden': 'true' });
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  focused?.focus();
  return done;
}
