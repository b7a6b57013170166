import { and, eq, isNull, notInArray } from 'drizzle-orm';
import t from 'tap';
import {
  changeRole,
  deleteUser,
  disableUser,
  enableUser,
  endUserSessions,
  requireNamedUser,
} from '../../src/administration/manage-user.ts';
import { users } from '../../src/db/schema.ts';
import type { UserRow } from '../../src/identity/users.ts';
import { renewSigningKeys } from '../../src/tokens/signing-keys.ts';
import type { Client } from '../support/client.ts';
import { onServer } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { confirmedPerson, type Person } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startInstance, startService } from '../support/service.ts';
import { allAtOnce, tally } from '../support/two-instances.ts';

t.test('what ends on one of two instances', { skip: !onServer && 'needs a PostgreSQL server' }, async (t) => {
  const here = await startService(t);
  const there = await startInstance(t, here.env, here.clock);
  const [ours, theirs] = [here.app.services, there.app.services];
  const { db } = ours;

  const open = async ({ email, password }: Pick<Person, 'email' | 'password'>) => {
    const { status, body } = await here.post('/auth/login', { email, password });
    if (status !== 200) throw new Error(`login answered ${status}`);
    return { id: body.session.id as string, token: body.accessToken as string, refreshToken: body.refreshToken as string };
  };
  const row = ({ id }: Pick<Person, 'id'>) => requireNamedUser(db, id);
  const secret = (instance: Client, token: string) => instance.get('/secret', { token });
  const person = await confirmedPerson(here);
  const endOne = (path: string, token: string) => here.request('DELETE', `/auth/sessions${path}`, { token });

  const endings: Record<string, (victim: Person, session: { id: string; token: string }) => Promise<unknown>> = {
    'a logout': (_, { token }) => here.post('/auth/logout', undefined, { token }),
    'the end of a session': async (victim, { id }) => endOne(`/${id}`, (await open(victim)).token),
    'the end of all other sessions': async (victim) => endOne('', (await open(victim)).token),
    'another role': async (victim) => changeRole(ours, await row(victim), 'admin'),
    'an end by the administrator': async (victim) => endUserSessions(ours, await row(victim)),
    'a disabling': async (victim) => disableUser(ours, await row(victim)),
    'a deletion': async (victim) => deleteUser(ours, await row(victim)),
  };
  const bystander = await open(person);
  const delays: number[] = [];
  for (const [what, end] of Object.entries(endings)) {
    t.test(`L11: ${what} is known on the other, soon`, async (t) => {
      const victim = await confirmedPerson(here);
      const session = await open(victim);
      for (const instance of [here, there]) t.equal((await secret(instance, session.token)).status, 200);
      await end(victim, session);
      const since = performance.now();
      refused(t, await secret(here, session.token), 401, 'unauthenticated', 'at once where it was ended');
      await eventually('it is over there', async () => (await secret(there, session.token)).status === 401);
      delays.push(performance.now() - since);
      const { refreshToken } = session;
      refused(t, await there.post('/auth/refresh', { refreshToken }), 401, 'invalid_refresh_token');
      t.equal((await secret(there, bystander.token)).status, 200, 'nobody else is shut out');
    });
  }

  t.test('L11: most of them within a second, and each within some, whatever else the machine does', async (t) => {
    t.equal(delays.length, Object.keys(endings).length);
    const median = delays.toSorted((one, other) => one - other)[Math.floor(delays.length / 2)] as number;
    t.ok(median < 1000 && Math.max(...delays) < 10_000, `${delays}`);
  });

  t.test('a key that one instance makes signs for both, and no token is refused meanwhile', async (t) => {
    const { clock } = here;
    const rotate = () => renewSigningKeys(db, { secrets: ours.secrets, clock, decide: () => 'after publication' });
    const before = ours.keyRing.current().kid;
    const { refreshToken } = await open(person);
    await rotate();
    await ours.keyRing.refresh();
    t.equal(ours.keyRing.current().kid, before, 'it is published first');
    clock.advance({ minutes: 10 });
    t.not(ours.keyRing.current().kid, before);
    const renewed = (await here.post('/auth/refresh', { refreshToken })).body;
    const answers = await allAtOnce(20, [there], (instance) => instance.get('/secret', { token: renewed.accessToken }));
    t.strictSame(tally(answers), { 200: 20 }, 'an unknown key is looked for, once for all who come with it');
    t.equal(theirs.keyRing.current().kid, ours.keyRing.current().kid);

    await Promise.all([ours.keyRing.refresh(), theirs.keyRing.refresh()]);
    t.equal((await secret(here, renewed.accessToken)).status, 200);
  });

  t.test('a key that is revoked is dead on both once they have looked, and the sessions live', async (t) => {
    const { token, refreshToken } = await open(person);
    const { kid } = ours.keyRing.current();
    for (const instance of [here, there]) t.equal((await secret(instance, token)).status, 200);
    await renewSigningKeys(db, { secrets: ours.secrets, clock: here.clock, revoke: (key) => key.kid === kid, decide: () => 'at once' });
    await Promise.all([ours.keyRing.refresh(), theirs.keyRing.refresh()]);
    for (const instance of [here, there]) refused(t, await secret(instance, token), 401, 'unauthenticated');
    const renewed = (await there.post('/auth/refresh', { refreshToken })).body;
    for (const instance of [here, there]) t.equal((await secret(instance, renewed.accessToken)).status, 200);
  });

  t.test('L11: logins that race with a disabling leave no session of who is disabled', async (t) => {
    for (let round = 0; round < 5; round += 1) {
      const victim = await confirmedPerson(here);
      const { email, password } = victim;
      const user = await row(victim);
      const disabling = disableUser(theirs, user);
      const answers = await allAtOnce(10, [here, there], (instance) => instance.post('/auth/login', { email, password }));
      await disabling;
      for (const { status, body } of answers) {
        t.ok(status === 200 || status === 401, `a login answered ${status}`);
        if (status !== 200) continue;
        await eventually('its token is dead', async () => (await secret(here, body.accessToken)).status === 401);
        const { refreshToken } = body;
        refused(t, await here.post('/auth/refresh', { refreshToken }), 401, 'invalid_refresh_token');
      }
      t.equal(await endUserSessions(ours, user), 0, 'no session is left');
      await enableUser(ours, user);
      t.equal((await here.post('/auth/login', { email, password })).status, 200);
    }
  });

  t.test('L10: logins that upgrade the hash at once all succeed, and none after a disabling', async (t) => {
    const victim = await confirmedPerson(here);
    const { email, password } = victim;
    const stronger = await startInstance(t, { ...here.env, ARGON2_PASSES: '2', ARGON2_MEMORY_KIB: '16' }, here.clock);
    const old = (await row(victim)).passwordHash;
    const answers = await allAtOnce(10, [stronger, here], (instance) => instance.post('/auth/login', { email, password }));
    t.strictSame(tally(answers), { 200: 10 });
    const upgraded = (await row(victim)).passwordHash;
    t.not(upgraded, old);
    t.match(upgraded, /\$m=16,t=2,/);

    const another = await confirmedPerson(here);
    const disabling = disableUser(ours, await row(another));
    const login = { email: another.email, password: another.password };
    const late = await allAtOnce(6, [stronger], (instance) => instance.post('/auth/login', login));
    await disabling;
    for (const { status } of late) t.ok(status === 200 || status === 401, `a login answered ${status}`);
    t.equal(await endUserSessions(ours, await row(another)), 0, 'no session is left');
  });

  t.test('of two administrators who shut each other out at once, one stays', async (t) => {
    const demote = (services: typeof ours, user: UserRow) => changeRole(services, user, 'user');
    const acts = [
      [disableUser, disableUser],
      [demote, demote],
      [deleteUser, deleteUser],
      [disableUser, deleteUser],
      [demote, disableUser],
    ] as const;
    for (const [index, [one, other]] of [...acts, ...acts].entries()) {
      const [ada, bob] = [await confirmedPerson(here), await confirmedPerson(here)];
      for (const each of [ada, bob]) await changeRole(ours, await row(each), 'admin');
      const bystanders = await db
        .select()
        .from(users)
        .where(and(eq(users.role, 'admin'), notInArray(users.id, [ada.id, bob.id])));
      for (const bystander of bystanders) await deleteUser(ours, bystander);

      const outcomes = await Promise.allSettled([one(ours, await row(ada)), other(theirs, await row(bob))]);
      const refusals = outcomes.filter(({ status }) => status === 'rejected');
      t.match(refusals, [{ reason: { code: 'last_administrator' } }], `round ${index}`);
      t.equal(refusals.length, 1);
      t.equal(await db.$count(users, and(eq(users.role, 'admin'), isNull(users.disabledAt))), 1);
    }
  });

  t.test('a disabling that races with a spent refresh token: both are settled, and the session is over', async (t) => {
    for (let round = 0; round < 10; round += 1) {
      const victim = await confirmedPerson(here);
      const { refreshToken } = await open(victim);
      const renewed = (await here.post('/auth/refresh', { refreshToken })).body;
      here.clock.advance({ seconds: 11 });
      const user = await row(victim);
      const [reused] = await Promise.all([there.post('/auth/refresh', { refreshToken }), disableUser(ours, user)]);
      refused(t, reused, 401, 'invalid_refresh_token');
      refused(t, await here.post('/auth/refresh', { refreshToken: renewed.refreshToken }), 401, 'invalid_refresh_token');
      t.match(await row(victim), { disabledAt: Date });
    }
  });
});
