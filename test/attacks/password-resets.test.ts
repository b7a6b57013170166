import { and, eq } from 'drizzle-orm';
import { decodeJwt } from 'jose';
import t, { type Test } from 'tap';
import { mails, resetRequests } from '../../src/db/schema.ts';
import { eventually } from '../support/eventually.ts';
import { holdClock, leap, outboxEmpty } from '../support/held-clock.ts';
import { listening } from '../support/listening.ts';
import { linksOf } from '../support/mail-server.ts';
import {
  confirmationPath,
  confirmationToken,
  confirmedPerson,
  emailChangeToken,
  logIn,
  openSession,
  register,
  resetToken,
} from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

const newPassword = 'the other password';

async function start(t: Test, overrides: Readonly<Record<string, string>> = {}) {
  const service = await listening(await startService(t, overrides));
  const reset = (token: unknown, password = newPassword) => service.post('/auth/password/reset', { token, newPassword: password });
  const mailsTo = (email: string) => service.mailServer.received.filter(({ recipients }) => recipients.includes(email));
  return { service, tables: openTables(t, service), reset, mailsTo };
}

t.test('resets of passwords', async (t) => {
  const { service, tables, reset, mailsTo } = await start(t, { RATE_LIMIT: 'off', ACCESS_TOKEN_TTL_SECONDS: '86400' });

  await t.test('P09 a link works once, and neither after another change nor after its hour', async (t) => {
    const person = await confirmedPerson(service);
    const [used, sibling] = [await resetToken(service, person), await resetToken(service, person)];
    t.equal((await service.get(`/auth/password/reset/${used}`)).body.email, person.email);
    t.equal((await reset(used)).status, 204);
    for (const token of [used, sibling]) {
      refused(t, await reset(token), 410, 'used_token', 'with the same password');
      refused(t, await reset(token, 'a third password'), 410, 'used_token', 'with another');
      refused(t, await service.get(`/auth/password/reset/${token}`), 410, 'used_token', 'looked at');
      t.match(await service.get(`/auth/password/reset/${token}`, { headers: { accept: 'text/html' } }), {
        status: 410,
        headers: { 'content-type': /^text\/html/ },
      });
    }
    t.ok(await logIn(service, { ...person, password: newPassword }));

    const changes = {
      'the password was changed': async (token: string, password: string) =>
        service.request('PUT', '/auth/password', { token, body: { currentPassword: password, newPassword } }),
      'the password was changed, and back again': async (token: string, password: string) => {
        await service.request('PUT', '/auth/password', { token, body: { currentPassword: password, newPassword } });
        return service.request('PUT', '/auth/password', { token, body: { currentPassword: newPassword, newPassword: password } });
      },
    };
    for (const [what, act] of Object.entries(changes)) {
      const owner = await confirmedPerson(service);
      const token = await resetToken(service, owner);
      t.equal((await act(owner.token, owner.password)).status, 204);
      refused(t, await reset(token, 'a third password'), 410, 'used_token', what);
    }
    const mover = await confirmedPerson(service);
    const token = await resetToken(service, mover);
    for (const address of [`moved.${mover.email}`, mover.email]) {
      const move = await emailChangeToken(service, mover, address);
      t.equal((await service.get(`/auth/email/confirm/${move}`, { token: mover.token })).status, 200);
      refused(t, await reset(token), 410, 'used_token', `the address became ${address}`);
    }
  });

  await t.test('P10 a reset opens no session, ends all, voids a pending change of address, and is told by mail', async (t) => {
    const person = await confirmedPerson(service);
    const thief = await openSession(service, person);
    const cookieLogin = { email: person.email, password: person.password, transport: 'cookie' };
    t.equal((await service.post('/auth/login', cookieLogin, { headers: { 'sec-fetch-site': 'none' } })).status, 200);
    // Whoever holds a session and the password has prepared for being thrown out.
    const move = await emailChangeToken(service, { ...person, token: thief.accessToken }, `thief.${person.email}`);
    const token = await resetToken(service, person);
    await outboxEmpty(tables);
    const before = mailsTo(person.email).length;
    const answer = await service.post('/auth/password/reset', { token, newPassword }, { token: thief.accessToken });
    t.equal(answer.status, 204);
    t.equal(answer.text, '');
    t.notOk(answer.headers['set-cookie'] ?? answer.headers['authorization'] ?? answer.headers['location']);
    for (const url of ['/secret', '/auth/me', '/auth/verify', '/auth/sessions']) {
      for (const session of [person.token, thief.accessToken, token])
        refused(t, await service.get(url, { token: session }), 401, 'unauthenticated', url);
    }
    refused(t, await service.post('/auth/refresh', { refreshToken: thief.refreshToken }), 401, 'invalid_refresh_token');
    refused(t, await service.post('/auth/login', { email: person.email, password: person.password }), 401, 'invalid_credentials');
    for (const password of [person.password, newPassword]) {
      refused(t, await service.post('/auth/email/confirm', { token: move, password }), 410, 'used_token', 'the change of the address');
    }
    const own = await logIn(service, { ...person, password: newPassword });
    refused(t, await service.get(`/auth/email/confirm/${move}`, { token: own }), 410, 'used_token');
    t.equal((await service.get('/auth/sessions', { token: own })).body.sessions.length, 1);
    t.equal((await service.get('/auth/me', { token: own })).body.user.email, person.email);
    await outboxEmpty(tables);
    const [notice, ...others] = mailsTo(person.email).slice(before);
    t.strictSame(others, []);
    t.strictSame(notice?.recipients, [person.email]);
    t.notOk(`${notice?.text}${notice?.html}`.includes(newPassword));
    t.equal(mailsTo(`thief.${person.email}`).length, 1, 'the other address is not told');
  });

  await t.test('P11 a reset of an account that was not confirmed takes it back from whoever registered it', async (t) => {
    const squatter = await register(service);
    const held = await openSession(service, squatter);
    refused(t, await service.get('/secret', { token: held.accessToken }), 403, 'unconfirmed');
    const [path, confirmation] = [await confirmationPath(service, squatter), await confirmationToken(service, squatter)];
    const move = await emailChangeToken(service, { ...squatter, token: held.accessToken }, `squatter.${squatter.email}`);
    t.equal((await reset(await resetToken(service, squatter))).status, 204);
    for (const url of ['/secret', '/auth/me']) refused(t, await service.get(url, { token: held.accessToken }), 401, 'unauthenticated', url);
    refused(t, await service.post('/auth/refresh', { refreshToken: held.refreshToken }), 401, 'invalid_refresh_token');
    for (const name of [{ email: squatter.email }, { username: squatter.username }]) {
      refused(
        t,
        await service.post('/auth/login', { ...name, password: squatter.password }),
        401,
        'invalid_credentials',
        'the first password',
      );
    }
    refused(t, await service.post('/auth/confirm', { token: confirmation, password: squatter.password }), 401, 'invalid_credentials');
    refused(t, await service.post('/auth/email/confirm', { token: move, password: squatter.password }), 410, 'used_token');
    const { accessToken } = await openSession(service, { ...squatter, password: newPassword });
    t.match(decodeJwt(accessToken), { email: squatter.email, confirmed: true });
    t.equal((await service.get('/secret', { token: accessToken })).status, 200, 'the address counts as confirmed');
    t.equal((await service.get(path, { token: accessToken })).body.status, 'already_confirmed');
    refused(t, await service.post('/auth/confirm/resend', undefined, { token: accessToken }), 409, 'already_confirmed');
  });

  await t.test('P13 a step that was not preceded by its mail is refused', async (t) => {
    const person = await confirmedPerson(service);
    const { accessToken, refreshToken } = await openSession(service, person);
    const [attacker, confirmation] = [await confirmedPerson(service), await confirmationToken(service, person)];
    const [own, move] = [await resetToken(service, attacker), await emailChangeToken(service, person, `next.${person.email}`)];
    const [header = '', payload = '', signature = ''] = own.split('.');
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const bent = [
      [header, part({ ...decodeJwt(own), sub: person.id }), signature],
      [part({ alg: 'none', typ: 'password-reset+jwt' }), part({ ...decodeJwt(own), sub: person.id }), ''],
      [header, payload, ''],
      [header, payload],
      [header, payload, `${signature.slice(0, -1)}${signature.endsWith('A') ? 'B' : 'A'}`],
    ].map((parts) => parts.join('.'));
    const wrong = [
      accessToken,
      refreshToken,
      confirmation,
      move,
      'x',
      'a.b.c',
      '...',
      person.id,
      person.email,
      `${own}x`,
      ` ${own}`,
      ...bent,
    ];
    for (const token of wrong) {
      refused(t, await reset(token), 400, 'invalid_token', `a reset with ${token.slice(0, 30)}`);
      refused(t, await service.get(`/auth/password/reset/${encodeURIComponent(token)}`), 400, 'invalid_token');
    }
    for (const token of ['', null, undefined, 0, true, [own], { token: own }, 'a'.repeat(3000)])
      refused(t, await reset(token), 400, 'validation_failed');
    for (const more of [
      { email: person.email },
      { userId: person.id },
      { password: person.password },
      { currentPassword: person.password },
    ]) {
      refused(
        t,
        await service.post('/auth/password/reset', { token: own, newPassword, ...more }),
        400,
        'validation_failed',
        Object.keys(more)[0],
      );
      refused(t, await service.post('/auth/password/reset', { newPassword, ...more }, { token: accessToken }), 400, 'validation_failed');
    }
    for (const token of [accessToken, refreshToken, confirmation, own, 'x', 'a.b.c', person.id]) {
      for (const who of [{ token: accessToken }, {}]) {
        refused(
          t,
          await service.post('/auth/email/confirm', { token }, who),
          400,
          'invalid_token',
          `a change of address with ${token.slice(0, 30)}`,
        );
        refused(t, await service.get(`/auth/email/confirm/${token}`, who), 400, 'invalid_token');
      }
      refused(t, await service.post('/auth/email/confirm', { token, password: person.password }), 400, 'invalid_token');
    }
    for (const body of [{}, { newEmail: `next.${person.email}` }, { token: move, newEmail: 'else@example.com' }]) {
      refused(
        t,
        await service.post('/auth/email/confirm', body, { token: accessToken }),
        400,
        'validation_failed',
        Object.keys(body).join(),
      );
    }
    t.ok(await logIn(service, person), 'nothing has changed');
    t.equal((await service.get('/auth/me', { token: accessToken })).body.user.email, person.email);
    t.equal((await reset(own)).status, 204, "the attacker's own works for the attacker");
    t.equal((await service.get(`/auth/email/confirm/${move}`, { token: accessToken })).status, 200);
  });

  await t.test('P09 nor does a link whose hour is over, to the millisecond', async (t) => {
    const [early, late] = [await register(service), await register(service)];
    const tokens = [await resetToken(service, early), await resetToken(service, late)];
    const end = (token = '') => Number(decodeJwt(token).exp) * 1000;
    await outboxEmpty(tables);
    holdClock(service.clock, new Date(end(tokens[0]) - 1));
    t.equal((await reset(tokens[0])).status, 204);
    await outboxEmpty(tables);
    for (const late of [0, 1000, 86_400_000]) {
      holdClock(service.clock, new Date(end(tokens[1]) + late));
      refused(t, await reset(tokens[1]), 410, 'expired_token', `${late} ms after its end`);
      refused(t, await service.get(`/auth/password/reset/${tokens[1]}`), 410, 'expired_token');
    }
    t.ok(await logIn(service, late));
    t.equal((await reset(await resetToken(service, late))).status, 204, 'another mail helps');
  });
});

