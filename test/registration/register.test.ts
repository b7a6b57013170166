import { eq, sql } from 'drizzle-orm';
import t from 'tap';
import { mails, users } from '../../src/db/schema.ts';
import { outboxEmpty } from '../support/held-clock.ts';
import { linksOf } from '../support/mail-server.ts';
import { confirmationToken, logIn, newDetails, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

t.test('registration', async (t) => {
  const service = await startService(t);
  const tables = openTables(t, service);

  t.test('R01: a registration answers the user, and mails a link to the stored address alone', async (t) => {
    const details = { ...newDetails(), email: 'Grace.Hopper+1@Example.com' };
    const answer = await service.post('/auth/register', details);
    t.equal(answer.status, 201);
    t.match(answer.headers, { 'content-type': /^application\/json/, 'cache-control': 'no-store' });
    t.strictSame(Object.keys(answer.body), ['user']);
    t.strictSame(Object.keys(answer.body.user).sort(), ['confirmed', 'createdAt', 'email', 'id', 'role', 'username']);
    t.match(answer.body.user, {
      id: /^[0-9a-f]{8}-[0-9a-f]{4}-7/,
      email: details.email,
      username: details.username,
      role: 'user',
      confirmed: false,
      createdAt: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
    });

    const mail = await service.mailServer.mailTo(details.email);
    t.strictSame(mail.recipients, ['Grace.Hopper+1@example.com'], 'the local part is kept as typed');
    t.notMatch(`${mail.text}${mail.html}`, details.password);
    const token = await confirmationToken(service, details);
    t.notMatch(answer.text + JSON.stringify(answer.headers), token);
    t.notMatch(answer.text, /password|argon2|hash|http:/i);
    t.match(linksOf(mail)[0], /^http:\/\/localhost:3000\/auth\/confirm\/[\w-]+\.[\w-]+\.[\w-]+$/);
  });

  t.test('R02: a member that the client may not set is refused, and an account made without it is unconfirmed', async (t) => {
    const details = newDetails();
    const extras = {
      confirmed: true,
      emailVerified: true,
      confirmedAt: '2020-01-01T00:00:00.000Z',
      role: 'admin',
      id: '01890000-0000-7000-8000-000000000000',
      createdAt: '2020-01-01T00:00:00.000Z',
    };
    for (const [name, value] of Object.entries(extras)) {
      refused(t, await service.post('/auth/register', { ...details, [name]: value }), 400, 'validation_failed', name);
    }
    refused(t, await service.post('/auth/register', { ...details, ...extras }), 400, 'validation_failed', 'all of them');

    const person = await register(service, details);
    refused(t, await service.get('/secret', { token: await logIn(service, person) }), 403, 'unconfirmed');
  });

  t.test('R08: names that differ by case alone are one name', async (t) => {
    const first = await register(service, { ...newDetails(), email: 'Case@Example.Test', username: 'Case.Bob' });
    const conflicts = [
      { email: 'case@example.test', username: 'case.bob', taken: ['email', 'username'] },
      { email: 'CASE@EXAMPLE.TEST', username: 'case.alice', taken: ['email'] },
      { email: 'other@example.test', username: 'CASE.BOB', taken: ['username'] },
    ];
    for (const { email, username, taken } of conflicts) {
      const answer = await service.post('/auth/register', { email, username, password: 'quite another secret' });
      refused(t, answer, 409, `${taken[0]}_taken` as 'email_taken', `${email} ${username}`);
      t.match(
        answer.body.errors,
        taken.map((name) => ({ pointer: `/${name}`, code: `${name}_taken` })),
      );
      t.equal(answer.body.errors.length, taken.length, 'names what is taken, and nothing else');
      t.notMatch(answer.text, /users_|constraint|key/i);
    }
    t.type(await logIn(service, first), 'string', 'the holder still logs in');
  });

  t.test('R08: look-alikes of a user name are refused for their characters', async (t) => {
    for (const username of ['bob ', ' bob', 'b\u200bob', 'b\u043eb', 'bob-', '1bob', '_bob', '', 'b'.repeat(65)]) {
      const answer = await service.post('/auth/register', { ...newDetails(), username });
      refused(t, answer, 400, 'validation_failed', JSON.stringify(username));
      t.match(answer.body.errors, [{ pointer: '/username' }]);
    }
    t.equal((await register(service, { ...newDetails(), username: `B.ob_1${'b'.repeat(58)}` })).username.length, 64);
  });

  t.test('R11: who loses a name to another leaves neither a row nor a mail', async (t) => {
    const holder = await register(service);
    const loser = { ...newDetails(), username: holder.username.toUpperCase() };
    refused(t, await service.post('/auth/register', loser), 409, 'username_taken');
    t.equal(await tables.$count(users, eq(users.emailCanonical, loser.email)), 0);
    t.equal(await tables.$count(mails, eq(mails.recipient, loser.email)), 0);
    t.equal(await tables.$count(mails, eq(mails.recipient, holder.email)), 1);
  });

  t.test('a reserved user name is refused in any case', async (t) => {
    for (const username of ['admin', 'Root', 'POSTMASTER']) {
      const answer = await service.post('/auth/register', { ...newDetails(), username });
      refused(t, answer, 400, 'validation_failed', username);
      t.match(answer.body.errors, [{ pointer: '/username', code: 'reserved' }]);
    }
    await register(service, { ...newDetails(), username: 'administrators' });
  });

  t.test('a confirmation of the password must equal it, when it is sent', async (t) => {
    const details = newDetails();
    const answer = await service.post('/auth/register', { ...details, passwordConfirmation: `${details.password} ` });
    refused(t, answer, 400, 'validation_failed');
    t.match(answer.body.errors, [{ pointer: '/passwordConfirmation', code: 'mismatch' }]);
    t.notMatch(answer.text, details.password);
    t.equal((await service.post('/auth/register', { ...details, passwordConfirmation: details.password })).status, 201);
  });

  t.test('a password that is easy to guess is refused', async (t) => {
    const details = newDetails();
    for (const password of ['password1', '123456789012345', details.email, `${details.username}!`, 'Latchkey1']) {
      refused(t, await service.post('/auth/register', { ...details, password }), 400, 'weak_password', password);
    }
    t.equal((await service.post('/auth/register', details)).status, 201);
  });

  t.test('a missing member is named', async (t) => {
    const { username: _, ...rest } = newDetails();
    const answer = await service.post('/auth/register', rest);
    refused(t, answer, 400, 'validation_failed');
    t.match(answer.body.errors, [{ pointer: '/username', code: 'required' }]);
    refused(t, await service.post('/auth/register'), 400, 'validation_failed', 'no body');
  });

  t.test('an internationalised domain is kept as A-labels, and written to', async (t) => {
    const details = { ...newDetails(), email: 'Jose@b\u00fccher.example' };
    const { status, body } = await service.post('/auth/register', details);
    t.equal(status, 201);
    t.equal(body.user.email, 'Jose@xn--bcher-kva.example');
    t.ok(await service.mailServer.mailTo(details.email), 'the mail server shows the domain as people read it');
    t.equal((await service.post('/auth/login', { email: details.email, password: details.password })).status, 200);
  });

  t.test('a locale is taken as a language tag, and as nothing else', async (t) => {
    const details = newDetails();
    refused(t, await service.post('/auth/register', { ...details, locale: 'de_DE; x' }), 400, 'validation_failed');
    t.equal((await service.post('/auth/register', { ...details, locale: 'de-AT' })).status, 201);
    const [row] = await tables.select().from(users).where(eq(users.emailCanonical, details.email));
    t.equal(row?.locale, 'de-AT');
  });

  t.test('an account whose mail cannot be queued is not made', async (t) => {
    const details = newDetails();
    await outboxEmpty(tables);
    await tables.execute(sql`alter table mails rename to mails_away`);
    refused(t, await service.post('/auth/register', details), 500, 'internal_error');
    t.equal(await tables.$count(users, eq(users.emailCanonical, details.email)), 0);
    await tables.execute(sql`alter table mails_away rename to mails`);
    t.equal((await service.post('/auth/register', details)).status, 201, 'the same details are free');
    t.ok(await service.mailServer.mailTo(details.email));
  });

  t.test('nobody but the registered has been written to', async (t) => {
    await outboxEmpty(tables);
    t.equal(service.mailServer.received.length, await tables.$count(users));
  });
});
