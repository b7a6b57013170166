import { and, asc, eq } from 'drizzle-orm';
import t from 'tap';
import { events } from '../../src/db/schema.ts';
import { createEventBuffer } from '../../src/identity/event-buffer.ts';
import { eventually } from '../support/eventually.ts';
import { register } from '../support/person.ts';
import { startInstance, startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

t.test('the event buffer', async (t) => {
  const service = await startService(t);
  const tables = openTables(t, service);
  const { services, log } = service.app;
  const failedLogins = (userId: string) =>
    tables
      .select()
      .from(events)
      .where(and(eq(events.userId, userId), eq(events.type, 'login_failed')))
      .orderBy(asc(events.id));
  const happening = (userId: string, userAgent?: string) =>
    ({ userId, type: 'login_failed', at: service.clock.now(), agent: { ip: '192.0.2.1', userAgent } }) as const;

  t.test('records what is left when it is closed, in the order in which it happened', async (t) => {
    const person = await register(service);
    const buffer = createEventBuffer({ db: services.db, log });
    const at = service.clock.now();
    const agents = Array.from({ length: 50 }, (_, index) => `agent ${index}`);
    for (const agent of agents) buffer.note({ ...happening(person.id, agent), at });
    await buffer.close();
    const rows = await failedLogins(person.id);
    t.strictSame(
      rows.map(({ userAgent }) => userAgent),
      agents,
      'of one millisecond, too',
    );
    t.match(rows[0], { ip: '192.0.2.1', at, actorId: null });
    await buffer.close();
    t.equal((await failedLogins(person.id)).length, 50, 'once');
  });

  t.test('records by itself before long', async (t) => {
    const person = await register(service);
    const buffer = createEventBuffer({ db: services.db, log });
    t.teardown(() => buffer.close());
    buffer.note(happening(person.id));
    await eventually('it is recorded', async () => (await failedLogins(person.id)).length === 1);
    t.equal((await failedLogins(person.id))[0]?.userAgent, null);
  });

  t.test('leaves out accounts that are gone, and loses nothing of the others for it', async (t) => {
    const [gone, stays] = [await register(service), await register(service)];
    const token = (await service.post('/auth/login', { email: gone.email, password: gone.password })).body.accessToken;
    const buffer = createEventBuffer({ db: services.db, log });
    for (const { id } of [gone, stays, gone, stays]) buffer.note(happening(id));
    t.equal((await service.post('/auth/me/deletion', { password: gone.password }, { token })).status, 204);
    await buffer.close();
    t.equal((await failedLogins(stays.id)).length, 2);
    t.equal(await tables.$count(events, eq(events.userId, gone.id)), 0);
    const nobodyLeft = createEventBuffer({ db: services.db, log });
    nobodyLeft.note(happening(gone.id));
    await t.resolves(nobodyLeft.close());
  });

  t.test('takes no more than it can hold, and says how much it was', async (t) => {
    const person = await register(service);
    const buffer = createEventBuffer({ db: services.db, log });
    for (let count = 0; count < 1234; count += 1) buffer.note(happening(person.id));
    await buffer.close();
    t.equal((await failedLogins(person.id)).length, 1000);
    const lines = service.log.map((line) => JSON.parse(line)).filter(({ lost }) => lost !== undefined);
    t.match(lines, [{ level: 40, lost: 234 }]);
    const again = createEventBuffer({ db: services.db, log });
    again.note(happening(person.id));
    await again.close();
    t.equal((await failedLogins(person.id)).length, 1001);
  });

  t.test('records once what it was not told was recorded', async (t) => {
    const person = await register(service);
    let answers = 0;
    const transaction = (async (...args) => {
      await services.db.transaction(...args);
      answers += 1;
      if (answers === 1) throw Object.assign(new Error('Connection terminated unexpectedly'), { code: 'ECONNRESET' });
    }) as typeof services.db.transaction;
    const buffer = createEventBuffer({ db: { transaction } as never, log });
    for (const agent of ['one', 'another']) buffer.note(happening(person.id, agent));
    await eventually('it has tried again', () => answers === 2);
    await buffer.close();
    t.strictSame(
      (await failedLogins(person.id)).map(({ userAgent }) => userAgent),
      ['one', 'another'],
    );
  });

  t.test('gives up what the database does not take, says so, and goes on', async (t) => {
    const person = await register(service);
    let isDown = true;
    const complaints: unknown[] = [];
    const transaction: typeof services.db.transaction = (...args) =>
      isDown ? Promise.reject(new Error('away')) : services.db.transaction(...args);
    const complain = (words: unknown) => void complaints.push(words);
    const buffer = createEventBuffer({ db: { transaction } as never, log: { error: complain, warn: complain } as never });
    buffer.note(happening(person.id));
    await eventually('it complains', () => complaints.length > 0);
    t.match(complaints, [{ err: { message: 'away' }, lost: 1 }]);
    isDown = false;
    buffer.note(happening(person.id));
    await buffer.close();
    t.equal((await failedLogins(person.id)).length, 1);
  });
});

t.test('a service that closes has recorded the logins that have just failed', async (t) => {
  const service = await startService(t);
  const person = await register(service);
  for (let count = 0; count < 3; count += 1) await service.post('/auth/login', { email: person.email, password: 'a wrong one' });
  await service.app.close();
  const again = await startInstance(t, service.env, service.clock);
  const token = (await again.post('/auth/login', { email: person.email, password: person.password })).body.accessToken;
  const { body } = await again.get('/auth/events', { token });
  t.equal(body.events.filter(({ type }: { type: string }) => type === 'login_failed').length, 3);
});
