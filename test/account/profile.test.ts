import { and, eq } from 'drizzle-orm';
import t, { type Test } from 'tap';
import { events, users } from '../../src/db/schema.ts';
import { languages } from '../../src/mail/words/index.ts';
import { confirmedPerson, logIn, newDetails, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

t.test('the owner of an account', async (t) => {
  const service = await startService(t);
  const tables = openTables(t, service);
  const patch = (token: string | undefined, body?: unknown) =>
    service.request('PATCH', '/auth/me', { ...(token !== undefined && { token }), ...(body !== undefined && { body }) });
  const row = async (id: string) => (await tables.select().from(users).where(eq(users.id, id)))[0];
  const renames = (id: string) => tables.$count(events, and(eq(events.userId, id), eq(events.type, 'username_changed')));
  const newcomer = async () => {
    const person = await register(service);
    return { ...person, token: await logIn(service, person) };
  };

  t.test('changes the name, before the address is confirmed, too, and logs in by the new one alone', async (t) => {
    for (const person of [await newcomer(), await confirmedPerson(service)]) {
      const { token, password, email } = person;
      const username = `New.${person.username}`;
      const { status, headers, body } = await patch(token, { username });
      t.equal(status, 200);
      t.match(headers, { 'content-type': /^application\/json/, 'cache-control': 'no-store' });
      t.strictSame(Object.keys(body), ['user']);
      t.match(body.user, { id: person.id, email, username, role: 'user' });
      t.strictSame((await service.get('/auth/me', { token })).body, body, 'in the same session');
      for (const name of [username, username.toLowerCase()]) {
        t.equal((await service.post('/auth/login', { username: name, password })).status, 200, name);
      }
      refused(t, await service.post('/auth/login', { username: person.username, password }), 401, 'invalid_credentials', 'the old name');
      t.equal((await service.post('/auth/register', { ...newDetails(), username: person.username })).status, 201, 'it is free');
      const taken = await service.post('/auth/register', { ...newDetails(), username: username.toUpperCase() });
      refused(t, taken, 409, 'username_taken', 'the new one is not');
    }
  });

  t.test('changes the name and the language together, each alone, or nothing', async (t) => {
    const { id, token, username } = await newcomer();
    const before = await row(id);
    for (const body of [{}, { username }, { username, locale: before?.locale }]) {
      const answer = await patch(token, body);
      t.equal(answer.status, 200, JSON.stringify(body));
      t.equal(answer.body.user.username, username);
      t.same(await row(id), before, 'what they have already is no change');
    }
    t.equal((await patch(token, { locale: 'de-AT' })).body.user.username, username);
    t.same(await row(id), { ...before, locale: 'de-AT' });
    t.equal((await patch(token, { username: `${username}.x`, locale: 'en' })).status, 200);
    t.match(await row(id), { username: `${username}.x`, usernameCanonical: `${username}.x`, locale: 'en' });
    t.equal((await patch(token, { username })).status, 200);
    t.match(await row(id), { username, usernameCanonical: username, locale: 'en' }, 'the language stays');
    t.equal((await patch(token, { locale: null })).status, 200);
    t.same(await row(id), { ...before, locale: null });
    t.equal(await renames(id), 2, 'a rename is recorded, and nothing else is called one');
  });

  t.test('may write the own name in another case', async (t) => {
    const { id, token, username } = await newcomer();
    t.equal((await patch(token, { username: username.toUpperCase() })).body.user.username, username.toUpperCase());
    t.match(await row(id), { username: username.toUpperCase(), usernameCanonical: username });
    t.equal(await renames(id), 1);
  });

  t.test('is told of the new name by the token that the next refresh brings', async (t) => {
    const person = await confirmedPerson(service);
    const { refreshToken } = (await service.post('/auth/login', { email: person.email, password: person.password })).body;
    const username = `another.${person.username}`;
    t.equal((await patch(person.token, { username })).status, 200);
    const { body } = await service.post('/auth/refresh', { refreshToken });
    t.equal(body.user.username, username);
    t.match((await service.get('/', { token: body.accessToken })).body.message, username);
  });

  async function assertNothingChanged(t: Test, id: string, change: () => Promise<void>) {
    const before = await row(id);
    await change();
    t.same(await row(id), before, 'nothing has changed');
    t.equal(await renames(id), 0, 'nothing is recorded');
  }

  t.test('gets no name that nobody may have, and nothing that is not a name or a language', async (t) => {
    const { id, token } = await newcomer();
    const pattern = { pointer: '/username', code: 'pattern' };
    const reserved = { pointer: '/username', code: 'reserved' };
    const refusals: [unknown, { pointer: string; code?: string }][] = [
      [{ username: '' }, { pointer: '/username' }],
      [{ username: 'a'.repeat(65) }, { pointer: '/username', code: 'maxLength' }],
      ...['1abc', '_abc', '.abc', 'a b', 'abc ', ' abc', 'a-b', 'a@b', 'naïve', 'b\u043eb', 'a\u200bb', 'abc\n', '../a'].map(
        (username) => [{ username }, pattern] as [unknown, typeof pattern],
      ),
      ...['admin', 'ROOT', 'Me', 'null', 'no_reply', 'mailer.daemon'].map(
        (username) => [{ username, locale: 'de' }, reserved] as [unknown, typeof reserved],
      ),
      ...[null, 7, true, ['abc'], { abc: 1 }].map((username) => [{ username }, { pointer: '/username', code: 'type' }] as never),
      ...['', 'x', 'de_DE', 'de-', 'deutschland', '*', 'de\n', 'a'.repeat(36), 7, false, ['de'], {}].map(
        (locale) => [{ username: 'valid.name', locale }, { pointer: '/locale' }] as never,
      ),
      ...['id', 'email', 'role', 'confirmed', 'password', 'createdAt', 'usernameCanonical', 'passwordHash'].map(
        (member) =>
          [
            { username: 'valid.name', [member]: 'admin' },
            { pointer: '', code: 'additionalProperties' },
          ] as never,
      ),
    ];
    await assertNothingChanged(t, id, async () => {
      for (const [body, error] of refusals) {
        const answer = await patch(token, body);
        refused(t, answer, 400, 'validation_failed', JSON.stringify(body).slice(0, 60));
        const errors: { pointer: string; code: string }[] = answer.body.errors;
        t.ok(
          errors.some(({ pointer, code }) => pointer === error.pointer && (error.code ?? code) === code),
          JSON.stringify(errors),
        );
      }
      for (const body of [[], 'name', null, 7]) {
        const answer = await patch(token, JSON.stringify(body));
        t.ok(answer.status === 400 || answer.status === 415, JSON.stringify(body));
      }
      refused(t, await patch(token), 400, 'validation_failed', 'no body');
      refused(t, await patch(token, { username: 'nul\u0000' }), 400, 'malformed_request');
    });
  });

  t.test('gets no name that somebody else has, in any case', async (t) => {
    const [one, other] = [await newcomer(), await newcomer()];
    await assertNothingChanged(t, one.id, async () => {
      for (const username of [other.username, other.username.toUpperCase()]) {
        const answer = await patch(one.token, { username, locale: 'de' });
        refused(t, answer, 409, 'username_taken');
        t.match(answer.body.errors, [{ pointer: '/username', code: 'username_taken' }]);
        t.notMatch(answer.text, other.id);
      }
    });
    t.equal((await service.get('/auth/me', { token: other.token })).body.user.username, other.username);
  });

  t.test('gets mails in the language of choice, or in that of the service', async (t) => {
    const person = await confirmedPerson(service);
    const facts = { service: 'Latchkey', lifetime: '' };
    let mailed = 1;
    await service.mailServer.mailTo(person.email);
    const subjectAfter = async (locale: string | null) => {
      t.equal((await patch(person.token, { locale })).status, 200);
      const body = { currentPassword: person.password, newPassword: person.password };
      t.equal((await service.request('PUT', '/auth/password', { token: person.token, body })).status, 204);
      mailed += 1;
      return (await service.mailServer.mailTo(person.email, mailed)).subject;
    };
    const { en, de } = languages;
    t.equal(await subjectAfter('de-CH'), de.mails.password_changed(facts).subject);
    t.equal(await subjectAfter(null), en.mails.password_changed(facts).subject);
    t.equal(await subjectAfter('DE'), de.mails.password_changed(facts).subject);
    t.equal(await subjectAfter('tlh'), en.mails.password_changed(facts).subject, 'which is not spoken here');
  });

  t.test('must be logged in', async (t) => {
    refused(t, await patch(undefined, { username: 'nobody' }), 401, 'unauthenticated');
    refused(t, await patch('nonsense', { username: 'nobody' }), 401, 'unauthenticated');
  });
});
