import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { confirmedPerson, newDetails, register, resetToken } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';

const leaked = 'this sentence was in a leak';
const padded = 'this sentence was in no leak at all';
const digestOf = (password: string) => createHash('sha1').update(password).digest('hex').toUpperCase();

/** Stands in for a range service: it knows one password, and says what it was asked. */
async function startRanges(t: Test) {
  const asked: { path: string; padding: unknown }[] = [];
  let behave: (request: IncomingMessage, response: ServerResponse) => void = (request, response) => {
    const prefix = (request.url ?? '').split('/').at(-1) ?? '';
    const entries = [
      [leaked, 42],
      [padded, 0],
      ['something else', 7],
    ] as const;
    const lines = entries.map(([password, count]) => `${digestOf(password).slice(5)}:${digestOf(password).startsWith(prefix) ? count : 1}`);
    response.writeHead(200, { 'content-type': 'text/plain' }).end(lines.join('\r\n'));
  };
  const server = createServer((request, response) => {
    asked.push({ path: request.url ?? '', padding: request.headers['add-padding'] });
    behave(request, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/range`,
    asked,
    behaveAs(how: typeof behave) {
      behave = how;
    },
  };
}

t.test('a password that was found in a leak is weak, wherever it is set', async (t) => {
  const ranges = await startRanges(t);
  const service = await startService(t, { PASSWORD_RANGE_URL: ranges.url });
  refused(t, await service.post('/auth/register', { ...newDetails(), password: leaked }), 400, 'weak_password');
  t.same(ranges.asked, [{ path: `/range/${digestOf(leaked).slice(0, 5)}`, padding: 'true' }], 'five of forty digits are told');
  const person = await confirmedPerson(service);
  const body = { currentPassword: person.password, newPassword: leaked };
  refused(t, await service.request('PUT', '/auth/password', { token: person.token, body }), 400, 'weak_password');
  const token = await resetToken(service, person);
  refused(t, await service.post('/auth/password/reset', { token, newPassword: leaked }), 400, 'weak_password');
  t.equal((await service.post('/auth/password/reset', { token, newPassword: padded })).status, 204, 'an entry of padding is none');
});

t.test('when nobody can be asked, passwords are accepted, and the log says so', async (t) => {
  const ranges = await startRanges(t);
  const service = await startService(t, { PASSWORD_RANGE_URL: ranges.url });
  for (const [how, behave] of Object.entries<Parameters<typeof ranges.behaveAs>[0]>({
    'an error': (_request, response) => response.writeHead(500).end(),
    'a redirect elsewhere': (_request, response) => response.writeHead(302, { location: `${ranges.url}/elsewhere` }).end(),
    silence: () => {},
    'half an answer': (_request, response) => response.writeHead(200, { 'content-length': '100' }).write(digestOf(leaked).slice(5)),
    'more than there can be': (_request, response) => response.writeHead(200).end('A'.repeat(2_000_000)),
    'a connection that breaks': (request) => request.socket.destroy(),
  })) {
    ranges.behaveAs(behave);
    const before = service.log.length;
    await register(service, { ...newDetails(), password: leaked });
    const lines = service.log.slice(before).filter((line) => line.includes('could not be looked up'));
    t.equal(lines.length, 1, how);
    t.notMatch(lines[0], new RegExp(`${leaked}|${digestOf(leaked).slice(5, 15)}`, 'i'), 'and nothing of the password');
  }
});

t.test('nobody is asked about a password that is weak as it is, nor by default', async (t) => {
  const ranges = await startRanges(t);
  const service = await startService(t, { PASSWORD_RANGE_URL: ranges.url });
  refused(t, await service.post('/auth/register', { ...newDetails(), password: 'password1' }), 400, 'weak_password');
  t.equal(ranges.asked.length, 0);
  const silent = await startService(t);
  await register(silent, { ...newDetails(), password: leaked });
});
