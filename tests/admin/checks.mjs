// What has to hold of the admin page in a browser? Each check is on its own, in the order in which requests add up.

import assert from 'node:assert/strict';

import { within } from '../apps/support/wait.mjs';
import { admin, fact } from './site.mjs';
import { look } from './views.mjs';

const rows = (page) => page.locator('#list tbody tr');

async function opened(context, node) {
  const page = await context.newPage();
  await page.goto(admin(node));
  await page.getByText('Live', { exact: true }).waitFor();
  return page;
}

// Before anything has happened the page says who the node is, and what to do.
export async function nothing({ site, context }) {
  const page = await opened(context, site.gateway);
  const origin = fact(site.origin, 'peer ');
  assert.notEqual(await page.locator('#peer code').textContent(), origin);
  await page.getByText('Peers cannot dial this node').waitFor();
  await page.getByText('p2p-http serve --name app').waitFor();
  await page.getByText('No connections.').waitFor();
  await page.getByText(`curl ${fact(site.gateway, 'gateway ')}/http/PEER/NAME/`).waitFor();
  await look(page, 'gateway-0');
  await page.close();

  const other = await opened(context, site.origin);
  assert.equal(await other.locator('#peer code').textContent(), origin);
  const address = fact(site.origin, 'listening ');
  await other.getByTitle(address, { exact: true }).waitFor();
  await other.getByText(`to ${site.target}`).waitFor();
  const picture = other.locator('#qr img');
  assert.equal(await picture.getAttribute('alt'), `QR code of ${address}`);
  await other.waitForFunction(() => document.querySelector('#qr img').naturalWidth > 0);
  await look(other, 'origin-0');
  await other.close();
}

