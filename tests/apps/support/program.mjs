// How do other programs run? In process groups of their own, so that all of each ends with the test, whatever it started.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

import { Watched, within } from './wait.mjs';

// A program that has this long to end by itself after SIGTERM.
const GRACE = 5_000;

const running = new Set();

// The last resort, for a test that is told to stop in the middle.
process.on('exit', () => {
  for (const group of running) signal(group, 'SIGKILL');
});

function signal(group, name) {
  try {
    process.kill(-group, name);
  } catch {
    // All of it has ended.
  }
}

function start(command, args, { cwd, env } = {}) {
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  if (child.pid) running.add(child.pid);
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, killer) => resolve(code ?? killer));
  });
  // Whoever wants to know asks; without a question this is no error.
  ended.catch(() => {});
  return { child, ended };
}

async function stop(group, ended) {
  signal(group, 'SIGTERM');
  const timer = setTimeout(() => signal(group, 'SIGKILL'), GRACE);
  await ended.catch(() => {});
  clearTimeout(timer);
  // What the program has left behind.
  signal(group, 'SIGKILL');
  running.delete(group);
}

// A program that runs until the scope ends.
export class Server {
  #child;
  #ended;
  #lines = new Watched([]);
  #facts = new Watched([]);
  #stopping = false;

  constructor(scope, name, command, args, options) {
    this.name = name;
    const { child, ended } = start(command, args, options);
    this.#child = child;
    this.#ended = ended;
    const take = (input, ...logs) =>
      createInterface({ input }).on('line', (line) => logs.forEach((log) => log.update((lines) => [...lines, line])));
    take(child.stdout, this.#facts, this.#lines);
    take(child.stderr, this.#lines);
    scope.defer(name, () => this.stop());
  }

  // All lines of standard output and standard error.
  get log() {
    return this.#lines.value;
  }

  // All lines of standard output.
  get facts() {
    return this.#facts.value;
  }

  // Whether it has ended though nobody asked it to.
  get died() {
    return !this.#stopping && (this.#child.exitCode !== null || this.#child.signalCode !== null);
  }

  // The first match of a line that it prints to either output.
  async line(pattern) {
    const found = this.#lines.until(`${pattern} of ${this.name}`, (lines) => lines.some((line) => pattern.test(line)));
    const end = this.#ended.then((how) => {
      throw new Error(`${this.name} ended with ${how}:\n${this.log.join('\n')}`);
    });
    found.catch(() => {});
    await Promise.race([found, end]);
    return this.log.map((line) => pattern.exec(line)).find(Boolean);
  }

  async stop() {
    this.#stopping = true;
    if (this.#child.pid) await stop(this.#child.pid, this.#ended);
  }
}

// Runs a program to its end. Throws what it said where it fails, unless `fails` says that it should.
export async function run(command, args, { fails = false, patience, ...options } = {}) {
  const { child, ended } = start(command, args, options);
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', (text) => (output[name] += text));
  }
  const line = [command, ...args].join(' ');
  try {
    const code = await within(line, ended, patience);
    if ((code !== 0) !== fails) throw new Error(`${line}\nended with ${code}\n${output.stdout}${output.stderr}`);
    return { code, ...output };
  } finally {
    if (child.pid) await stop(child.pid, ended);
  }
}
