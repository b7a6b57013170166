import { createHmac } from 'node:crypto';
import t, { type Test } from 'tap';
import { confirmationPath, confirmationToken, logIn, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';

t.test('what does not confirm an address', async (t) => {
  const service = await startService(t);
  const person = await register(service);
  const { password } = person;
  const token = await logIn(service, person);
  const path = await confirmationPath(service, person);
  const mailed = await confirmationToken(service, person);

  /** Ends every test: whatever was tried has changed nothing. */
  async function stillUnconfirmed(t: Test): Promise<void> {
    t.equal((await service.get('/auth/me', { token })).body.user.confirmed, false, 'nothing has changed');
    refused(t, await service.get('/secret', { token }), 403, 'unconfirmed');
  }

  t.test('the link without a session', async (t) => {
    const answer = await service.get(path);
    refused(t, answer, 401, 'unauthenticated');
    t.equal(answer.headers['www-authenticate'], 'Bearer');
    refused(t, await service.post('/auth/confirm', { token: mailed }), 401, 'unauthenticated', 'posted');
    await stillUnconfirmed(t);
  });

  t.test('the link with a session that is over, or that never was', async (t) => {
    const ended = await logIn(service, person);
    await service.post('/auth/logout', undefined, { token: ended });
    for (const bad of [ended, 'x', mailed, `${token}x`]) {
      const answer = await service.get(path, { token: bad });
      refused(t, answer, 401, 'unauthenticated');
      t.equal(answer.headers['www-authenticate'], 'Bearer error="invalid_token"');
    }
    refused(t, await service.get(`${path}?access_token=${token}`), 401, 'unauthenticated', 'in the query');
    await stillUnconfirmed(t);
  });

  t.test('a wrong password, even within the session', async (t) => {
    refused(t, await service.post('/auth/confirm', { token: mailed, password: `${password}x` }), 401, 'invalid_credentials');
    refused(t, await service.post('/auth/confirm', { token: mailed, password: `${password}x` }, { token }), 401, 'invalid_credentials');
    const other = await register(service);
    refused(t, await service.post('/auth/confirm', { token: mailed, password: other.password }), 401, 'invalid_credentials', "another's");
    await stillUnconfirmed(t);
  });

  t.test('C04: HEAD, OPTIONS, prefetches and scanners, which carry neither session nor password', async (t) => {
    for (const method of ['HEAD', 'OPTIONS'] as const) {
      const answer = await service.request(method, path);
      t.equal(answer.status, 405, method);
      t.match(answer.headers, { allow: 'GET, POST', 'set-cookie': undefined });
    }
    const visits: Record<string, string>[] = [
      { purpose: 'prefetch' },
      { 'sec-purpose': 'prefetch;prerender' },
      { 'x-moz': 'prefetch', accept: 'text/html' },
      { 'user-agent': 'Mozilla/5.0 (compatible; SafeLinks)', accept: 'text/html,*/*' },
      {},
    ];
    for (const headers of visits) {
      const answer = await service.get(path, { headers });
      // The page that a browser looks at ahead is shown only once somebody has clicked, and asks for another click.
      t.equal(answer.status, 'x-moz' in headers ? 200 : 401, JSON.stringify(headers));
      t.notOk(answer.headers['set-cookie']);
    }
    await stillUnconfirmed(t);
  });

  t.test('C04: a HEAD, an OPTIONS or another method even within the session', async (t) => {
    for (const method of ['HEAD', 'OPTIONS', 'PUT', 'PATCH', 'DELETE'] as const) {
      t.equal((await service.request(method, path, { token })).status, 405, method);
    }
    refused(t, await service.post(path, {}, { token }), 415, 'unsupported_media_type', 'which takes the form of the page only');
    await stillUnconfirmed(t);
  });

  t.test('a token that was tampered with', async (t) => {
    const [header = '', payload = '', signature = ''] = mailed.split('.');
    const change = (part: string, members: object) =>
      Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(part, 'base64url').toString()), ...members })).toString('base64url');
    const flipped = Buffer.from(signature, 'base64url');
    flipped.writeUInt8(flipped.readUInt8(3) ^ 1, 3);
    const resigned = `${header}.${payload}`;
    const forged = {
      'another end': [header, change(payload, { exp: 4_000_000_000 }), signature],
      'another account': [header, change(payload, { sub: '01890000-0000-7000-8000-000000000000' }), signature],
      'another signature': [header, payload, flipped.toString('base64url')],
      'no signature': [header, payload, ''],
      'no third part': [header, payload],
      'no algorithm': [change(header, { alg: 'none' }), payload, ''],
      'a key of the forger': [resigned, createHmac('sha256', 'secret').update(resigned).digest('base64url')],
      'an empty key': [resigned, createHmac('sha256', '').update(resigned).digest('base64url')],
    };
    for (const [what, parts] of Object.entries(forged)) {
      const text = parts.join('.');
      refused(t, await service.get(`/auth/confirm/${text}`, { token }), 400, 'invalid_token', what);
      refused(t, await service.post('/auth/confirm', { token: text, password }), 400, 'invalid_token', `${what}, posted`);
    }
    await stillUnconfirmed(t);
  });

  t.test('a token of another purpose', async (t) => {
    const login = (await service.post('/auth/login', { email: person.email, password })).body;
    for (const other of [login.accessToken, login.refreshToken]) {
      refused(t, await service.get(`/auth/confirm/${other}`, { token }), 400, 'invalid_token');
      refused(t, await service.post('/auth/confirm', { token: other, password }), 400, 'invalid_token', 'posted');
    }
    await stillUnconfirmed(t);
  });

  t.test('what is no token at all', async (t) => {
    for (const text of ['x', 'a..b', 'undefined', '%2e%2e%2f', 'a'.repeat(3000), "'--"]) {
      refused(t, await service.get(`/auth/confirm/${text}`, { token }), 400, 'invalid_token', text.slice(0, 20));
    }
    refused(t, await service.get(`/auth/confirm/${'a'.repeat(5000)}`, { token }), 414, 'uri_too_long');
    refused(t, await service.get('/auth/confirm/a%00b', { token }), 400, 'malformed_request', 'a NUL');
    for (const body of [
      {},
      { token: '' },
      { token: [mailed] },
      { token: 'a'.repeat(3000) },
      { token: mailed, password: '' },
      { token: mailed, id: 'x' },
    ]) {
      refused(t, await service.post('/auth/confirm', body, { token }), 400, 'validation_failed', JSON.stringify(body).slice(0, 20));
    }
    await stillUnconfirmed(t);
  });

  t.test('none of which spoils the link', async (t) => {
    t.match(await service.get(path, { token }), { status: 200, body: { status: 'confirmed' } });
    t.equal((await service.get('/secret', { token })).status, 200);
  });

  t.test('and none of which logs the token', async (t) => {
    t.ok(service.log.some((line) => line.includes('/auth/confirm/:token')));
    t.notOk(service.log.some((line) => line.includes(mailed)));
  });
});
