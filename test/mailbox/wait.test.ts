import t from 'tap';
import { newDetails, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';

/** Far longer than anything here takes. */
const patience = 30;

t.test('a test that waits for a mail', async (t) => {
  const service = await startService(t, { SMTP_URL: '' });
  const list = (query: Readonly<Record<string, string | number>>) => {
    const parameters = Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]);
    return service.get(`/dev/mail?${new URLSearchParams(parameters)}`);
  };
  const recipients = ({ body }: Awaited<ReturnType<typeof list>>) => body.mails.map(({ to }: { to: string }) => to);

  t.test('gets it as soon as it comes, without asking again', async (t) => {
    const details = newDetails();
    const waiting = list({ to: details.email, wait: patience });
    t.equal(await Promise.race([waiting, service.get('/health/live').then(() => 'nothing yet')]), 'nothing yet');
    const start = Date.now();
    await register(service);
    await register(service, details);
    const answer = await waiting;
    t.equal(answer.status, 200);
    t.strictSame(recipients(answer), [details.email], 'that of somebody else does not end the wait');
    t.ok(Date.now() - start < 10_000, 'at once, not when the time is over');
    t.match(answer.body.mails[0].links, [/\/auth\/confirm\//]);
  });

  t.test('gets at once what is there, and only what is to the address, in any case', async (t) => {
    const [ada, bob] = [await register(service, { ...newDetails(), email: 'Ada.Case@example.com' }), await register(service)];
    t.strictSame(recipients(await list({ to: ada.email, wait: patience })), [ada.email]);
    t.strictSame(recipients(await list({ to: 'ada.CASE@EXAMPLE.com' })), [ada.email]);
    t.strictSame(recipients(await list({ to: bob.email, wait: patience })), [bob.email]);
    t.strictSame(recipients(await list({ to: 'ada.case@example.co' })), []);
    t.strictSame(recipients(await list({ to: 'nobody@example.com', wait: 0 })), []);
  });

  t.test('gets only what is newer than a mail that it knows', async (t) => {
    const person = await register(service);
    const { id } = (await list({ to: person.email, wait: patience })).body.mails[0];
    t.strictSame(recipients(await list({ to: person.email, after: id })), []);
    const waiting = list({ after: id, wait: patience });
    const next = await register(service);
    t.strictSame(recipients(await waiting), [next.email]);
  });

  t.test('gets an empty list when none has come in time', async (t) => {
    const start = Date.now();
    const answer = await list({ to: 'nobody@example.com', wait: 1 });
    t.equal(answer.status, 200);
    t.strictSame(answer.body, { mails: [] });
    t.ok(Date.now() - start >= 990);
  });

  t.test('is told when it asks for nonsense', async (t) => {
    for (const wait of ['-1', '31', '1.5', '1e1', 'x', '', '007', ' 1'])
      refused(t, await list({ wait }), 400, 'validation_failed', `wait=${wait}`);
    refused(t, await list({ form: 'x' }), 400, 'validation_failed', 'an unknown parameter');
    refused(t, await service.get('/dev/mail?wait=1&wait=2'), 400, 'validation_failed', 'twice');
    for (const wait of [0, 1, 30]) t.equal((await list({ wait, to: (await register(service)).email })).status, 200, `wait=${wait}`);
  });
});

t.test('a service that closes lets nobody wait', async (t) => {
  const service = await startService(t, { SMTP_URL: '' });
  await service.listen();
  const waiting = service.get(`/dev/mail?wait=${patience}`);
  // An answer to a later request shows that this one has come in.
  await service.get('/health/live');
  const start = Date.now();
  await service.app.close();
  t.match(await waiting, { status: 200, body: { mails: [] } });
  t.ok(Date.now() - start < 10_000);
});
