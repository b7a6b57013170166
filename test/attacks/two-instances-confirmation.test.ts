import { eq } from 'drizzle-orm';
import t from 'tap';
import { users } from '../../src/db/schema.ts';
import { cookieHeader, setCookies } from '../support/cookies.ts';
import { onServer } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { startTwoHttpInstances } from '../support/http.ts';
import { browserAccept } from '../support/pages.ts';
import { confirmationToken, openSession, register } from '../support/person.ts';
import { openTables } from '../support/tables.ts';
import { allAtOnce, tally } from '../support/two-instances.ts';

t.test('confirmations of one account, at once and on two instances', { skip: !onServer && 'needs a PostgreSQL server' }, async (t) => {
  const { service, instances } = await startTwoHttpInstances(t, { RATE_LIMIT: 'off' });
  const tables = openTables(t, service);
  const own = { 'sec-fetch-site': 'same-origin' };

  async function newcomer() {
    const person = await register(service);
    const link = await confirmationToken(service, person);
    const { email, password } = person;
    const login = await service.post('/auth/login', { email, password, transport: 'cookie' }, { headers: own });
    const headers = { ...own, cookie: cookieHeader(setCookies(login)) };
    return { ...person, link, path: `/auth/confirm/${link}`, headers, ...(await openSession(service, person)) };
  }
  const confirmations = async (token: string) => {
    const { events } = (await service.get('/auth/events', { token })).body;
    return events.filter(({ type }: { type: string }) => type === 'confirmed').length;
  };

  t.test('C03 of 20 one changes the account, and the others find it changed', async (t) => {
    const { id, link, path, password, headers, accessToken: token } = await newcomer();
    const answers = await allAtOnce(20, instances, (instance, index) => {
      if (index % 8 < 2) return instance.get(path, { token });
      if (index % 8 < 4) return instance.post('/auth/confirm', { token: link, password });
      if (index % 8 < 6) return instance.post('/auth/confirm', { token: link }, { token });
      return instance.get(path, { headers });
    });
    t.strictSame(tally(answers), { 200: 20 });
    const statuses = answers.map(({ body }) => body.status).sort();
    t.strictSame(statuses, [...Array(19).fill('already_confirmed'), 'confirmed']);
    for (const { body, headers: fields } of answers) {
      t.match([body.user, fields['set-cookie']], [{ id, confirmed: true }, undefined]);
    }
    t.equal(await confirmations(token), 1, 'it has happened once');
    for (const instance of instances) t.equal((await instance.get('/secret', { token })).status, 200, 'open on both');
    const before = await tables.select().from(users).where(eq(users.id, id));
    const again = await allAtOnce(20, instances, (instance) => instance.get(path, { token }));
    t.strictSame(tally(again), { 200: 20 });
    t.strictSame(await tables.select().from(users).where(eq(users.id, id)), before, 'and it never changes again');
    t.equal(await confirmations(token), 1);
  });

  t.test('C03 the same, with browsers and two links of one address', async (t) => {
    const { id, email, path, headers, accessToken: token } = await newcomer();
    t.equal((await service.post('/auth/confirm/resend', undefined, { token })).status, 202);
    const second = `/auth/confirm/${await confirmationToken(service, { email }, 2)}`;
    const page = { ...headers, accept: browserAccept };
    const answers = await allAtOnce(20, instances, (instance, index) =>
      instance.get(index % 4 < 2 ? path : second, index % 3 === 0 ? { headers: page } : { token }),
    );
    t.strictSame(tally(answers), { 200: 20 });
    t.equal(await confirmations(token), 1);
    const [row] = await tables.select().from(users).where(eq(users.id, id));
    t.ok(row?.confirmedAt);
  });

  t.test('C03 of a confirmation and a cancellation that meet, one happens', async (t) => {
    for (let round = 0; round < 5; round += 1) {
      const who = await newcomer();
      const { text = '' } = await service.mailServer.mailTo(who.email);
      const disown = /\/auth\/disown\/(\S+)/.exec(text)?.[1] ?? '';
      const answers = await allAtOnce(12, instances, (instance, index) =>
        index % 4 < 2
          ? instance.post('/auth/confirm', { token: who.link, password: who.password })
          : instance.post('/auth/disown', { token: disown }),
      );
      const isThere = (await tables.$count(users, eq(users.id, who.id))) === 1;
      const codes = new Set(answers.map(({ status, body }) => `${status} ${body?.code ?? body?.status ?? ''}`));
      const expected = isThere
        ? ['200 confirmed', '200 already_confirmed', '409 already_confirmed']
        : ['204 ', '400 invalid_token', '401 invalid_credentials'];
      t.strictSame(
        [...codes].filter((each) => !expected.includes(each)),
        [],
        `${isThere ? 'confirmed' : 'cancelled'}: ${[...codes]}`,
      );
      const status = isThere ? 200 : 401;
      for (const instance of instances) {
        await eventually('both know it', async () => (await instance.get('/secret', { token: who.accessToken })).status === status);
      }
    }
  });
});
