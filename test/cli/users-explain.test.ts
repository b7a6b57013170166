import { randomUUID } from 'node:crypto';
import t from 'tap';
import { changeUser } from '../../src/administration/manage-user.ts';
import { run } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { createFaultyMailServer } from '../support/faulty-mail-server.ts';
import { mailRow, settled } from '../support/outbox.ts';
import { logIn, newDetails, register } from '../support/person.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

t.test('the whole story of an account is told', async (t) => {
  const mailServer = await createFaultyMailServer(t);
  await mailServer.start();
  const service = await startService(t, { SMTP_URL: mailServer.url });
  const tables = openTables(t, service);
  const details = { ...newDetails(), username: 'Story.Teller', email: 'Story.Teller@example.com' };
  const { id, email, password } = await register(service, details);
  await settled(tables, email, 'sent');
  const other = await register(service);
  await settled(tables, other.email, 'sent');
  const token = await logIn(service, { email, password });
  const put = (currentPassword: string, newPassword: string) =>
    service.request('PUT', '/auth/password', { token, body: { currentPassword, newPassword } });

  mailServer.fail({ recipient: (address) => (address === email ? 550 : undefined) });
  t.equal((await put(password, 'the second password')).status, 204);
  await settled(tables, email, 'failed');
  await put('not the password', 'the third password');
  await mailServer.stop();
  t.equal((await service.post('/auth/email', { newEmail: 'next@example.com', password: 'the second password' }, { token })).status, 202);
  await eventually('an attempt has failed', async () => (await mailRow(tables, 'next@example.com')).lastError !== null);
  const { services } = service.app;
  const actorId = other.id;
  await changeUser(services, id, { confirmed: true, role: 'admin' }, { actorId });
  await changeUser(services, other.id, { disabled: true });
  await service.app.close();
  const { env } = service;
  const named = ['Story.Teller', 'STORY.teller', 'Story.Teller@example.com', 'story.teller@EXAMPLE.com', id];

  t.test('to a program', async (t) => {
    const answers = [];
    for (const name of named) {
      const { status, said, complaints } = await run(`users explain ${name} --json`, env);
      t.match({ status, complaints }, { status: 0, complaints: '' }, name);
      answers.push(JSON.parse(said));
    }
    const [story] = answers;
    // A command works on the queue as every instance does: the mails that wait may have been tried again.
    for (const answer of answers) t.strictSame({ ...answer, mails: story.mails }, story, 'by whatever name');
    t.notMatch(JSON.stringify(story), /argon2|credential/);
    const members = ['user', 'confirmedAt', 'disabledAt', 'pendingEmail', 'pendingEmailSince', 'sessions', 'steps', 'mails'];
    t.strictSame(Object.keys(story), members);
    t.match(story.user, { id, email, username: 'Story.Teller', role: 'admin', confirmed: true, disabled: false });
    t.match(story, { confirmedAt: /Z$/, disabledAt: null, pendingEmail: 'next@example.com', pendingEmailSince: /Z$/, sessions: 0 });
    const told = story.steps.map(({ what }: { what: string }) => what);
    t.strictSame(told, [
      'registered',
      'confirmation_mail_sent',
      'logged_in',
      'password_changed',
      'password_changed_mail_failed',
      'password_refused',
      'email_change_requested',
      'confirmed',
      'role_changed',
      'sessions_ended',
    ]);
    t.match(story.steps[0], { at: /Z$/, ip: '127.0.0.1', userAgent: 'lightMyRequest', actorId: null });
    t.match(story.steps.at(-1), { ip: null, userAgent: null, actorId });
    t.match(story.mails.slice(0, 2), [
      { kind: 'confirmation', recipient: email, status: 'sent', attempts: 1, queuedAt: /Z$/, at: /Z$/, lastError: null },
      { kind: 'password_changed', recipient: email, status: 'failed', attempts: 1, at: /Z$/, lastError: /550/ },
    ]);
    const waiting = story.mails.slice(2);
    t.strictSame(waiting.map(({ kind }: { kind: string }) => kind).toSorted(), ['email_change', 'email_change_requested']);
    for (const mail of waiting) t.match(mail, { status: 'queued', queuedAt: /Z$/, at: /Z$/ });
  });

  t.test('to people', async (t) => {
    const { status, said, complaints } = await run('users explain story.teller', env);
    t.match({ status, complaints }, { status: 0, complaints: '' });
    const time = '20\\d\\d-\\d\\d-\\d\\dT[\\d:.]{12}Z';
    const lines = [
      `^Story\\.Teller  Story\\.Teller@example\\.com  admin  ${id}$`,
      `^registered at ${time}$`,
      `^the address has been confirmed since ${time}$`,
      `^waits for next@example\\.com to be confirmed, since ${time}$`,
      '^0 sessions$',
      `^  ${time}  registered  from 127\\.0\\.0\\.1  "lightMyRequest"$`,
      `^  ${time}  confirmation_mail_sent$`,
      `^  ${time}  role_changed  by administrator ${actorId}$`,
      `^  ${time}  confirmation to Story\\.Teller@example\\.com:  sent at ${time}  \\(1 attempt\\)$`,
      `^  ${time}  password_changed to Story\\.Teller@example\\.com:  failed at ${time}  \\(1 attempt\\)  last error: .*550`,
      `^  ${time}  email_change to next@example\\.com:  waits, due at ${time}  \\(\\d attempts?\\)  last error: `,
    ];
    for (const line of lines) t.match(said, new RegExp(line, 'm'), line);
    const plain = (await run(`users explain ${other.username}`, env)).said;
    t.match(plain, /^the address is not confirmed$/m);
    t.match(plain, new RegExp(`^disabled since ${time}$`, 'm'));
    t.match(plain, new RegExp(`^  ${time}  disabled$`, 'm'), 'nobody’s session did it');
    t.notMatch(plain, /waits for/);
    t.notMatch(said, /disabled/);
  });

  t.test('of nobody else', async (t) => {
    for (const name of ['nobody', 'nobody@example.com', randomUUID(), '%', '@']) {
      t.match(await run(`users explain ${name}`, env), { status: 2, said: '', complaints: /^There is no user with this name, / }, name);
    }
    for (const words of ['', ' one two', ' one --yes']) {
      t.match(await run(`users explain${words}`, env), { status: 2, said: '', complaints: /Usage: latchkey users explain/ }, words);
    }
  });
});
