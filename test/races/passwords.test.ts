import t from 'tap';
import { onServer } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { outboxEmpty } from '../support/held-clock.ts';
import { confirmedPerson, emailChangeToken, openSession, resetToken } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { openTables } from '../support/tables.ts';
import { allAtOnce, startTwoInstances, tally } from '../support/two-instances.ts';

t.test('passwords in parallel', { skip: !onServer && 'needs a PostgreSQL server' }, async (t) => {
  const { service, instances } = await startTwoInstances(t);
  const [here, there] = instances;
  const tables = openTables(t, service);
  const candidates = Array.from({ length: 20 }, (_, index) => `candidate number ${index}`);

  /** Logs in with each password, and answers which of them work. */
  async function workingOf(email: string, passwords: readonly string[]): Promise<string[]> {
    const answers = await Promise.all(
      passwords.map((password, index) => (index % 2 === 0 ? here : there).post('/auth/login', { email, password })),
    );
    return passwords.filter((_, index) => answers[index]?.status === 200);
  }

  t.test('P08: of 20 resets with one token and different passwords one wins', async (t) => {
    const person = await confirmedPerson(service);
    const token = await resetToken(service, person);
    const answers = await allAtOnce(20, instances, (instance, index) =>
      instance.post('/auth/password/reset', { token, newPassword: candidates[index] }),
    );
    t.strictSame(tally(answers), { 204: 1, 410: 19 });
    for (const answer of answers.filter(({ status }) => status === 410)) refused(t, answer, 410, 'used_token');
    const winner = candidates[answers.findIndex(({ status }) => status === 204)];
    t.strictSame(await workingOf(person.email, [...candidates, person.password]), [winner]);
    await outboxEmpty(tables);
    t.equal(service.mailServer.received.filter(({ recipients }) => recipients.includes(person.email)).length, 3, 'one notice');
  });

  t.test('of 20 changes with the same current password one wins', async (t) => {
    const { token, email, password } = await confirmedPerson(service);
    const answers = await allAtOnce(20, instances, (instance, index) =>
      instance.request('PUT', '/auth/password', { token, body: { currentPassword: password, newPassword: candidates[index] } }),
    );
    t.strictSame(tally(answers), { 204: 1, 403: 19 });
    for (const answer of answers.filter(({ status }) => status === 403)) refused(t, answer, 403, 'wrong_password');
    const winner = candidates[answers.findIndex(({ status }) => status === 204)];
    t.strictSame(await workingOf(email, [...candidates, password]), [winner]);
    t.equal((await here.get('/secret', { token })).status, 200, 'the session goes on');
  });

  t.test('of changes in different sessions one wins, and only its session goes on', async (t) => {
    const person = await confirmedPerson(service);
    const sessions = await Promise.all(Array.from({ length: 6 }, () => openSession(service, person)));
    const answers = await allAtOnce(6, instances, (instance, index) =>
      instance.request('PUT', '/auth/password', {
        token: sessions[index]?.accessToken as string,
        body: { currentPassword: person.password, newPassword: candidates[index] },
      }),
    );
    t.equal(tally(answers)[204], 1);
    t.ok(
      answers.every(({ status, body }) => status === 204 || body.code === 'wrong_password' || body.code === 'unauthenticated'),
      JSON.stringify(tally(answers)),
    );
    const winner = answers.findIndex(({ status }) => status === 204);
    const refreshes = await Promise.all(sessions.map(({ refreshToken }) => here.post('/auth/refresh', { refreshToken })));
    t.strictSame(
      refreshes.map(({ status }) => status),
      sessions.map((_, index) => (index === winner ? 200 : 401)),
    );
  });

  t.test('no session that was opened with the old password survives a reset', async (t) => {
    for (let round = 0; round < 5; round += 1) {
      const { email, password } = await confirmedPerson(service);
      const token = await resetToken(service, { email });
      const [reset, ...logins] = await allAtOnce(13, instances, (instance, index) =>
        index === 0
          ? instance.post('/auth/password/reset', { token, newPassword: 'the other password' })
          : instance.post('/auth/login', { email, password }),
      );
      t.equal(reset?.status, 204);
      for (const { status, body } of logins) {
        t.ok(status === 200 || status === 401, `a login answered ${status}`);
        if (status !== 200) continue;
        refused(t, await here.post('/auth/refresh', { refreshToken: body.refreshToken }), 401, 'invalid_refresh_token');
        await eventually('it is over here', async () => (await here.get('/secret', { token: body.accessToken })).status === 401);
        await eventually('it is over there', async () => (await there.get('/secret', { token: body.accessToken })).status === 401);
      }
      t.strictSame(await workingOf(email, [password, 'the other password']), ['the other password']);
    }
  });

  t.test('no refresh that races with a reset leaves a session alive', async (t) => {
    const person = await confirmedPerson(service);
    const { refreshToken } = await openSession(service, person);
    const token = await resetToken(service, person);
    const [reset, ...refreshes] = await allAtOnce(13, instances, (instance, index) =>
      index === 0
        ? instance.post('/auth/password/reset', { token, newPassword: 'the other password' })
        : instance.post('/auth/refresh', { refreshToken }),
    );
    t.equal(reset?.status, 204);
    for (const { status, body } of refreshes) {
      t.ok(status === 200 || status === 401, `a refresh answered ${status}`);
      if (status !== 200) continue;
      refused(t, await there.post('/auth/refresh', { refreshToken: body.refreshToken }), 401, 'invalid_refresh_token');
      await eventually('it is over', async () => (await here.get('/secret', { token: body.accessToken })).status === 401);
    }
  });

  t.test('of a reset, a change of the password and one of the address, whichever comes first voids the others', async (t) => {
    for (let round = 0; round < 5; round += 1) {
      const person = await confirmedPerson(service);
      const { token, email, password } = person;
      const [reset, move] = [await resetToken(service, person), await emailChangeToken(service, person, `next.${email}`)];
      const answers = await Promise.all([
        here.post('/auth/password/reset', { token: reset, newPassword: candidates[0] }),
        there.request('PUT', '/auth/password', { token, body: { currentPassword: password, newPassword: candidates[1] } }),
        here.post('/auth/email/confirm', { token: move, password }),
      ]);
      const winners = answers.filter(({ status }) => status < 300).length;
      const statuses = answers.map(({ status }) => status);
      t.ok(
        statuses.every((status) => status < 500),
        JSON.stringify(statuses),
      );
      // The address may be changed first, and the password then, since that asks for what the other leaves in force.
      t.ok(winners === 1 || (winners === 2 && statuses[0] !== 204), JSON.stringify(statuses));
      const working = [
        ...(await workingOf(email, [password, ...candidates.slice(0, 2)])),
        ...(await workingOf(`next.${email}`, [password, ...candidates.slice(0, 2)])),
      ];
      t.equal(working.length, 1, 'one address and one password work');
    }
  });
});