// A request is there as soon as it has ended, on both sides, without a reload.
export async function one({ site, context }) {
  const pages = [await opened(context, site.gateway), await opened(context, site.origin)];
  await Promise.all(pages.map((page) => page.evaluate(() => (window.loadedOnce = true))));
  assert.equal(await site.ask('/hello/world?token=secret'), 200);
  for (const page of pages) {
    await rows(page).first().waitFor();
    assert.equal(await rows(page).count(), 1);
    const text = await rows(page).textContent();
    assert.match(text, /200.*GET .*\/hello\/world\?….*app · (to|from) 12D3….{6} · new (stream|connection)/s);
    assert.ok(!(await page.content()).includes('secret'));
    // The one peer, its connection, and how far it is.
    await page.locator('#peers td.number', { hasText: ' ms' }).waitFor();
    assert.match(await page.locator('#peers .way').textContent(), /^direct (to|from) \/ip4\/127\.0\.0\.1\/tcp\//);
    assert.equal(await page.evaluate(() => window.loadedOnce), true);
    assert.equal(await page.locator('#requests-empty').isVisible(), false);
    await page.getByText('Running now0').waitFor();
  }
  assert.match(await rows(pages[0]).textContent(), /\/http\/12D3….{6}\/app\/hello/);
  await look(pages[0], 'gateway-1');
  await look(pages[1], 'origin-1');
  await Promise.all(pages.map((page) => page.close()));
}

// What strangers send is text, and stays where it belongs.
export async function inert({ site, context, forgive }) {
  const page = await opened(context, site.gateway);
  await page.evaluate(() => (window.alert = () => (window.hit = true)));
  const bad = '/<img/src=x/onerror=alert(1)>"onmouseover="alert(2)';
  await site.ask(bad, { method: 'PROPFIND' });
  const row = rows(page).filter({ hasText: 'onerror' });
  await row.waitFor();
  assert.ok((await row.locator('.line').textContent()).endsWith(bad));
  assert.equal(await page.locator('#list img, #list [onmouseover]').count(), 0);
  assert.equal(await page.evaluate(() => window.hit), undefined);
  await page.close();

  // The same for every text that there is, whatever of it can come to the page by now.
  const forged = await context.newPage();
  const evil = '<img src=x onerror="window.hit=true"><script>window.hit=true</script>';
  await forged.route('**/api/events', (route) => {
    const body = `event: all\ndata: ${JSON.stringify(all(evil))}\n\n`;
    return route.fulfill({ contentType: 'text/event-stream', body });
  });
  await forged.goto(admin(site.gateway));
  await rows(forged).first().waitFor();
  assert.equal(await forged.locator('.columns img:not(#qr img), .columns script').count(), 0);
  assert.equal(await forged.evaluate(() => window.hit), undefined);
  const shown = await forged.locator('.columns').textContent();
  // In no place is it missing.
  assert.ok(shown.split('onerror=').length > 10, shown);
  // There is no picture of that.
  forgive(/404/);
  await forged.close();
}

// All that is known, with one text everywhere.
function all(text) {
  const record = { id: 1, time: 1, side: 'gateway', peer: text, service: text, method: text, path: text, status: 200, request_bytes: 1, response_bytes: 1, connect: 1, head: 1, body: 1, total: 3, reused: true, cause: text, error: text };
  const link = { address: text, relayed: true, outbound: true, since: 1, round_trip: 1 };
  return {
    now: 1,
    node: { peer: text, version: text, started: 1 },
    addresses: [{ address: text, kind: 'machine' }],
    services: [{ name: text, target: text, peers: [text], methods: [text], paths: [text] }],
    attached: { [text]: 1 },
    ports: [{ address: text, only: [text, text], allowed: null, attach: true }, { address: text, only: null, allowed: [[text, text]], attach: false }],
    peers: { list: [{ peer: text, since: 1, links: [link] }], count: 1 },
    totals: { begun: 1, ended: 1, failed: 0, request_bytes: 1, response_bytes: 1 },
    requests: [record],
  };
}

// Many are there as well, the newest first, and no more than there is room for.
export async function many({ site, context }) {
  const page = await opened(context, site.gateway);
  const kinds = [
    (n) => site.ask(`/articles/${n}?bytes=${n * 97}`),
    (n) => site.ask(`/images/photo-of-a-very-long-and-winding-road-that-leads-nowhere-in-particular-${n}.webp?bytes=300000`),
    (n) => site.ask(`/api/items/${n}?status=204`, { method: 'PUT', body: 'y'.repeat(n) }),
    (n) => site.ask(`/missing/${n}?status=404`),
    (n) => site.ask(`/upload?status=201`, { method: 'POST', body: 'z'.repeat(20_000 + n) }),
    (n) => site.ask(`/style-${n}.css?bytes=4000`),
    (n) => site.ask(n % 3 === 0 ? `/broken/${n}?status=500` : `/favicon.ico?status=304`),
    (n) => (n % 5 === 0 ? site.ask('/x', { service: 'closed' }) : site.ask(`/script-${n}.js?bytes=60000`)),
  ];
  for (let n = 0; n < 520; n += 8) {
    await Promise.all(kinds.map((kind, index) => kind(n + index)));
  }
  await site.ask('/the/last/one');
  await rows(page).filter({ hasText: '/the/last/one' }).waitFor();
  await page.waitForFunction(() => document.querySelectorAll('#list tbody tr').length === 500);
  assert.match(await rows(page).first().textContent(), /\/the\/last\/one/);
  assert.equal(await page.locator('#requests-count').textContent(), '500');
  await page.getByText(/^Running now0$/).waitFor();
  await look(page, 'gateway-500', false);

  // The same for who comes later.
  const later = await opened(context, site.origin);
  await page.waitForFunction(() => document.querySelectorAll('#list tbody tr').length === 500);
  assert.match(await rows(later).first().textContent(), /\/the\/last\/one/);
  await look(later, 'origin-500', false);
  await later.close();
  await page.close();
}

// What is sought is found, what has failed is told apart, and what moves can be stopped, by keyboard alone.
export async function tools({ site, context }) {
  const page = await opened(context, site.gateway);
  await page.waitForFunction(() => document.querySelectorAll('#list tbody tr').length === 500);
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to the requests');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Tab');
  await page.keyboard.type('/MISSING/');
  await page.waitForFunction(() => /^[1-9]\d? of 500$/.test(document.querySelector('#requests-count').textContent));
  const visible = () => page.locator('#list tbody tr:visible').count();
  const missing = await visible();
  assert.ok(missing > 10 && missing < 100, `${missing}`);
  assert.equal(await page.locator('#requests-count').textContent(), `${missing} of 500`);
  await page.locator('#filter').fill('');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Space');
  const failed = await visible();
  assert.ok(failed > 10 && failed < 200, `${failed}`);
  assert.equal(await page.locator('#list tbody tr.good:visible').count(), 0);
  await look(page, 'failures', false);
  await page.keyboard.press('Space');

  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await site.ask('/while/paused');
  await page.getByRole('button', { name: 'Resume (1)' }).waitFor();
  assert.equal(await rows(page).filter({ hasText: '/while/paused' }).count(), 0);
  await page.keyboard.press('Enter');
  await rows(page).filter({ hasText: '/while/paused' }).waitFor();
  assert.equal(await rows(page).count(), 500);
  await page.close();
}

