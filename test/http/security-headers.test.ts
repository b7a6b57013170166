import t from 'tap';
import { createClientErrorHandler } from '../../src/http/client-error.ts';
import { countHeader } from '../../src/http/count-header.ts';
import { securityHeaders } from '../../src/http/security-headers.ts';
import { startService } from '../support/service.ts';
import { assertProblem, exchangeOne } from '../support/wire.ts';

t.test('on https every answer, a refused connection included, tells browsers to stay there', async (t) => {
  const service = await startService(t, { PUBLIC_URL: 'https://accounts.example.com' });
  const base = await service.listen();
  const requests = {
    200: 'GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    400: 'garbage\r\n\r\n',
    401: 'GET /secret HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    404: 'GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    414: `GET /auth/confirm/${'a'.repeat(5000)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
    431: `GET / HTTP/1.1\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`,
  };
  for (const [status, bytes] of Object.entries(requests)) {
    const answer = await exchangeOne(base, bytes);
    t.equal(answer.status, Number(status));
    const [, maxAge] = /^max-age=(\d+); includeSubDomains$/.exec(answer.headers['strict-transport-security'] ?? '') ?? [];
    t.ok(Number(maxAge) >= 365 * 24 * 3600);
    if (status === '404') assertProblem(t, answer, { status: 404, code: 'not_found' });
  }
});

t.test('on http nothing is said about https', async (t) => {
  t.notOk('strict-transport-security' in securityHeaders('http://localhost:3000'));
  t.ok('strict-transport-security' in securityHeaders('https://localhost:3000'));
});

t.test('header fields are counted without regard to case, and values are not taken for names', async (t) => {
  t.equal(countHeader(['Host', 'a', 'hOST', 'b', 'X', 'host'], 'host'), 2);
  t.equal(countHeader([], 'host'), 0);
});

t.test('a connection that is gone, or that only ran out of time, is closed without a word', async (t) => {
  const handle = createClientErrorHandler({});
  const calls: string[] = [];
  const socket = (writable: boolean) =>
    ({ writable, destroy: () => calls.push('destroyed'), end: (text: string) => calls.push(text.slice(0, 12)) }) as never;
  const error = (code: string) => Object.assign(new Error(code), { code }) as never;
  handle(error('ECONNRESET'), socket(true));
  handle(error('ERR_HTTP_REQUEST_TIMEOUT'), socket(true));
  handle(error('HPE_INVALID_METHOD'), socket(false));
  t.same(calls, ['destroyed', 'destroyed', 'destroyed']);
  handle(error('HPE_INVALID_METHOD'), socket(true));
  t.same(calls.at(-1), 'HTTP/1.1 400');
});
