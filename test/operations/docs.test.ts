import t from 'tap';
import { startService } from '../support/service.ts';

t.test('the documentation page loads, with all that it refers to, under a policy that lets in nothing else', async (t) => {
  const service = await startService(t);
  const page = await service.get('/docs');
  t.equal(page.status, 200);
  t.match(page.headers['content-type'], /^text\/html/);
  const policy = page.headers['content-security-policy'] ?? '';
  t.match(policy, /script-src 'self';/);
  t.match(policy, /frame-ancestors 'none'/);
  t.notMatch(policy, /script-src[^;]*unsafe/);
  t.match(page.headers, { 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' });

  const references = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(
    ([, reference = '']) => new URL(reference, 'http://localhost/docs').pathname,
  );
  t.ok(references.length >= 5, 'it refers to its scripts and styles');
  for (const path of references) t.equal((await service.get(path)).status, 200, path);
  t.ok(
    references.every((path) => path.startsWith('/docs/')),
    'all of them its own',
  );
  t.notMatch(page.text, /<script>|https?:\/\//, 'it has no inline script, and nothing from elsewhere');

  const document = await service.get('/docs/json');
  t.match(document, { status: 200, body: { openapi: /^3\.1/ } });
  const { servers, ...rest } = document.body;
  t.match(servers, [{ url: '/' }], 'requests go to where the page came from');
  const { servers: published, ...others } = (await service.get('/openapi.json')).body;
  t.strictSame(published, [{ url: 'http://localhost:3000', 'x-internal': false }]);
  t.strictSame(rest, others);
  const missing = await service.get('/docs/static/nothing.js');
  t.match(missing, { status: 404, body: { code: 'not_found' } });
});