// What is to be copied is copied whole.
export async function copies({ site, context }) {
  const page = await opened(context, site.origin);
  const url = admin(site.origin).slice(0, -1);
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: url });
  for (const [name, text] of [
    ['Copy the peer id', fact(site.origin, 'peer ')],
    [/^Copy the address/, fact(site.origin, 'listening ')],
  ]) {
    await page.getByRole('button', { name }).click();
    await page.getByText('Copied').waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), text);
    await page.getByText('Copied').waitFor({ state: 'detached' });
  }
  // On another machine, without TLS, there is no such thing.
  await page.evaluate(() => Object.defineProperty(navigator, 'clipboard', { value: undefined }));
  await page.getByRole('button', { name: 'Copy the peer id' }).click();
  await page.getByText('Copied').waitFor();
  await page.locator('#filter').focus();
  await page.keyboard.press('Control+V');
  assert.equal(await page.locator('#filter').inputValue(), fact(site.origin, 'peer '));
  await page.close();
}

// A page goes on when its node comes back.
export async function again({ site, context, forgive }) {
  const { first, again } = await site.lasting();
  const page = await opened(context, first);
  const peer = await page.locator('#peer code').textContent();
  await first.stop();
  await page.getByText('Not connected, trying again').waitFor();
  await again();
  await page.getByText('Live', { exact: true }).waitFor();
  assert.equal(await page.locator('#peer code').textContent(), peer);
  await page.close();
  forgive(/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE/);
}

// The gateway says what it is, and leads to the page; other pages of this machine read nothing of it.
export async function apart({ site, context, forgive }) {
  const page = await context.newPage();
  await page.goto(`${fact(site.gateway, 'gateway ')}/`);
  await page.getByRole('heading', { name: 'A gateway to peers' }).waitFor();
  await look(page, 'front');
  const read = await page.evaluate(async (url) => {
    const tries = [fetch(`${url}api/state`), fetch(`${url}api/state`, { mode: 'no-cors' })];
    return (await Promise.allSettled(tries)).map((result) => result.status);
  }, admin(site.gateway));
  assert.deepEqual(read, ['rejected', 'rejected']);
  const opened = page.waitForURL(admin(site.gateway));
  await page.getByRole('link').click();
  await within('the admin page', opened);
  await page.getByText('Live', { exact: true }).waitFor();
  assert.equal(await page.evaluate(() => window.opener), null);
  await page.close();
  forgive(/api\/state|Content Security Policy|Refused to connect|ERR_FAILED/);
}
