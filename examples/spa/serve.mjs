// Serves the application, and passes on to Latchkey what is Latchkey's, so that both share an origin, as a web server does
// in production.
//
//   LATCHKEY=http://localhost:3000 PORT=4000 node serve.mjs
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, request as forward } from 'node:http';
import { extname } from 'node:path';
import { pipeline } from 'node:stream';

const latchkey = new URL(process.env.LATCHKEY ?? 'http://localhost:3000');
const port = Number(process.env.PORT ?? 4000);

const types = { '.html': 'text/html; charset=utf-8', '.css': 'text/css', '.js': 'text/javascript', '.mjs': 'text/javascript' };
const here = (path) => new URL(path, import.meta.url);
const compiled = readdirSync(here('dist'), { recursive: true }).filter((path) => path.endsWith('.js'));

/** All that there is to see, by path: nothing else of the disk is served. */
const files = new Map([
  ['/', here('index.html')],
  ['/style.css', here('style.css')],
  ['/openapi-fetch.mjs', new URL(import.meta.resolve('openapi-fetch'))],
  ...compiled.map((path) => [`/${path}`, here(`dist/${path}`)]),
]);

// Of scripts in the page itself, only the import map is let in.
const [, importMap] = /<script type="importmap">(.*?)<\/script>/s.exec(readFileSync(here('index.html'), 'utf8'));
const hash = createHash('sha256').update(importMap).digest('base64');
const policy = `default-src 'self'; script-src 'self' 'sha256-${hash}'; img-src data:; frame-ancestors 'none'`;

function passOn(request, response) {
  const { method, headers, url } = request;
  const passed = forward(new URL(latchkey.origin + url), { method, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    pipeline(answer, response, () => {});
  });
  passed.on('error', () => (response.headersSent ? response.destroy() : response.writeHead(502).end()));
  response.on('close', () => passed.destroy());
  request.pipe(passed);
}

const server = createServer((request, response) => {
  const [path] = request.url.split('?');
  if (path.startsWith('/auth/') || path === '/secret') return passOn(request, response);
  const file = files.get(path);
  if (file === undefined) return response.writeHead(404).end();
  response.writeHead(200, {
    'Content-Type': types[extname(file.pathname)],
    'Content-Security-Policy': policy,
    'Cache-Control': 'no-cache',
  });
  response.end(readFileSync(file));
});
server.listen(port, 'localhost', () => console.log(`open http://localhost:${server.address().port}`));
