// Git's own server program, `git http-backend`, behind a small CGI server: whoever comes may fetch, Ada may push.

import { Buffer } from 'node:buffer';
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

import { serve, text } from '../support/http.mjs';
import { run } from '../support/program.mjs';

// Git without the settings of whoever runs the tests.
export const SETTINGS = {
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_TERMINAL_PROMPT: '0',
  GIT_AUTHOR_NAME: 'Ada',
  GIT_AUTHOR_EMAIL: 'ada@example.com',
  GIT_COMMITTER_NAME: 'Ada',
  GIT_COMMITTER_EMAIL: 'ada@example.com',
  NO_PROXY: '*',
};

export async function start(scope) {
  const root = await scope.directory();
  const repository = join(root, 'project.git');
  const git = (...args) => run('git', args, { cwd: repository, env: SETTINGS });
  await run('git', ['init', '--quiet', '--bare', '--initial-branch=main', repository], { env: SETTINGS });
  await git('config', 'http.receivepack', 'true');
  await writeFile(join(root, 'README'), 'the first words\n');
  const { stdout: blob } = await git('hash-object', '-w', join(root, 'README'));
  await git('update-index', '--add', '--cacheinfo', `100644,${blob.trim()},README`);
  const { stdout: tree } = await git('write-tree');
  const { stdout: commit } = await git('commit-tree', '-m', 'First', tree.trim());
  await git('update-ref', 'refs/heads/main', commit.trim());

  // The codings of the bodies that came.
  const codings = new Set();
  const served = await serve(scope, {
    '*': (request, response, url) => {
      codings.add(request.headers['transfer-encoding']).add(request.headers['content-encoding']);
      const user = ada(request);
      const pushes = url.searchParams.get('service') === 'git-receive-pack' || url.pathname.endsWith('/git-receive-pack');
      if (pushes && !user) {
        response.setHeader('WWW-Authenticate', 'Basic realm="project"');
        return text(response, 'Ada only\n', 401);
      }
      return cgi(request, response, {
        GIT_PROJECT_ROOT: root,
        GIT_HTTP_EXPORT_ALL: '1',
        PATH_INFO: decodeURIComponent(url.pathname),
        QUERY_STRING: url.search.slice(1),
        ...(user && { REMOTE_USER: user }),
      });
    },
  });
  return { ...served, codings, revision: async () => (await git('rev-parse', 'main')).stdout.trim() };
}

function ada(request) {
  const [, encoded] = /^Basic (.*)$/.exec(request.headers.authorization ?? '') ?? [];
  return encoded && Buffer.from(encoded, 'base64').toString() === 'ada:secret' ? 'ada' : null;
}

// Has `git http-backend` answer (RFC 3875).
async function cgi(request, response, variables) {
  const { headers: fields } = request;
  const known = Object.entries({
    CONTENT_TYPE: fields['content-type'],
    CONTENT_LENGTH: fields['content-length'],
    HTTP_CONTENT_ENCODING: fields['content-encoding'],
    GIT_PROTOCOL: fields['git-protocol'],
  }).filter(([, value]) => value !== undefined);
  const child = spawn('git', ['http-backend'], {
    env: { PATH: process.env.PATH, ...SETTINGS, ...Object.fromEntries(known), ...variables, REQUEST_METHOD: request.method },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  // It need not read all that it is sent.
  child.stdin.on('error', () => {});
  request.pipe(child.stdin);

  let head = Buffer.alloc(0);
  for await (const piece of child.stdout.iterator({ destroyOnReturn: false })) {
    head = Buffer.concat([head, piece]);
    if (head.includes('\r\n\r\n')) break;
  }
  const end = head.indexOf('\r\n\r\n');
  const lines = head.subarray(0, end).toString().split('\r\n').map((line) => line.split(/: (.*)/s));
  response.statusCode = 200;
  for (const [name, value] of lines) {
    if (name === 'Status') response.statusCode = parseInt(value, 10);
    else response.appendHeader(name, value);
  }
  response.write(head.subarray(end + 4));
  await pipeline(child.stdout, response);
}
