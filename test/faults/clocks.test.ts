import { eq, sql } from 'drizzle-orm';
import t from 'tap';
import { sessions } from '../../src/db/schema.ts';
import { ManualClock } from '../support/clock.ts';
import { onServer } from '../support/database.ts';
import { register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startInstance, startService } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

/** The clock of a machine that is off, which nobody has told the service. */
function clockOffBy(minutes: number): ManualClock {
  return Object.assign(new ManualClock(), { now: () => new Date(Date.now() + minutes * 60_000) });
}

t.test(
  'Z21: a refresh token that comes twice, to instances whose clocks differ',
  { skip: !onServer && 'needs a PostgreSQL server' },
  async (t) => {
    const service = await startService(t);
    const tables = openTables(t, service);
    const { email, password } = await register(service);

    for (const minutes of [-5, 5]) {
      const other = await startInstance(t, service.env, clockOffBy(minutes));
      const open = async () => {
        const { body } = await service.post('/auth/login', { email, password });
        t.equal((await other.post('/auth/refresh', { refreshToken: body.refreshToken })).status, 200);
        return body;
      };

      t.test(`is one that is tried again, at once: ${minutes} minutes`, async (t) => {
        const { refreshToken } = await open();
        t.equal((await service.post('/auth/refresh', { refreshToken })).status, 200);
      });

      t.test(`is a stolen one after 10 s: ${minutes} minutes`, async (t) => {
        const { refreshToken, session } = await open();
        // And some more: as long as it has to wait for the database does not count.
        const earlier = sql`${sessions.rotatedAt} - interval '15 seconds'`;
        await tables.update(sessions).set({ rotatedAt: earlier }).where(eq(sessions.id, session.id));
        refused(t, await service.post('/auth/refresh', { refreshToken }), 401, 'invalid_refresh_token');
      });
    }
  },
);
