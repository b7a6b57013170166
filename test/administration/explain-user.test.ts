import t from 'tap';
import { explainUser } from '../../src/administration/explain-user.ts';
import { disableUser, requireNamedUser } from '../../src/administration/manage-user.ts';
import { outboxEmpty } from '../support/held-clock.ts';
import { logIn, register } from '../support/person.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

t.test('the story of an account is told from its beginning, with what became of its mails', async (t) => {
  const service = await startService(t);
  const { services } = service.app;
  const { clock, db } = services;
  const person = await register(service);
  const row = () => requireNamedUser(db, person.username);
  const token = await logIn(service, person);
  const newEmail = `new.${person.email}`;
  t.equal((await service.post('/auth/email', { newEmail, password: person.password }, { token })).status, 202);
  await outboxEmpty(openTables(t, service));
  const open = await explainUser(db, await row(), clock.now());
  t.match(open, { user: { id: person.id, disabled: false }, confirmedAt: null, disabledAt: null, pendingEmail: newEmail, sessions: 1 });
  await disableUser(services, await row());

  const { user, steps, mails, sessions, disabledAt } = await explainUser(db, await row(), clock.now());
  t.match(user, { disabled: true });
  t.type(disabledAt, 'string');
  t.equal(sessions, 0);
  const told = steps.map(({ what }) => what);
  for (const what of ['registered', 'confirmation_mail_sent', 'logged_in', 'email_change_requested', 'disabled'] as const) {
    t.ok(told.includes(what), what);
  }
  t.equal(told[0], 'registered');
  t.match(mails, [
    { kind: 'confirmation', recipient: person.email, status: 'sent', attempts: 1, lastError: null },
    { kind: /^email_change/, status: 'sent' },
    { kind: /^email_change/, status: 'sent' },
  ]);

  service.clock.advance({ days: 2 });
  t.equal((await explainUser(db, await row(), clock.now())).sessions, 0);
});
