// A registry of npm packages of one's own: verdaccio, which asks no other registry.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { command } from '../support/packages.mjs';
import { Server } from '../support/program.mjs';

const CONFIGURATION = `
storage: ./storage
auth:
  htpasswd:
    file: ./htpasswd
    max_users: 10
packages:
  '**':
    access: $all
    publish: $authenticated
max_body_size: 100mb
log: { type: stdout, format: pretty, level: http, colors: false }
`;

export async function start(scope) {
  const directory = await scope.directory();
  await writeFile(join(directory, 'config.yaml'), CONFIGURATION);
  // It does not tell which port it was given, so it gets a Unix socket.
  const target = `unix:${join(directory, 'socket')}`;
  const args = [command('verdaccio', 'verdaccio', 'heavy'), '--config', 'config.yaml', '--listen', target];
  const server = new Server(scope, 'verdaccio', process.execPath, args, { cwd: directory });
  await server.line(/http address/);
  return { target };
}