t.test('P14 a hundred requests for one account bring it three mails an hour, and lock nobody out', async (t) => {
  const { service, tables } = await start(t, { ACCESS_TOKEN_TTL_SECONDS: '86400' });
  const victim = await confirmedPerson(service);
  const spellings = [
    victim.email,
    victim.email.toUpperCase(),
    victim.email.replace('@example', '@EXAMPLE'),
    victim.email.replace('person', 'Person'),
  ];
  const answered = () => eventually('every request has been looked at', async () => (await tables.$count(resetRequests)) === 0, 20_000);
  const resetMails = () => tables.$count(mails, and(eq(mails.userId, victim.id), eq(mails.kind, 'password_reset')));
  await leap(service.clock, tables, 0);
  for (const [hours, total] of [
    [0, 3],
    [1, 6],
  ] as const) {
    await leap(service.clock, tables, hours * 3600);
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, index) => service.post('/auth/password/forgot', { email: spellings[index % spellings.length] })),
    );
    t.equal(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size, 1, 'all are answered alike');
    t.equal(answers[0]?.status, 202);
    await answered();
    t.equal(await resetMails(), total);
    await outboxEmpty(tables);
    t.equal(service.mailServer.received.filter(({ recipients }) => recipients.includes(victim.email)).length, 1 + total);
    t.ok(await logIn(service, victim), 'the owner logs in as before');
    t.equal((await service.get('/secret', { token: victim.token })).status, 200, 'and the session goes on');
  }
  const last = linksOf(await service.mailServer.mailTo(victim.email, 7))[0]
    ?.split('/')
    .at(-1);
  t.equal((await service.post('/auth/password/reset', { token: last, newPassword })).status, 204, 'the mails are of use');
});
