// A simple index of Python packages, as PEP 503 has it, with links that are relative and metadata beside the files.

import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { file, html, serve, text } from '../support/http.mjs';
import { python } from '../support/packages.mjs';
import { run } from '../support/program.mjs';

// Two packages, the second in two versions; a wheel is a zip file with files of known names.
const WHEELS = `
import pathlib, sys, zipfile

def wheel(name, version, code, requires=''):
    metadata = f'Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n{requires}'
    info = f'{name}-{version}.dist-info'
    path = pathlib.Path(sys.argv[1], f'{name}-{version}-py3-none-any.whl')
    with zipfile.ZipFile(path, 'w') as file:
        file.writestr(f'{name}.py', code)
        file.writestr(f'{info}/METADATA', metadata)
        file.writestr(f'{info}/WHEEL', 'Wheel-Version: 1.0\\nGenerator: tests\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
        file.writestr(f'{info}/RECORD', '')
    path.with_name(path.name + '.metadata').write_text(metadata)

wheel('greeter', '1.0', 'from words import HELLO\\nprint(HELLO)\\n', 'Requires-Dist: words>=2\\n')
wheel('words', '1.0', 'HELLO = "old words"\\n')
wheel('words', '2.0', 'HELLO = "hello from the index"\\nBALLAST = "' + 'x' * 3_000_000 + '"\\n')
`;

export async function start(scope) {
  const directory = await scope.directory();
  await run(python('python'), ['-c', WHEELS, directory]);
  const files = new Map();
  for (const name of await readdir(directory)) files.set(name, await readFile(join(directory, name)));
  const sum = (name) => `sha256=${createHash('sha256').update(files.get(name)).digest('hex')}`;
  const link = (name) =>
    `<a href="../../files/${name}#${sum(name)}" data-core-metadata="${sum(`${name}.metadata`)}">${name}</a><br>`;
  return serve(scope, {
    '*': (request, response, url) => {
      const [, project] = /^\/simple\/([^/]+)\/$/.exec(url.pathname) ?? [];
      const found = [...files.keys()].filter((name) => name.endsWith('.whl') && name.startsWith(`${project}-`));
      if (found.length > 0) return html(response, `<title>Links</title>${found.map(link).join('\n')}`);
      const data = files.get(basename(url.pathname));
      if (data) return file(request, response, data, 'application/octet-stream', '"one"');
      text(response, 'nothing here\n', 404);
    },
  });
}
