// In which ways is the page looked at? In light and dark, wide and narrow; with pictures to look at where they are wanted.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { env } from 'node:process';

// Pictures of all that was looked at go to this directory.
const PICTURES = env.P2P_HTTP_PICTURES;
const SIZES = { wide: { width: 1280, height: 900 }, narrow: { width: 360, height: 740 } };
const SCHEMES = ['light', 'dark'];
// What text needs against what is behind it: WCAG 2.2, success criterion 1.4.3.
const CONTRAST = 4.5;

// Looks at a page in every way, and takes care that all of it can be seen and read.
export async function look(page, name, whole = true) {
  for (const [size, viewport] of Object.entries(SIZES)) {
    await page.setViewportSize(viewport);
    for (const colorScheme of SCHEMES) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      const what = `${name}-${size}-${colorScheme}`;
      const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(over, 0, `${what}: ${over} pixels wider than the window`);
      const faint = await page.evaluate(contrasts, CONTRAST);
      assert.deepEqual(faint, [], what);
      if (PICTURES) {
        mkdirSync(PICTURES, { recursive: true });
        await page.screenshot({ path: join(PICTURES, `${what}.png`), fullPage: whole });
        if (!whole) await below(page, what);
      }
    }
  }
  await page.setViewportSize(SIZES.wide);
}

// The part of a long page where the requests begin.
async function below(page, what) {
  await page.evaluate(() => document.getElementById('requests').scrollIntoView());
  await page.screenshot({ path: join(PICTURES, `${what}-requests.png`) });
  await page.evaluate(() => scrollTo(0, 0));
}

// Runs in the page: the texts that are too faint, with their contrasts.
function contrasts(least) {
  const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (color) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = color;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.slice(0, 3).map((part) => {
      const value = part / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] > 0) return color;
    }
    return rgba('white');
  };
  const faint = new Map();
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (!own || !element.checkVisibility() || element.closest('.hidden, .skip')) continue;
    const [one, other] = [luminance(rgba(getComputedStyle(element).color)), luminance(behind(element))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < least) faint.set(`${element.tagName}.${element.className}`, ratio.toFixed(2));
  }
  return [...faint];
}
