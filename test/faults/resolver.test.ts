import t from 'tap';
import { createDatabase, onServer } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { createForeignClient } from '../support/http.ts';
import { startMailServer } from '../support/mail-server.ts';
import { confirmationPath, logIn, newDetails, openSession } from '../support/person.ts';
import { freePort, startProcess } from '../support/process.ts';
import { noResolver, startResolver } from '../support/resolver.ts';

/** More than there are threads, each of which asks for the address of the lists of leaked passwords. */
const crowd = 20;
/** A third of the time after which a name is given up. */
const promptMs = 10_000;

const skip = noResolver || (!onServer && 'needs a PostgreSQL server');

t.test('Z30: while names cannot be looked up, passwords are hashed and requests are answered', { skip }, async (t) => {
  const resolver = await startResolver(t);
  const [database, mailServer, port] = await Promise.all([createDatabase(t), startMailServer(t), freePort()]);
  const smtpUrl = Object.assign(new URL(mailServer.url), { hostname: 'mail.example', search: '?requireTLS=false' }).href;
  startProcess(
    t,
    { command: resolver.under([process.execPath, '--import=./scripts/typescript.js', 'src/server.ts']) },
    {
      ...{ ...database, SMTP_URL: smtpUrl, PASSWORD_RANGE_URL: 'https://leaks.example/range/', PORT: String(port) },
      ...{ ARGON2_MEMORY_KIB: '8', ARGON2_PASSES: '1', RATE_LIMIT: 'off', LOG_LEVEL: 'warn' },
    },
  );
  const service = { ...createForeignClient(`http://127.0.0.1:${port}`), mailServer };
  const isReady = async () => (await service.get('/health/ready').catch(() => ({ status: 0 }))).status === 200;
  await eventually('it is ready', isReady, 30_000);

  const people = Array.from({ length: crowd }, () => newDetails());
  const statuses = await Promise.all(people.map(async (details) => (await service.post('/auth/register', details)).status));
  t.strictSame(new Set(statuses), new Set([201]));
  t.ok(resolver.questions.includes('leaks.example'));
  await eventually('a mail has been tried', () => resolver.questions.includes('mail.example'));
  const since = performance.now();
  const sessions = await Promise.all(people.map((person) => openSession(service, person)));
  for (const { accessToken: token } of sessions) t.equal((await service.get('/auth/me', { token })).status, 200);
  t.ok(performance.now() - since < promptMs, 'nobody waits for a name');
  t.equal(mailServer.received.length, 0);

  resolver.speak();
  const [person = newDetails()] = people;
  const token = await logIn(service, person);
  t.equal((await service.get('/secret', { token })).status, 403);
  t.equal((await service.get(await confirmationPath(service, person), { token })).status, 200);
  t.equal((await service.get('/secret', { token })).status, 200);
});
