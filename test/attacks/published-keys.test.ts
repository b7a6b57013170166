import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import t from 'tap';
import { leap } from '../support/held-clock.ts';
import { listening } from '../support/listening.ts';
import { confirmedPerson, logIn } from '../support/person.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

t.test('J17 the published keys are public, and stay published as long as their tokens live', async (t) => {
  const service = await listening(await startService(t, { SIGNING_KEY_ROTATION_DAYS: '30', SESSION_PROTECTION: 'none' }));
  const { clock } = service;
  const tables = openTables(t, service);
  const person = await confirmedPerson(service);
  const members = ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'];
  type Key = Record<string, string> & { kid: string };
  const published = async (): Promise<Key[]> => {
    const { status, headers, body } = await service.get('/.well-known/jwks.json');
    t.equal(status, 200);
    const [, seconds] = /^public, max-age=(\d+)$/.exec(headers['cache-control'] ?? '') ?? [];
    t.ok(Number(seconds) > 0 && Number(seconds) <= 900, 'it may be cached for at most 15 minutes');
    t.notOk(headers['set-cookie']);
    t.strictSame(Object.keys(body), ['keys']);
    for (const key of body.keys) {
      t.strictSame(Object.keys(key).sort(), members);
      t.match(key, { kty: 'EC', crv: 'P-256', use: 'sig', alg: 'ES256', x: /^[\w-]{43}$/, y: /^[\w-]{43}$/, kid: /^[\w-]+$/ });
    }
    return body.keys;
  };
  const kids = async () => (await published()).map(({ kid }) => kid);
  const refresh = () => service.app.services.keyRing.refresh();

  const before = await published();
  const old = await logIn(service, person);
  const { payload } = await jwtVerify(old, createLocalJWKSet({ keys: before }), { typ: 'at+jwt', algorithms: ['ES256'] });
  t.equal(payload.sub, person.id, 'any library verifies with them');
  for (const path of [
    '/.well-known/jwks',
    '/.well-known/jwks.json/',
    '/.well-known/',
    '/.well-known/jwks.json.bak',
    '/.well-known/keys.json',
  ]) {
    t.equal((await service.get(path)).status, 404, path);
  }
  for (const query of ['?private=true', '?d=1', '?kid=', '?format=pem']) {
    t.notMatch((await service.get(`/.well-known/jwks.json${query}`)).text, /"[dpqk]":|PRIVATE/, query);
  }

  await leap(clock, tables, 30 * 86_400 + 1);
  await refresh();
  const [first, next, ...others] = await kids();
  t.equal(first, before[0]?.kid);
  t.ok(next, 'the next key is published');
  t.strictSame(others, []);
  const lastOfOld = await logIn(service, person);
  t.equal(decodeProtectedHeader(lastOfOld).kid, first, 'before it signs');
  await leap(clock, tables, 600);
  const firstOfNext = await logIn(service, person);
  t.equal(decodeProtectedHeader(firstOfNext).kid, next);
  await refresh();
  const late = await logIn(service, person);
  await leap(clock, tables, 299);
  await refresh();
  t.strictSame(await kids(), [first, next], 'the old one stays as long as a token of it may live');
  t.equal((await service.get('/secret', { token: late })).status, 200);
  await leap(clock, tables, 62);
  await refresh();
  t.strictSame(await kids(), [next], 'and then goes');
  for (const token of [old, lastOfOld, firstOfNext]) t.equal((await service.get('/secret', { token })).status, 401);
  t.equal((await service.get('/secret', { token: await logIn(service, person) })).status, 200);
});
