// A large file on a server that breaks down in the middle of it.

import { randomBytes } from 'node:crypto';

import { file, serve } from '../support/http.mjs';

const SIZE = 24_000_000;

export async function start(scope) {
  const data = randomBytes(SIZE);
  const ranges = [];
  let cutAt = null;
  const served = await serve(scope, {
    'GET /file.bin': (request, response) => {
      ranges.push(request.headers.range);
      if (cutAt !== null) {
        const piece = data.subarray(0, cutAt);
        cutAt = null;
        response.writeHead(200, { 'Content-Length': SIZE, 'Accept-Ranges': 'bytes', ETag: '"one"' });
        return response.write(piece, () => response.destroy());
      }
      file(request, response, data, 'application/octet-stream', '"one"');
    },
  });
  return {
    ...served,
    data,
    ranges,
    // Has the next response end after so many bytes.
    cut: (bytes) => (cutAt = bytes),
  };
}
