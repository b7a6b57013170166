import t, { type Test } from 'tap';
import { eventually } from '../support/eventually.ts';
import { behindProxy, inTurn } from '../support/networks.ts';
import { confirmationPath, confirmedPerson, logIn, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { type Service, startInstance, startService } from '../support/service.ts';
import { tally } from '../support/two-instances.ts';

/** A tab that waits: what it has been told so far, and whether it has been let go. */
async function openTab(t: Test, origin: string, token: string, more: Readonly<Record<string, string>> = {}) {
  const abort = new AbortController();
  t.teardown(() => abort.abort());
  // The session is bound to the user agent that it was opened with.
  const headers = { authorization: `Bearer ${token}`, 'user-agent': 'lightMyRequest', ...more };
  const answer = await fetch(`${origin}/auth/confirm/events`, { headers, signal: abort.signal });
  const tab = { status: answer.status, headers: answer.headers, text: '', over: false, leave: () => abort.abort() };
  const read = async () => {
    const decoder = new TextDecoder();
    for await (const chunk of answer.body as AsyncIterable<Uint8Array>) tab.text += decoder.decode(chunk);
    tab.over = true;
  };
  read().catch(() => undefined);
  return tab;
}

const confirm = async (service: Service, person: { email: string }, token: string) =>
  service.get(await confirmationPath(service, person), { token });

t.test('a tab that waits for the confirmation', async (t) => {
  const service = await startService(t);
  const origin = await service.listen();
  const open = (t: Test, token: string) => openTab(t, origin, token);

  t.test('is told of it, and the stream ends', async (t) => {
    const person = await register(service);
    const token = await logIn(service, person);
    const tab = await open(t, token);
    t.equal(tab.status, 200);
    t.match(Object.fromEntries(tab.headers), {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-accel-buffering': 'no',
    });
    t.notOk(tab.text.includes('event:'), 'nothing has happened yet');
    t.equal((await confirm(service, person, token)).status, 200);
    await eventually('the stream ends', () => tab.over);
    t.match(tab.text, /^retry: \d+\n\nevent: confirmed\ndata: \{\}\n\n$/);
  });

  t.test('is told at once when it has happened already', async (t) => {
    const tab = await open(t, (await confirmedPerson(service)).token);
    await eventually('the stream ends', () => tab.over);
    t.match(tab.text, 'event: confirmed\n');
  });

  t.test('is told nothing of anybody else, and let go when its session is over', async (t) => {
    const [person, other] = [await register(service), await register(service)];
    const token = await logIn(service, person);
    const tab = await open(t, token);
    t.equal((await confirm(service, other, await logIn(service, other))).status, 200);
    t.equal((await service.post('/auth/logout', undefined, { token })).status, 204);
    await eventually('the stream ends', () => tab.over);
    t.notOk(tab.text.includes('confirmed'));
  });

  t.test('is one of five at most, until another has been closed', async (t) => {
    const token = await logIn(service, await register(service));
    const tabs = await Promise.all(Array.from({ length: 5 }, () => open(t, token)));
    t.strictSame(new Set(tabs.map(({ status }) => status)), new Set([200]));
    const sixth = await service.get('/auth/confirm/events', { token });
    refused(t, sixth, 429, 'rate_limited');
    t.match(sixth.headers, { 'retry-after': /^\d+$/ });
    tabs[0]?.leave();
    await eventually('there is room again', async () => {
      const tab = await open(t, token);
      return tab.status === 200;
    });
  });

  t.test('needs a session', async (t) => {
    refused(t, await service.get('/auth/confirm/events'), 401, 'unauthenticated');
  });
});

t.test('tabs of one network, of however many accounts, leave places for others', async (t) => {
  const service = await startService(t, behindProxy);
  const origin = await service.listen();
  const tokens = await inTurn(41, async () => logIn(service, await register(service)));
  const [last = '', ...others] = tokens;
  const openAt = (ip: string, token: string) => openTab(t, origin, token, { 'x-forwarded-for': ip });
  const tabs = await Promise.all(others.flatMap((token) => Array.from({ length: 5 }, () => openAt('203.0.113.7', token))));
  t.same(tally(tabs), { 200: 200 });
  t.equal((await openAt('203.0.113.7', last)).status, 429);
  t.equal((await openAt('203.0.113.8', last)).status, 200);
});

t.test('with RATE_LIMIT=off as many of one account wait as like', async (t) => {
  const service = await startService(t, { RATE_LIMIT: 'off' });
  const origin = await service.listen();
  const token = await logIn(service, await register(service));
  const tabs = await Promise.all(Array.from({ length: 12 }, () => openTab(t, origin, token)));
  t.strictSame(new Set(tabs.map(({ status }) => status)), new Set([200]));
});

t.test('a tab is told on another instance than the link was followed on', async (t) => {
  const service = await startService(t);
  if (service.env['DATABASE_URL'] === undefined) return t.pass('the embedded database has one instance');
  const other = await startInstance(t, service.env, service.clock);
  const person = await register(service);
  const token = await logIn(service, person);
  const tab = await openTab(t, await other.listen(), token);
  t.equal((await confirm(service, person, token)).status, 200);
  await eventually('the stream ends', () => tab.over);
  t.match(tab.text, 'event: confirmed\n');
});

t.test('tabs that wait do not keep the service from closing', async (t) => {
  const service = await startService(t);
  const origin = await service.listen();
  const tab = await openTab(t, origin, await logIn(service, await register(service)));
  await service.app.close();
  await eventually('the stream ends', () => tab.over);
  t.notOk(tab.text.includes('confirmed'));
});
