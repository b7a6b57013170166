import { eq, sql } from 'drizzle-orm';
import t from 'tap';
import { sessions, users } from '../../src/db/schema.ts';
import { holdClock, outboxEmpty } from '../support/held-clock.ts';
import { confirmationPath, type Person, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

t.test('refresh', async (t) => {
  const service = await startService(t);
  const tables = openTables(t, service);
  const { clock } = service;
  const person = await register(service);

  const open = async ({ email, password }: Pick<Person, 'email' | 'password'> = person, rememberMe = false) =>
    (await service.post('/auth/login', { email, password, rememberMe })).body;
  const refresh = (refreshToken: string) => service.post('/auth/refresh', { refreshToken });
  const stillOpen = async (accessToken: string) => (await service.get('/auth/me', { token: accessToken })).status === 200;
  /** Makes the clock stand, so many milliseconds from where it is. */
  const hold = (milliseconds: number) => holdClock(clock, new Date(clock.now().getTime() + milliseconds));

  t.test('a refresh answers new tokens of the same session', async (t) => {
    const login = await open();
    const { status, headers, body } = await refresh(login.refreshToken);
    t.equal(status, 200);
    t.match(headers, { 'content-type': /^application\/json/, 'cache-control': 'no-store' });
    t.strictSame(Object.keys(body).sort(), Object.keys(login).sort());
    t.strictSame(body.session, login.session, 'the end of the session is where it was');
    t.not(body.accessToken, login.accessToken);
    t.not(body.refreshToken, login.refreshToken);
    t.ok(await stillOpen(body.accessToken));
    t.ok(await stillOpen(login.accessToken), 'the access token from before lives out its time');
  });

  t.test('a refreshed access token knows that the address has been confirmed', async (t) => {
    const newcomer = await register(service);
    const login = await open(newcomer);
    t.equal(login.user.confirmed, false);
    await service.get(await confirmationPath(service, newcomer), { token: login.accessToken });
    t.equal((await refresh(login.refreshToken)).body.user.confirmed, true);
  });

  t.test('a session outlives its access tokens by being refreshed', async (t) => {
    let { accessToken, refreshToken } = await open();
    for (let round = 0; round < 3; round += 1) {
      clock.advance({ seconds: 301 });
      refused(t, await service.get('/auth/me', { token: accessToken }), 401, 'unauthenticated', 'an access token after its time');
      ({ accessToken, refreshToken } = (await refresh(refreshToken)).body);
      t.ok(await stillOpen(accessToken));
    }
  });

  t.test('within 10 s the token before the newest gets the same successor', async (t) => {
    hold(0);
    const login = await open();
    const first = await refresh(login.refreshToken);
    hold(7_000);
    const twin = await refresh(login.refreshToken);
    t.equal(twin.status, 200);
    t.equal(twin.body.refreshToken, first.body.refreshToken);
    t.ok(await stillOpen(twin.body.accessToken));
    t.equal((await refresh(first.body.refreshToken)).status, 200, 'the chain goes on');
  });

  t.test('whoever came within 10 s, and had to wait, gets it as well', async (t) => {
    hold(0);
    const login = await open();
    const first = await refresh(login.refreshToken);
    hold(7_000);
    const { db } = service.app.services;
    const transaction = db.transaction.bind(db);
    db.transaction = (...args) => {
      hold(4_000);
      db.transaction = transaction;
      return transaction(...args);
    };
    const twin = await refresh(login.refreshToken);
    t.equal(twin.status, 200);
    t.equal(twin.body.refreshToken, first.body.refreshToken);
  });

  t.test('a token that only could not be traded for a moment is traded', async (t) => {
    const login = await open();
    await tables.execute(sql.raw('create sequence tries'));
    await tables.execute(
      sql.raw(`create function skip() returns trigger language plpgsql as $$ begin
        if nextval('tries') = 1 then return null; end if;
        return new;
      end $$`),
    );
    await tables.execute(sql.raw('create trigger skip before update on sessions for each row execute function skip()'));
    const { status, body } = await refresh(login.refreshToken);
    for (const each of ['trigger skip on sessions', 'function skip', 'sequence tries']) await tables.execute(sql.raw(`drop ${each}`));
    t.equal(status, 200);
    t.equal((await refresh(body.refreshToken)).status, 200);
  });

  t.test('F01: the same token after the grace ends the session for both who hold it', async (t) => {
    hold(0);
    const login = await open();
    const other = await open();
    const { body } = await refresh(login.refreshToken);
    hold(30_000);
    t.ok(await stillOpen(body.accessToken));
    refused(t, await refresh(login.refreshToken), 401, 'invalid_refresh_token', 'the spent token');
    refused(t, await refresh(body.refreshToken), 401, 'invalid_refresh_token', 'its successor');
    refused(t, await service.get('/auth/me', { token: body.accessToken }), 401, 'unauthenticated', 'the access token');
    t.ok(await stillOpen(other.accessToken), 'another session of the same person lives');
    t.equal((await refresh(other.refreshToken)).status, 200);
  });

  t.test('F01: nor is a rotation recent that lies ahead, since a clock has been put back', async (t) => {
    const login = await open();
    const { body } = await refresh(login.refreshToken);
    const ahead = sql`${sessions.rotatedAt} + interval '1 hour'`;
    await tables.update(sessions).set({ rotatedAt: ahead }).where(eq(sessions.id, login.session.id));
    refused(t, await refresh(login.refreshToken), 401, 'invalid_refresh_token', 'the spent token');
    refused(t, await refresh(body.refreshToken), 401, 'invalid_refresh_token', 'its successor');
  });

  t.test('F01: a token that is two rotations old ends the session even within the grace', async (t) => {
    const login = await open();
    const second = await refresh(login.refreshToken);
    const third = await refresh(second.body.refreshToken);
    t.equal(third.status, 200);
    refused(t, await refresh(login.refreshToken), 401, 'invalid_refresh_token');
    refused(t, await refresh(third.body.refreshToken), 401, 'invalid_refresh_token', 'the newest');
  });

  t.test('F04: no token is taken for another kind', async (t) => {
    const login = await open();
    refused(t, await refresh(login.accessToken), 401, 'invalid_refresh_token', 'an access token');
    refused(t, await service.get('/auth/me', { token: login.refreshToken }), 401, 'unauthenticated', 'a refresh token');
    const mailed = (await confirmationPath(service, person)).split('/').at(-1) ?? '';
    refused(t, await refresh(mailed), 401, 'invalid_refresh_token', 'a confirmation token');
    refused(t, await service.get('/auth/me', { token: mailed }), 401, 'unauthenticated', 'a confirmation token');
    t.equal((await refresh(login.refreshToken)).status, 200, 'each works where it belongs');
  });

  t.test('a forged refresh token is refused and harms nobody', async (t) => {
    const { refreshToken } = await open();
    const bytes = Buffer.from(refreshToken, 'base64url');
    for (const index of [0, 15, 19, 20, bytes.length - 1]) {
      const forged = Buffer.from(bytes);
      forged.writeUInt8(forged.readUInt8(index) ^ 1, index);
      refused(t, await refresh(forged.toString('base64url')), 401, 'invalid_refresh_token', `byte ${index}`);
    }
    for (const forged of ['x', `${refreshToken}A`, refreshToken.slice(1), ` ${refreshToken.slice(1)}`]) {
      refused(t, await refresh(forged), 401, 'invalid_refresh_token', 'another length');
    }
    refused(t, await service.post('/auth/refresh', {}), 401, 'invalid_refresh_token', 'none');
    for (const body of [{ refreshToken: '' }, { refreshToken: [refreshToken] }, { refreshToken, sessionId: 'x' }]) {
      refused(t, await service.post('/auth/refresh', body), 400, 'validation_failed');
    }
    refused(t, await service.get(`/auth/refresh?refreshToken=${refreshToken}`), 405, 'method_not_allowed', 'in the query');
    t.equal((await refresh(refreshToken)).status, 200);
  });

  t.test('F07: a session ends after a day without use, and goes on if used just before', async (t) => {
    hold(0);
    const login = await open();
    const other = await open();
    hold(24 * 3600_000 - 1);
    const refreshed = await refresh(login.refreshToken);
    t.equal(refreshed.status, 200, 'a millisecond before');
    hold(1);
    refused(t, await refresh(other.refreshToken), 401, 'invalid_refresh_token', 'a day after');
    hold(24 * 3600_000 - 2);
    t.equal((await refresh(refreshed.body.refreshToken)).status, 200, 'the day begins again with each use');
  });

  t.test('F07: a session to be remembered ends after 7 days without use', async (t) => {
    hold(0);
    const [kept, idle] = [await open(person, true), await open(person, true)];
    hold(7 * 24 * 3600_000 - 1);
    t.equal((await refresh(kept.refreshToken)).status, 200);
    hold(1);
    refused(t, await refresh(idle.refreshToken), 401, 'invalid_refresh_token');
  });

  t.test('F07: a session ends after 30 days, however often it is used', async (t) => {
    hold(0);
    const login = await open(person, true);
    let { refreshToken } = login;
    for (let days = 6; days < 30; days += 6) {
      hold(6 * 24 * 3600_000);
      refreshToken = (await refresh(refreshToken)).body.refreshToken;
    }
    hold(6 * 24 * 3600_000 - 5000);
    const nearEnd = await refresh(refreshToken);
    t.ok(nearEnd.body.expiresIn <= 5, 'its access token does not outlive it');
    const [row] = await tables.select().from(sessions).where(eq(sessions.id, login.session.id));
    t.strictSame(row?.idleExpiresAt, row?.expiresAt, 'nor does its idle time');
    t.ok(await stillOpen(nearEnd.body.accessToken));
    hold(4999);
    t.equal(clock.now().getTime(), Date.parse(login.session.expiresAt) - 1);
    const last = await refresh(nearEnd.body.refreshToken);
    t.equal(last.status, 200, 'a millisecond before its end');
    hold(1);
    refused(t, await refresh(last.body.refreshToken), 401, 'invalid_refresh_token');
    refused(t, await service.get('/auth/me', { token: last.body.accessToken }), 401, 'unauthenticated', 'its access token, too');
  });

  t.test('a disabled account refreshes nothing until it is enabled again', async (t) => {
    const login = await open();
    await tables.update(users).set({ disabledAt: clock.now() }).where(eq(users.id, person.id));
    refused(t, await refresh(login.refreshToken), 401, 'invalid_refresh_token');
    refused(t, await service.get('/auth/me', { token: login.accessToken }), 401, 'unauthenticated');
    await tables.update(users).set({ disabledAt: null }).where(eq(users.id, person.id));
    t.equal((await refresh(login.refreshToken)).status, 200);
  });

  t.test('a deleted account refreshes nothing', async (t) => {
    const leaver = await register(service);
    const login = await open(leaver);
    t.ok(await stillOpen(login.accessToken));
    // A worker that settles a mail and somebody who deletes its user could wait for each other.
    await outboxEmpty(tables);
    await tables.delete(users).where(eq(users.id, leaver.id));
    refused(t, await refresh(login.refreshToken), 401, 'invalid_refresh_token');
    refused(t, await service.get('/auth/me', { token: login.accessToken }), 401, 'unauthenticated');
  });
});
