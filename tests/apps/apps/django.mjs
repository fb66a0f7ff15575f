// Django with its admin site, as it is when it is not being debugged.

import { join } from 'node:path';

import { python } from '../support/packages.mjs';
import { Server } from '../support/program.mjs';

export async function start(scope) {
  const project = join(import.meta.dirname, 'project.py');
  const server = new Server(scope, 'django', python('python'), [project, await scope.directory()]);
  const [, port] = await server.line(/^port (\d+)$/);
  return { target: `http://127.0.0.1:${port}` };
}
