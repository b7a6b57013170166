import { randomUUID } from 'node:crypto';
import { decodeJwt } from 'jose';
import t from 'tap';
import { setCookies } from '../support/cookies.ts';
import { aliasesOf } from '../support/forger.ts';
import { holdClock } from '../support/held-clock.ts';
import { confirmationToken, confirmedPerson, emailChangeToken, openSession, register, resetToken } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { sameOrigin, startSessionService } from '../support/session-service.ts';

t.test('sessions that somebody has stolen a part of', async (t) => {
  const { service, refresh, byCookie, logInByCookie, eventTypes } = await startSessionService(t);
  const { clock } = service;
  const person = await confirmedPerson(service);

  await t.test('F01 a refresh token that comes again after the grace ends its session, for the thief and for the owner', async (t) => {
    const watching = await openSession(service, person);
    const first = await openSession(service, person);
    holdClock(clock, clock.now());
    const second = (await refresh(first.refreshToken)).body;
    t.equal((await refresh(first.refreshToken)).body.refreshToken, second.refreshToken, 'within the grace a twin gets the same');
    holdClock(clock, new Date(clock.now().getTime() + 30_000));
    t.equal((await service.get('/secret', { token: second.accessToken })).status, 200);
    refused(t, await refresh(first.refreshToken), 401, 'invalid_refresh_token', 'the spent one');
    for (const token of [first.accessToken, second.accessToken])
      refused(t, await service.get('/secret', { token }), 401, 'unauthenticated');
    for (const token of [second.refreshToken, first.refreshToken])
      refused(t, await refresh(token), 401, 'invalid_refresh_token', 'for good');
    const types = await eventTypes(watching.accessToken);
    t.equal(types.filter((type) => type === 'refresh_reused').length, 1, 'it is recorded once');
    t.equal((await refresh(watching.refreshToken)).status, 200, 'other sessions go on');
  });

  await t.test('F01 so does one that is older than its grandchild, by body or by cookie, whoever comes first', async (t) => {
    const first = await openSession(service, person);
    const second = (await refresh(first.refreshToken)).body;
    const third = (await refresh(second.refreshToken)).body;
    t.equal(third.user.id, person.id);
    refused(t, await refresh(first.refreshToken), 401, 'invalid_refresh_token', 'two rotations old, within the grace');
    refused(t, await refresh(third.refreshToken), 401, 'invalid_refresh_token', 'the newest');

    const [spent, other] = [await logInByCookie(person), await logInByCookie(person)];
    const renewed = setCookies(await service.post('/auth/refresh', undefined, { headers: byCookie(spent) }));
    holdClock(clock, new Date(clock.now().getTime() + 30_000));
    refused(t, await service.post('/auth/refresh', undefined, { headers: byCookie(spent) }), 401, 'invalid_refresh_token', 'by cookie');
    refused(t, await service.get('/secret', { headers: byCookie(renewed) }), 401, 'unauthenticated');
    refused(t, await service.post('/auth/refresh', undefined, { headers: byCookie(renewed) }), 401, 'invalid_refresh_token');
    t.equal((await service.post('/auth/refresh', undefined, { headers: byCookie(other) })).status, 200);
  });

  await t.test('F01 a refresh token that was guessed or bent is not taken for reuse', async (t) => {
    const { accessToken, refreshToken } = await openSession(service, person);
    const bytes = Buffer.from(refreshToken, 'base64url');
    const bent = [0, 5, 16, 19, 20, 40, 51].map((index) => {
      const copy = Buffer.from(bytes);
      copy.writeUInt8(copy.readUInt8(index) ^ 0x80, index);
      return copy.toString('base64url');
    });
    const aliases = aliasesOf(refreshToken);
    t.equal(aliases.length, 15);
    const id = Buffer.from(decodeJwt(accessToken)['sid'] as string);
    const others = [
      'x',
      'null',
      `${refreshToken}=`,
      `${refreshToken}==`,
      ` ${refreshToken}`,
      `${refreshToken}\n`,
      refreshToken.toUpperCase(),
      id.toString('base64url'),
    ];
    for (const token of [...bent, ...aliases, ...others, Buffer.alloc(52).toString('base64url'), 'A'.repeat(10_000)]) {
      refused(t, await refresh(token), 401, 'invalid_refresh_token', token.slice(-20));
    }
    for (const token of ['', null, 7, true, [refreshToken], { $ne: '' }]) refused(t, await refresh(token), 400, 'validation_failed');
    t.equal((await service.get('/secret', { token: accessToken })).status, 200);
    t.equal((await refresh(refreshToken)).status, 200, 'the session lives');
  });

  await t.test('F04 an access token refreshes nothing, and a refresh token opens nothing', async (t) => {
    const { accessToken, refreshToken } = await openSession(service, person);
    const cookies = await logInByCookie(person);
    const value = (which: string) => cookies.find(({ name }) => name === which)?.value ?? '';
    const mailed = [
      await confirmationToken(service, person),
      await resetToken(service, person),
      await emailChangeToken(service, person, `f04.${person.email}`),
    ];
    for (const token of [accessToken, value('access'), ...mailed]) {
      refused(t, await refresh(token), 401, 'invalid_refresh_token', 'in a body');
      const headers = { cookie: `refresh=${token}`, ...sameOrigin };
      refused(t, await service.post('/auth/refresh', undefined, { headers }), 401, 'invalid_refresh_token', 'in the cookie');
    }
    for (const token of [refreshToken, value('refresh'), ...mailed]) {
      for (const url of ['/auth/me', '/secret', '/auth/verify', '/auth/sessions', '/auth/me/export']) {
        refused(t, await service.get(url, { token }), 401, 'unauthenticated', `${url} with a header`);
        refused(t, await service.get(url, { headers: { cookie: `access=${token}` } }), 401, 'unauthenticated', `${url} with the cookie`);
      }
    }
    refused(t, await service.post('/auth/refresh', undefined, { token: refreshToken }), 401, 'invalid_refresh_token', 'in the header');
    t.equal((await service.get('/secret', { token: accessToken })).status, 200, 'each works where it belongs');
    t.equal((await refresh(refreshToken)).status, 200);
    t.equal((await service.get('/secret', { headers: byCookie(cookies) })).status, 200);
    t.equal((await service.post('/auth/refresh', undefined, { headers: byCookie(cookies) })).status, 200);
  });

  await t.test('F06 nobody sees or ends the sessions of another, whatever id they name', async (t) => {
    const [owner, thief] = [await confirmedPerson(service), await confirmedPerson(service)];
    const held = await openSession(service, owner);
    const sid = decodeJwt(held.accessToken)['sid'] as string;
    const end = (id: string, token: string) => service.request('DELETE', `/auth/sessions/${id}`, { token });
    for (const id of [sid, sid.toUpperCase(), randomUUID(), owner.id, thief.id])
      refused(t, await end(id, thief.token), 404, 'not_found', id);
    for (const id of [
      'x',
      '*',
      `${sid}%00`,
      `${sid}'--`,
      `${sid},${sid}`,
      `urn:uuid:${sid}`,
      '%25',
      '..%2f..%2fauth',
      `${sid}%20or%201=1`,
    ]) {
      t.match((await end(id, thief.token)).body, { status: /^40[04]$/ }, id);
    }
    refused(t, await service.request('DELETE', `/auth/sessions/${sid}`), 401, 'unauthenticated', 'without a session');
    refused(
      t,
      await service.request('DELETE', `/auth/sessions/${sid}`, { token: thief.token, body: { userId: owner.id } }),
      400,
      'validation_failed',
    );
    t.equal((await service.request('DELETE', '/auth/sessions', { token: thief.token })).status, 204, "all of the thief's own");
    t.equal((await service.get('/secret', { token: held.accessToken })).status, 200, 'it lives');

    for (const query of ['', `?userId=${owner.id}`, `?user=${owner.id}`, '?all=true', '?limit=1000']) {
      const { status, body, text } = await service.get(`/auth/sessions${query}`, { token: thief.token });
      if (status !== 200) continue;
      t.equal(body.sessions.length, 1, `one's own alone ${query}`);
      t.notMatch(text, new RegExp(`${sid}|${owner.id}|${owner.email}`));
    }
    const list = await service.get('/auth/sessions', { token: owner.token });
    const members = ['createdAt', 'current', 'device', 'expiresAt', 'id', 'ip', 'lastUsedAt', 'userAgent'];
    for (const session of list.body.sessions) t.strictSame(Object.keys(session).sort(), members);
    t.ok(list.body.sessions.some(({ id }: { id: string }) => id === sid));
    for (const secret of [held.accessToken, held.refreshToken, owner.token, ...held.accessToken.split('.')])
      t.notOk(list.text.includes(secret));
    t.equal((await end(sid, owner.token)).status, 204, 'its owner ends it');
    refused(t, await service.get('/secret', { token: held.accessToken }), 401, 'unauthenticated');
    refused(t, await refresh(held.refreshToken), 401, 'invalid_refresh_token');
    refused(t, await end(sid, owner.token), 404, 'not_found', 'once');
  });

  await t.test('F08 nobody has more than 20 sessions: the oldest end', async (t) => {
    const crowd = await register(service);
    const bystander = await openSession(service, person);
    const sessions = [];
    for (let count = 0; count < 100; count += 1) {
      holdClock(clock, new Date(clock.now().getTime() + 1000));
      sessions.push(await openSession(service, crowd));
    }
    const isAlive = async ({ accessToken }: { accessToken: string }) =>
      (await service.get('/auth/me', { token: accessToken })).status === 200;
    const alive = [];
    for (const session of sessions) alive.push(await isAlive(session));
    t.strictSame(
      alive,
      sessions.map((_, index) => index >= 80),
      'the 20 newest live',
    );
    const newest = sessions.at(-1);
    t.equal((await service.get('/auth/sessions', { token: newest?.accessToken ?? '' })).body.sessions.length, 20);
    for (const index of [0, 40, 79])
      refused(t, await refresh(sessions[index]?.refreshToken), 401, 'invalid_refresh_token', `of login ${index}`);
    for (const index of [80, 99]) t.equal((await refresh(sessions[index]?.refreshToken)).status, 200, `of login ${index}`);
    t.ok(await isAlive(bystander), "nobody else's end");
  });
});
