// How does a test wait? For an event, not for ever, and it says what it waited for.

import { inspect } from 'node:util';

// Longer than anything here takes on a busy machine, shorter than the time limits of the proxy, which must not be what ends
// a wait.
export const PATIENCE = 45_000;

// What `promise` becomes.
export async function within(what, promise, patience = PATIENCE) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`still waiting after ${patience / 1000} s: ${what}`)), patience);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

// A value that changes, and those who wait until it is as they want it.
export class Watched {
  #value;
  #waiting = new Set();

  constructor(value) {
    this.#value = value;
  }

  get value() {
    return this.#value;
  }

  update(change) {
    this.#value = change(this.#value);
    for (const look of this.#waiting) look();
  }

  // The first value for which `holds`, now or later.
  async until(what, holds) {
    let look;
    const found = new Promise((resolve) => {
      look = () => holds(this.#value) && resolve(this.#value);
      this.#waiting.add(look);
      look();
    });
    try {
      return await within(what, found);
    } catch (error) {
      error.message += `; it is ${inspect(this.#value, { breakLength: Infinity, maxArrayLength: 5 })}`;
      throw error;
    } finally {
      this.#waiting.delete(look);
    }
  }
}
