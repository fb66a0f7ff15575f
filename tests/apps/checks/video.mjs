// Can a viewer jump about in a video, without all that lies between?

import assert from 'node:assert/strict';

import { start as video } from '../apps/video.mjs';

export const forms = ['forward', 'host'];

export async function start(scope) {
  return { app: await video(scope) };
}

export async function check({ app, url, user }) {
  const page = await (await user()).newPage();
  await page.goto(`${url}/`);
  await page.waitForFunction(() => document.querySelector('video').readyState >= 2);
  const { duration, seekable } = await page.$eval('video', (video) => ({
    duration: video.duration,
    seekable: video.seekable.end(0),
  }));
  assert.deepEqual({ duration, seekable }, { duration: app.seconds, seekable: app.seconds });

  for (const second of [app.seconds - 3.5, 10.5, 41.5]) {
    const shown = await page.evaluate(seek, second);
    assert.deepEqual(shown, [second, app.colour(second)]);
  }
  const starts = app.ranges.map((range) => Number(/^bytes=(\d+)-/.exec(range)[1]));
  assert.equal(starts[0], 0);
  const far = (app.seconds - 5) / app.seconds;
  assert.ok(starts.some((start) => start > app.size * far), `the end was not asked for: ${app.ranges}`);

  await page.$eval('video', (video) => video.play());
  await page.waitForFunction(() => document.querySelector('video').currentTime > 43);
}

// Runs in the page: jumps there, and says where it is and what colour is seen.
async function seek(second) {
  const video = document.querySelector('video');
  const there = new Promise((done) => video.addEventListener('seeked', done, { once: true }));
  video.currentTime = second;
  await there;
  const canvas = document.querySelector('canvas').getContext('2d');
  canvas.drawImage(video, 0, 0, 16, 16);
  // The codec is not exact to the bit.
  const colour = [...canvas.getImageData(8, 8, 1, 1).data].slice(0, 3).map((value) => (value > 128 ? 255 : 0));
  return [video.currentTime, colour.join()];
}
