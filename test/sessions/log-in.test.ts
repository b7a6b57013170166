import { eq } from 'drizzle-orm';
import t from 'tap';
import { sessions, users } from '../../src/db/schema.ts';
import { newDetails, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

t.test('login', async (t) => {
  const service = await startService(t);
  const tables = openTables(t, service);
  const person = await register(service, { ...newDetails(), email: 'Ada.L@example.com', username: 'Ada.L' });
  const { password } = person;

  t.test('a person logs in by either name in any case, before the address is confirmed', async (t) => {
    for (const name of [{ email: 'Ada.L@example.com' }, { email: 'ADA.L@EXAMPLE.COM' }, { username: 'Ada.L' }, { username: 'ada.l' }]) {
      const answer = await service.post('/auth/login', { ...name, password });
      t.equal(answer.status, 200, JSON.stringify(name));
      t.match(answer.headers, { 'content-type': /^application\/json/, 'cache-control': 'no-store', 'set-cookie': undefined });
      t.match(answer.body, {
        user: { id: person.id, email: 'Ada.L@example.com', username: 'Ada.L', role: 'user', confirmed: false },
        session: { id: /^[0-9a-f-]{36}$/, expiresAt: /Z$/ },
        tokenType: 'Bearer',
        expiresIn: 300,
        accessToken: /^[\w-]+\.[\w-]+\.[\w-]+$/,
        refreshToken: /^[\w-]{40,}$/,
      });
      t.strictSame(Object.keys(answer.body).sort(), ['accessToken', 'expiresIn', 'refreshToken', 'session', 'tokenType', 'user']);
      t.equal((await service.get('/auth/me', { token: answer.body.accessToken })).status, 200, 'the session lives');
    }
  });

  t.test('every login opens a session of its own, which ends after 30 days', async (t) => {
    const [first, second] = [
      await service.post('/auth/login', { email: person.email, password }),
      await service.post('/auth/login', { email: person.email, password }),
    ];
    t.not(first.body.session.id, second.body.session.id);
    t.not(first.body.refreshToken, second.body.refreshToken);
    const days = (Date.parse(second.body.session.expiresAt) - service.clock.now().getTime()) / 86_400_000;
    t.ok(days > 29.99 && days <= 30, `${days} days`);
  });

  t.test('L01: unknown accounts, wrong passwords and disabled accounts are answered alike, byte for byte', async (t) => {
    const disabled = await register(service);
    t.equal(
      (await service.post('/auth/login', { email: disabled.email, password: disabled.password })).status,
      200,
      'until it is disabled',
    );
    await tables.update(users).set({ disabledAt: service.clock.now() }).where(eq(users.id, disabled.id));
    const attempts = {
      'wrong password': { email: person.email, password: `${password}x` },
      'wrong password, by name': { username: person.username, password: password.toUpperCase() },
      'unknown address': { email: 'nobody@example.com', password },
      'unknown name': { username: 'nobody', password },
      'not an address': { email: 'x', password },
      'over-long name': { username: 'n'.repeat(5000), password },
      'over-long password': { email: person.email, password: password.repeat(200) },
      'disabled account': { email: disabled.email, password: disabled.password },
      'disabled account, by name': { username: disabled.username, password: disabled.password },
    };
    const answers = new Set<string>();
    for (const [what, body] of Object.entries(attempts)) {
      const answer = await service.post('/auth/login', body);
      refused(t, answer, 401, 'invalid_credentials', what);
      t.equal(answer.headers['www-authenticate'], 'Bearer');
      const { date: _, 'x-request-id': __, ...headers } = answer.headers;
      answers.add(JSON.stringify([answer.status, Object.keys(answer.headers), headers, answer.text]));
    }
    t.equal(answers.size, 1);
  });

  t.test('L03: what looks like a query is a wrong name at most', async (t) => {
    for (const name of ["' OR 1=1--", "x' AND pg_sleep(5)--", '%', '_', 'Ada_L', 'Ada.L%', '*', '\\']) {
      refused(t, await service.post('/auth/login', { username: name, password }), 401, 'invalid_credentials', `user name ${name}`);
      refused(t, await service.post('/auth/login', { email: name, password }), 401, 'invalid_credentials', `address ${name}`);
    }
    for (const name of [{ $gt: '' }, { $ne: 1 }, [], ['Ada.L@example.com'], 1, true, null]) {
      refused(t, await service.post('/auth/login', { email: name, password }), 400, 'validation_failed', JSON.stringify(name));
    }
    refused(t, await service.post('/auth/login', { email: person.email, password: { $ne: '' } }), 400, 'validation_failed', 'no password');
  });

  t.test('exactly one name is taken, and nothing that is not known', async (t) => {
    refused(t, await service.post('/auth/login', { password }), 400, 'validation_failed', 'no name');
    refused(
      t,
      await service.post('/auth/login', { email: person.email, username: person.username, password }),
      400,
      'validation_failed',
      'two names',
    );
    refused(t, await service.post('/auth/login', { email: person.email }), 400, 'validation_failed', 'no password');
    refused(t, await service.post('/auth/login', { email: person.email, password, role: 'admin' }), 400, 'validation_failed', 'a role');
    refused(
      t,
      await service.post('/auth/login', { email: person.email, password, rememberMe: 'true' }),
      400,
      'validation_failed',
      'a text for a truth value',
    );
    t.equal((await service.post('/auth/login', { email: person.email, password, rememberMe: true, transport: 'bearer' })).status, 200);
  });

  t.test('L09: a login is JSON, posted', async (t) => {
    const query = `email=${encodeURIComponent(person.email)}&password=${encodeURIComponent(password)}`;
    const byGet = await service.get(`/auth/login?${query}`);
    refused(t, byGet, 405, 'method_not_allowed');
    t.equal(byGet.headers['allow'], 'POST');
    refused(t, await service.post(`/auth/login?${query}`), 400, 'validation_failed', 'a query');
    const body = JSON.stringify({ email: person.email, password });
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/xml', 'multipart/form-data; boundary=x']) {
      const answer = await service.post('/auth/login', type.includes('form') ? query : body, { headers: { 'content-type': type } });
      refused(t, answer, 415, 'unsupported_media_type', type);
    }
    t.equal((await service.post('/auth/login', body, { headers: { 'content-type': 'application/json' } })).status, 200);
  });

  t.test('a session remembers where it was opened from, in at most 512 characters', async (t) => {
    const open = async (headers: Record<string, string>) => {
      const { body } = await service.post('/auth/login', { email: person.email, password }, { headers });
      const [row] = await tables.select().from(sessions).where(eq(sessions.id, body.session.id));
      return row;
    };
    t.match(await open({ 'user-agent': 'a browser' }), { ip: '127.0.0.1', userAgent: 'a browser' });
    t.equal((await open({ 'user-agent': 'b'.repeat(600) }))?.userAgent, 'b'.repeat(512));
    t.equal((await open({ 'user-agent': 'c', 'x-forwarded-for': '203.0.113.9' }))?.ip, '127.0.0.1', 'no proxy is trusted');
  });
});
