// An application that keeps what it can in the browser, and wants its cookie to be seen as widely as possible.

import { html, serve } from '../support/http.mjs';

export async function start(scope, name) {
  const cookies = [];
  const served = await serve(scope, {
    '*': (request, response) => {
      cookies.push(request.headers.cookie ?? '');
      response.setHeader('Set-Cookie', [
        `wide=${name}; Path=/; Domain=p2p.localhost`,
        `narrow=${name}; Path=/`,
        `hidden=${name}; Path=/; HttpOnly`,
      ]);
      html(response, `<title>${name}</title><script>localStorage.name ??= '${name}'; sessionStorage.name ??= '${name}'</script>`);
    },
  });
  return { ...served, cookies };
}
