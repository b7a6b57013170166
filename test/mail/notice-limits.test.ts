import t from 'tap';
import { resetRequests } from '../../src/db/schema.ts';
import { eventually } from '../support/eventually.ts';
import { outboxEmpty } from '../support/held-clock.ts';
import { linksOf } from '../support/mail-server.ts';
import { confirmedPerson, logIn, newDetails, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

t.test('nobody is pestered through an account that is not theirs', async (t) => {
  const service = await startService(t);
  const tables = openTables(t, service);
  const mailsTo = async (address: string, subject: RegExp) => {
    await outboxEmpty(tables);
    return service.mailServer.received.filter((mail) => mail.recipients.includes(address) && subject.test(mail.subject ?? '')).length;
  };
  const notice = /password was changed/;

  t.test('an address that nobody has confirmed gets one notice of a kind a minute', async (t) => {
    const person = await register(service);
    const token = await logIn(service, person);
    const change = async () => {
      const body = { currentPassword: person.password, newPassword: person.password };
      t.equal((await service.request('PUT', '/auth/password', { token, body })).status, 204);
    };
    for (let times = 0; times < 3; times += 1) await change();
    t.equal(await mailsTo(person.email, notice), 1);
    service.clock.advance({ seconds: 61 });
    await change();
    t.equal(await mailsTo(person.email, notice), 2);
  });

  t.test('one that is confirmed gets all of them', async (t) => {
    const { token, email, password } = await confirmedPerson(service);
    for (let times = 0; times < 3; times += 1) {
      const body = { currentPassword: password, newPassword: password };
      t.equal((await service.request('PUT', '/auth/password', { token, body })).status, 204);
    }
    t.equal(await mailsTo(email, notice), 3);
  });

  t.test('an account asks for another address five times an hour', async (t) => {
    const person = await register(service);
    const token = await logIn(service, person);
    const ask = (newEmail: string) => service.post('/auth/email', { newEmail, password: person.password }, { token });
    for (let times = 0; times < 5; times += 1) t.equal((await ask(newDetails().email)).status, 202);
    const sixth = await ask(newDetails().email);
    refused(t, sixth, 429, 'rate_limited');
    t.ok(Number(sixth.headers['retry-after']) > 3000);
  });

  t.test('an address is asked for five times an hour, by however many accounts', async (t) => {
    const { email: newEmail } = newDetails();
    const ask = async () => {
      const person = await register(service);
      return service.post('/auth/email', { newEmail, password: person.password }, { token: await logIn(service, person) });
    };
    for (let times = 0; times < 5; times += 1) t.equal((await ask()).status, 202);
    refused(t, await ask(), 429, 'rate_limited');
  });

  t.test('an address whose owner has said that it was not them is left alone, whatever is tried', async (t) => {
    const details = newDetails();
    await register(service, details);
    const token = new URL(linksOf(await service.mailServer.mailTo(details.email))[1] ?? '').pathname.replace('/auth/disown/', '');
    t.equal((await service.post('/auth/disown', { token })).status, 204);
    const again = await register(service, details);
    const session = await logIn(service, again);
    t.equal((await service.post('/auth/password/forgot', { email: details.email })).status, 202);
    await eventually('it has been looked at', async () => (await tables.$count(resetRequests)) === 0);
    const body = { currentPassword: details.password, newPassword: details.password };
    t.equal((await service.request('PUT', '/auth/password', { token: session, body })).status, 204);
    const mallory = await register(service);
    const ask = { newEmail: details.email, password: mallory.password };
    t.equal((await service.post('/auth/me/deletion', { password: details.password }, { token: session })).status, 204);
    refused(t, await service.post('/auth/email', ask, { token: await logIn(service, mallory) }), 429, 'rate_limited');
    t.equal(await mailsTo(details.email, /./), 1, 'it has had the one mail by which it learnt of this');
  });

  t.test('an account has ten other names a day', async (t) => {
    const person = await register(service);
    const token = await logIn(service, person);
    const rename = (username: string) => service.request('PATCH', '/auth/me', { token, body: { username } });
    for (let times = 0; times < 10; times += 1) t.equal((await rename(`${person.username}_${times}`)).status, 200);
    refused(t, await rename(person.username), 429, 'rate_limited');
    service.clock.advance({ days: 1, seconds: 1 });
    const later = await logIn(service, person);
    t.equal((await service.request('PATCH', '/auth/me', { token: later, body: { username: person.username } })).status, 200);
  });
});
