import { randomBytes } from 'node:crypto';
import t from 'tap';
import { signingKeys } from '../../src/db/schema.ts';
import { createDatabase, onServer } from '../support/database.ts';
import { startMailServer } from '../support/mail-server.ts';
import { logIn, register } from '../support/person.ts';
import { startInstance } from '../support/service.ts';
import { openTables } from '../support/tables.ts';

const secrets = { 'with a given secret': randomBytes(48).toString('base64url'), 'with a secret that has yet to be generated': '' };

t.test('instances that start at once on one empty database', { skip: !onServer && 'needs a PostgreSQL server' }, async (t) => {
  for (const [how, AUTH_SECRET] of Object.entries(secrets)) {
    t.test(`share one signing key, ${how}`, async (t) => {
      const [database, { url, mailTo }] = await Promise.all([createDatabase(t), startMailServer(t)]);
      const env = { SMTP_URL: url, ARGON2_MEMORY_KIB: '8', ARGON2_PASSES: '1', ...database, AUTH_SECRET };
      const instances = await Promise.all([startInstance(t, env), startInstance(t, env), startInstance(t, env)]);
      t.equal(await openTables(t, { env }).$count(signingKeys), 1);

      for (const instance of instances) {
        const person = await register(instance);
        const token = await logIn(instance, person);
        for (const other of instances) {
          t.match(
            await other.get('/auth/me', { token }),
            { status: 200, body: { user: { id: person.id } } },
            'a token of one verifies on all',
          );
        }
        t.ok(await mailTo(person.email));
      }
    });
  }
});
