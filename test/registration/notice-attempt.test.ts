import { and, eq } from 'drizzle-orm';
import t from 'tap';
import { mails, users } from '../../src/db/schema.ts';
import { eventually } from '../support/eventually.ts';
import { confirmedPerson, logIn, newDetails, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

t.test('an attempt to register with an address that is taken', async (t) => {
  const service = await startService(t);
  const tables = openTables(t, service);
  const attempt = async (email: string) => {
    refused(t, await service.post('/auth/register', { ...newDetails(), email }), 409, 'email_taken');
  };
  const noticesTo = (id: string) => tables.$count(mails, and(eq(mails.userId, id), eq(mails.kind, 'registration_attempt')));

  t.test('is told to the owner of a confirmed address, without a link, and changes nothing', async (t) => {
    const owner = await confirmedPerson(service);
    await attempt(owner.email.toUpperCase());
    const notice = await service.mailServer.mailTo(owner.email, 2);
    t.equal(notice.subject, 'Somebody tried to register for Latchkey with your address');
    t.strictSame(notice.recipients, [owner.email], 'as its owner has written it');
    t.match(notice.text, /so nothing has changed/);
    t.notMatch(`${notice.text}${notice.html}`, /https?:|href=/);
    t.type(await logIn(service, owner), 'string');
  });

  t.test('is told at most once a day, however many there are and however many at once', async (t) => {
    const owner = await confirmedPerson(service);
    await Promise.all(Array.from({ length: 5 }, () => attempt(owner.email)));
    await attempt(owner.email);
    t.equal(await noticesTo(owner.id), 1);
    service.clock.advance({ hours: 23, minutes: 59 });
    await attempt(owner.email);
    t.equal(await noticesTo(owner.id), 1);
    service.clock.advance({ minutes: 1 });
    await attempt(owner.email);
    await attempt(owner.email);
    t.equal(await noticesTo(owner.id), 2);
    await service.mailServer.mailTo(owner.email, 3);
  });

  t.test('is told to nobody while the address is unconfirmed', async (t) => {
    const owner = await register(service);
    await service.mailServer.mailTo(owner.email);
    await attempt(owner.email);
    t.equal(await tables.$count(mails, eq(mails.userId, owner.id)), 1, 'the confirmation mail');
  });

  t.test('is not told when only the user name is taken', async (t) => {
    const owner = await confirmedPerson(service);
    const { username } = owner;
    refused(t, await service.post('/auth/register', { ...newDetails(), username }), 409, 'username_taken');
    t.equal(await noticesTo(owner.id), 0);
    await attempt(owner.email);
    t.equal(await noticesTo(owner.id), 1, 'one with the address is');
  });

  t.test('is not told to the owner of a disabled account', async (t) => {
    const owner = await confirmedPerson(service);
    await tables.update(users).set({ disabledAt: new Date() }).where(eq(users.id, owner.id));
    await attempt(owner.email);
    const ofOwner = and(eq(mails.userId, owner.id), eq(mails.kind, 'registration_attempt'));
    await eventually('it is dropped', async () => (await tables.select().from(mails).where(ofOwner))[0]?.status === 'dropped');
    t.equal(service.mailServer.received.filter(({ recipients }) => recipients.includes(owner.email)).length, 1);
  });
});
