// A project with Vite's development server, as its own command starts it.

import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { command } from '../support/packages.mjs';
import { Server } from '../support/program.mjs';

const FILES = {
  'package.json': '{ "name": "project", "private": true, "type": "module", "dependencies": { "greeter": "1.0.0" } }',
  'index.html': `<!doctype html><meta charset="utf-8"><title>Project</title><h1>first title</h1>
<p id="greeting"></p><p id="count">0</p><button id="more">More</button><script type="module" src="/src/main.js"></script>`,
  'src/main.js': `
import { greet } from 'greeter';
import { words } from './words.js';
import './style.css';
import { count } from './count.js';
const show = (words) => document.getElementById('greeting').textContent = greet(words);
show(words);
document.getElementById('more').onclick = async () => {
  document.getElementById('count').textContent = count();
  await import('./later.js');
};
import.meta.hot.accept('./words.js', (fresh) => show(fresh.words));`,
  'src/words.js': `export const words = 'first words';`,
  'src/count.js': `let n = 0; export const count = () => ++n;`,
  'src/later.js': `document.body.append('loaded later');`,
  'src/style.css': 'h1 { color: rgb(1, 2, 3); }',
  // A dependency of the old kind, which Vite rebuilds before it serves it.
  'node_modules/greeter/package.json': '{ "name": "greeter", "version": "1.0.0", "main": "index.js" }',
  'node_modules/greeter/index.js': `exports.greet = (words) => 'hello, ' + words;`,
};

export async function start(scope) {
  const directory = await scope.directory();
  for (const [name, content] of Object.entries(FILES)) {
    const file = join(directory, name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content);
  }
  const args = [command('vite'), '--host', '127.0.0.1', '--port', '0', '--clearScreen', 'false'];
  const server = new Server(scope, 'vite', process.execPath, args, { cwd: directory, env: { NO_COLOR: '1', FORCE_COLOR: '0' } });
  const [, target] = await server.line(/(http:\/\/127\.0\.0\.1:\d+)/);
  return {
    target,
    // Edits a file of the project, and replaces it at once as editors do: Vite must never see half of it.
    edit: async (name, from, to) => {
      const file = join(directory, name);
      await writeFile(`${file}~`, (await readFile(file, 'utf8')).replace(from, to));
      await rename(`${file}~`, file);
    },
  };
}
